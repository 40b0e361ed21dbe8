//! Faults that a mock server can inject.
//!
//! Only their names are here, so that every server spells them alike. Each server implements its own, and rejects a
//! behaviour with a fault that it cannot inject. Read `http/misbehave.rs` next.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::Deserialize;

/// A fault that takes the place of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The connection is reset (RST) and nothing is answered.
    Reset,
    /// The connection is closed in order (FIN) and nothing is answered.
    Close,
    /// The connection is closed in the middle of the body.
    Truncate,
    /// Answers with bytes that are not HTTP, and closes the connection.
    Garbage,
}

impl Fault {
    pub const ALL: [Fault; 4] = [Fault::Reset, Fault::Close, Fault::Truncate, Fault::Garbage];
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let named = |fault: &Fault| fault.to_string() == name;
        Fault::ALL.into_iter().find(named).ok_or_else(|| {
            let all = Fault::ALL.map(|fault| fault.to_string()).join(", ");
            format!("`{name}` is not a fault; expected one of {all}")
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Fault::Reset => "reset",
            Fault::Close => "close",
            Fault::Truncate => "truncate",
            Fault::Garbage => "garbage",
        })
    }
}

/// A service returns a fault as its error, which makes hyper end the connection.
impl std::error::Error for Fault {}
