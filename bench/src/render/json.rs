//! JSON: the conditions and every block, so that other statistics can be computed from it.

use photofinish_reports::statistics::Estimate;
use serde_json::{Map, Value, json};

use super::Conditions;
use crate::blocks::Measurement;
use crate::results::{Results, Row};

/// Name and version of this format.
const SCHEMA: &str = "photofinish-peers/1";

pub(crate) fn json(conditions: &Conditions, results: &[Results]) -> String {
    let versions: Map<String, Value> = conditions
        .versions
        .iter()
        .map(|(name, version)| ((*name).to_owned(), json!(version)))
        .collect();
    let document = json!({
        "schema": SCHEMA,
        "photofinish": conditions.photofinish,
        "blocks": conditions.blocks,
        "seconds": conditions.seconds,
        "seed": conditions.seed,
        "server_cpu": conditions.cpus.server,
        "generator_cpu": conditions.cpus.generator,
        "cpu_model": conditions.cpu_model,
        "kernel": conditions.kernel,
        "load_average": conditions.load_average,
        "versions": versions,
        "comparisons": results.iter().map(comparison).collect::<Vec<_>>(),
    });
    format!("{document:#}\n")
}

fn comparison(results: &Results) -> Value {
    json!({
        "id": results.comparison.id,
        "title": results.comparison.title,
        "note": results.comparison.note,
        "reference": results.reference.map(|index| &results.rows[index].name),
        "requested_rate_hz": results.requested_rate_hz(),
        "contestants": results.rows.iter().map(contestant).collect::<Vec<_>>(),
    })
}

fn contestant(row: &Row) -> Value {
    json!({
        "name": row.name,
        "checks": row.checks,
        "failure": row.failure.as_ref().map(ToString::to_string),
        "rate_hz": row.rate_hz.map(estimate),
        "cpu_ns_per_operation": row.cpu_ns.map(estimate),
        "reference_rate_ratio": row.rate_ratio.map(estimate),
        "reference_cpu_ratio": row.cpu_ratio.map(estimate),
        "server_cpu_share": row.server_share,
        "blocks": row.blocks.iter().map(|block| block.map(measurement)).collect::<Vec<_>>(),
    })
}

fn estimate(estimate: Estimate) -> Value {
    let Estimate {
        value,
        low,
        high,
        confidence,
    } = estimate;
    json!({ "median": value, "low": low, "high": high, "confidence": confidence })
}

fn measurement(measurement: Measurement) -> Value {
    let Measurement {
        rate_hz,
        cpu_ns,
        server_share,
    } = measurement;
    json!({ "rate_hz": rate_hz, "cpu_ns_per_operation": cpu_ns, "server_cpu_share": server_share })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::results;

    #[test]
    fn every_block_is_in_the_document_and_a_failed_one_is_null() {
        let value = comparison(&results(&[&[100.0, 100.0], &[80.0, 80.0], &[50.0, 0.0]]));
        let contestants = value["contestants"].as_array().expect("a list");
        assert_eq!(contestants.len(), 3);
        assert_eq!(contestants[2]["blocks"][0]["rate_hz"], 50.0);
        assert_eq!(contestants[2]["blocks"][1], Value::Null);
        assert_eq!(contestants[2]["failure"], "it broke");
        assert_eq!(value["reference"], contestants[0]["name"]);
    }
}
