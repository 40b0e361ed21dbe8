//! Reasons for which a run cannot be planned, each with advice.

use std::time::Duration;

use photofinish_harness::runtimes::{DESCRIPTORS, OPTIONAL};
use photofinish_record::load::RateHz;
use photofinish_workloads::names::listed;
use photofinish_workloads::registry::ParamsError;

use super::{MAX_ARRIVALS, names};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    #[error("no scenario to run")]
    NoScenario,
    #[error("`--runtimes`: unknown runtime `{name}`")]
    UnknownRuntime {
        name: String,
        /// The most similar name.
        suggestion: Option<String>,
    },
    #[error("`--target {name}=…`: no scenario of this run has a target `{name}`")]
    UnknownTarget { name: String, known: Vec<String> },
    #[error("scenario `{scenario}` has no server for its target `{target}`")]
    NoServer { scenario: String, target: String },
    #[error(
        "scenario `{scenario}`: expected paths of the target in {}, got those of the embedded server",
        listed(params)
    )]
    DefaultPaths {
        scenario: String,
        params: Vec<String>,
    },
    #[error(
        "scenario `{scenario}`: expected requests of the target, got those of the embedded server"
    )]
    EmbeddedRequests { scenario: String },
    #[error("`{option}`: `{name}` is not among the runtimes of this run")]
    AbsentRuntime {
        option: &'static str,
        name: String,
        known: Vec<String>,
    },
    /// A parameter of the twin that the scenario's workload does not take.
    #[error("`--twin`, scenario `{scenario}`: {error}")]
    TwinParams {
        scenario: String,
        error: ParamsError,
    },
    #[error("`--arrivals` is for open loads, but every load of this run is closed")]
    NoOpenLoad,
    /// An open load of a workload that serves requests.
    #[error(
        "scenario `{scenario}` cannot have an open load: its client sends each request after the last response"
    )]
    OpenLoadOfServer { scenario: String },
    #[error("{rate_hz} arrivals per second over {seconds} s are too many for a round")]
    TooManyArrivals { rate_hz: RateHz, seconds: u64 },
    /// A round without arrivals would measure nothing; a forced one would change the rate.
    #[error("{rate_hz} arrivals per second over {length:?} give a round no arrival")]
    NoArrivals { rate_hz: RateHz, length: Duration },
    /// A feed that is read once is shorter than the operations of a round.
    #[error("scenario `{scenario}`, feed `{feed}`: {message}")]
    ShortFeed {
        scenario: String,
        feed: String,
        message: String,
    },
    /// Results are identified by the names of their scenarios.
    #[error("two scenarios of this run are called `{name}`")]
    DuplicateName { name: String },
}

/// The Cargo feature that brings the runtime `name`.
fn feature_of(name: &str) -> Option<&'static str> {
    let known = OPTIONAL.iter().find(|(optional, _)| *optional == name);
    known.map(|(_, feature)| *feature)
}

impl PlanError {
    pub fn hint(&self) -> String {
        match self {
            Self::NoScenario => "`photofinish list` shows all scenarios".to_owned(),
            Self::UnknownRuntime { suggestion, name } => match (feature_of(name), suggestion) {
                (Some(feature), _) => {
                    format!("not part of this build; build with `--features {feature}`")
                }
                (None, Some(name)) => format!("did you mean `{name}`?"),
                (None, None) => format!("expected {}", listed(&names(DESCRIPTORS.iter().copied()))),
            },
            Self::UnknownTarget { known, .. } if known.is_empty() => {
                "they talk to no server at all".to_owned()
            }
            Self::UnknownTarget { known, .. }
            | Self::AbsentRuntime { known, .. }
            | Self::TwinParams {
                error: ParamsError::Unknown { expected: known, .. },
                ..
            } => {
                format!("expected {}", listed(known))
            }
            Self::TwinParams { .. } => "docs/CATALOGUE.md lists the parameters of each workload".to_owned(),
            Self::NoServer { target, .. } => {
                format!("add `[server.{target}]` to its file, or `--target {target}=…`")
            }
            Self::DefaultPaths { params, .. } => {
                format!("name all of them, as in --set {}=/x", params[0])
            }
            Self::EmbeddedRequests { .. } => {
                "write requests of your own to a file, such as `[[request]]` with `send = \"GET /path\"`; see docs/SERVICES.md"
                    .to_owned()
            }
            Self::NoOpenLoad => "add `--rate`, in arrivals per second".to_owned(),
            Self::OpenLoadOfServer { .. } => {
                "leave out rates; `--concurrency` sets the number of the client's connections"
                    .to_owned()
            }
            Self::TooManyArrivals { .. } => format!(
                "a round has at most {MAX_ARRIVALS} arrivals; lower the rate or `--duration`"
            ),
            Self::NoArrivals { .. } => {
                "raise the rate or lengthen `--duration`: a round has rate × duration arrivals"
                    .to_owned()
            }
            Self::ShortFeed { .. } => {
                "add rows, lower the number of operations, or use another `order`".to_owned()
            }
            Self::DuplicateName { .. } => {
                "run them one after another, or rename one of the files".to_owned()
            }
        }
    }
}
