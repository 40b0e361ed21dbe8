//! The target `client`: an embedded client, which sends requests to a worker that serves. It cannot be replaced.

use super::TargetKind;

pub(super) static KIND: TargetKind = TargetKind {
    name: "client",
    server: "client",
    schemes: &["http"],
    url: "http://{address}",
    secure_url: None,
    options: &[],
    forms: "",
    beginnings: &[],
    parse: None,
};
