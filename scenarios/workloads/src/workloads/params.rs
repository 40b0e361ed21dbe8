//! Checks and defaults of parameters that several workloads share.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::protocol::http::unaskable;
use photofinish_harness::workload::ParamError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The struct `Params` of a workload, each field with its default; it refuses unknown fields. With `fetches;` before
/// them, it has the expected status and content as well.
macro_rules! params {
    (fetches; $($fields:tt)*) => {
        $crate::workloads::params::params! {
            $($fields)*
            /// Statuses that count as a success: a code, a class such as "2xx", or a list of them.
            status: $crate::quantity::Statuses = $crate::quantity::Statuses::default(),
            /// "same": every response has the same body; "any": only status and framing are checked.
            content: $crate::workloads::expectation::Content = $crate::workloads::expectation::Content::Same,
        }

        impl Params {
            fn expectation(&self) -> $crate::workloads::expectation::Expectation {
                $crate::workloads::expectation::Expectation {
                    statuses: self.status.clone(),
                    content: self.content,
                }
            }
        }
    };
    ($($(#[$doc:meta])* $field:ident: $type:ty = $default:expr,)+) => {
        #[derive(Debug, Clone, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct Params {
            $($(#[$doc])* pub $field: $type,)+
        }

        impl Default for Params {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }
    };
}

pub(super) use params;

/// The parameters of a workload that has none.
#[derive(Debug, Default, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NoParams {}

/// A default that is not zero.
pub(super) const fn count(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).expect("not zero")
}

/// A count of at most `most`.
pub(super) fn require_at_most(param: &str, count: u32, most: u32) -> Result<(), ParamError> {
    require(count <= most, param, || {
        format!("expected at most {most}, got {count}")
    })
}

/// Paths to request from a server at once, 1 to 100 of them: each takes a connection of every session.
pub(super) fn require_some_paths(param: &str, paths: &[String]) -> Result<(), ParamError> {
    let count = paths.len();
    require((1..=100).contains(&count), param, || {
        format!("expected 1 to 100 paths, got {count}")
    })?;
    require_paths(param, paths)
}

/// Paths to request from a server.
pub(super) fn require_paths(param: &str, paths: &[String]) -> Result<(), ParamError> {
    paths.iter().try_for_each(|path| require_path(param, path))
}

/// A path to request from a server.
pub(super) fn require_path(param: &str, path: &str) -> Result<(), ParamError> {
    require(path.starts_with('/'), param, || {
        format!("expected a path that starts with `/`, got `{path}`")
    })?;
    match unaskable(path) {
        None => Ok(()),
        Some(message) => require(false, param, || message),
    }
}

/// An error about `param` unless `holds`.
pub(super) fn require(
    holds: bool,
    param: &str,
    message: impl FnOnce() -> String,
) -> Result<(), ParamError> {
    if holds {
        return Ok(());
    }
    Err(ParamError {
        param: param.to_owned(),
        message: message(),
    })
}

/// Waits in units, one for each part: at least one, at most a thousand.
pub(super) fn require_waits(
    param: &str,
    waits: &[f64],
    unit: Duration,
) -> Result<Vec<Duration>, ParamError> {
    require((1..=1_000).contains(&waits.len()), param, || {
        format!("expected 1 to 1,000 waits, got {}", waits.len())
    })?;
    let sound = waits.iter().all(|units| (0.0..=1_000.0).contains(units));
    require(sound, param, || {
        "expected waits from 0 to 1,000 units".to_owned()
    })?;
    Ok(waits.iter().map(|units| unit.mul_f64(*units)).collect())
}
