//! Statuses of HTTP responses that count as a success: codes such as 200, and classes such as `2xx`.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Mismatch, Quantity, Sweep};

/// A status code, or a class of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusCode {
    Code(u16),
    /// The first digit of all its codes.
    Class(u16),
}

impl StatusCode {
    fn includes(self, status: u16) -> bool {
        match self {
            Self::Code(code) => code == status,
            Self::Class(class) => class == status / 100,
        }
    }
}

impl Quantity for StatusCode {
    const EXPECTED: &'static str =
        "a status such as 200, from 200 to 599, or a class such as \"2xx\"";

    fn from_unsigned(number: u64) -> Result<Self, Mismatch> {
        match u16::try_from(number) {
            Ok(code @ 200..=599) => Ok(Self::Code(code)),
            _ => Err(Mismatch::Value),
        }
    }

    fn from_text(text: &str) -> Result<Self, Mismatch> {
        match text.trim().as_bytes() {
            [class @ b'2'..=b'5', b'x' | b'X', b'x' | b'X'] => {
                Ok(Self::Class((class - b'0').into()))
            }
            _ => Self::from_unsigned(text.trim().parse().map_err(|_| Mismatch::Value)?),
        }
    }

    fn schema() -> Schema {
        json_schema!({
            "anyOf": [
                {"type": "integer", "minimum": 200, "maximum": 599},
                {"type": "string", "pattern": "^[2-5][xX][xX]$"},
            ]
        })
    }
}

impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => code.fmt(f),
            Self::Class(class) => write!(f, "{class}xx"),
        }
    }
}

impl Serialize for StatusCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Code(code) => code.serialize(serializer),
            Self::Class(_) => serializer.collect_str(self),
        }
    }
}

/// The statuses that count as a success, written as one or as a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses(Vec<StatusCode>);

impl Statuses {
    pub fn include(&self, status: u16) -> bool {
        self.0.iter().any(|code| code.includes(status))
    }
}

impl Statuses {
    /// Every status that means success: 2xx.
    pub fn success() -> Self {
        Self(vec![StatusCode::Class(2)])
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, code) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { " or " };
            write!(f, "{separator}{code}")?;
        }
        Ok(())
    }
}

impl Default for Statuses {
    fn default() -> Self {
        Self(vec![StatusCode::Code(200)])
    }
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Sweep::deserialize(deserializer).map(|Sweep(codes)| Self(codes))
    }
}

impl Serialize for Statuses {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [only] => only.serialize(serializer),
            several => several.serialize(serializer),
        }
    }
}

impl JsonSchema for Statuses {
    fn schema_name() -> Cow<'static, str> {
        "Statuses".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Sweep::<StatusCode>::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn statuses_are_codes_and_classes_alone_or_in_a_list() {
        let check = |value: serde_json::Value, yes: &[u16], no: &[u16]| {
            let statuses: Statuses = serde_json::from_value(value.clone()).expect("statuses");
            assert!(
                yes.iter().all(|status| statuses.include(*status)),
                "{value}"
            );
            assert!(
                !no.iter().any(|status| statuses.include(*status)),
                "{value}"
            );
            assert_eq!(json!(statuses), value, "written as it was read");
        };
        check(json!(204), &[204], &[200, 205]);
        check(json!("2xx"), &[200, 299], &[199, 300]);
        check(json!(["2xx", 304]), &[201, 304], &[303, 404]);
        for wrong in [
            json!(0),
            json!(199),
            json!(600),
            json!("1xx"),
            json!("ok"),
            json!([]),
            json!([200, 200]),
        ] {
            serde_json::from_value::<Statuses>(wrong.clone()).expect_err(&wrong.to_string());
        }
    }
}
