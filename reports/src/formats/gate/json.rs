//! `json`: the gate's report, one document.
//!
//! Its schema is `gate::schema`.

use super::{Error, File, GateFormat};
use crate::gate::GateReport;

pub(super) static FORMAT: GateFormat = GateFormat {
    name: "json",
    extension: "json",
    summary: "the verdict and every check with its bounds, one JSON document",
    render,
};

fn render(report: &GateReport) -> Result<File, Error> {
    let mut bytes = serde_json::to_vec_pretty(report)?;
    bytes.push(b'\n');
    Ok(File {
        name: "gate.json".to_owned(),
        bytes,
    })
}
