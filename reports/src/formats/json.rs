//! `json`: the summary of a run, or the report of a gate, as one document.
//!
//! The same documents as `run --format json` and `gate --format json`; the schemas are `summary::schema` and
//! `gate::schema`.

use super::{File, Format, Render};

pub(super) static RUN: Format = Format {
    name: "json",
    summary: "the summary: every cell's metrics with their intervals, one JSON document",
    render: Render::Run(|report| Ok(vec![File::json("summary.json", &report.summary)?])),
};

pub(super) static GATE: Format = Format {
    name: "json",
    summary: "the verdict and every check with its bounds, one JSON document",
    render: Render::Gate(|report| File::json("gate.json", report)),
};
