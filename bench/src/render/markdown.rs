//! Markdown: the conditions, and a table per comparison, for documents.

use super::{Conditions, cells, remarks};
use crate::results::Results;

pub(crate) fn markdown(conditions: &Conditions, results: &[Results]) -> String {
    let tables = results.iter().map(table);
    let mut text = conditions_text(conditions);
    text.extend(tables);
    text
}

fn conditions_text(conditions: &Conditions) -> String {
    let Conditions {
        blocks,
        seconds,
        cpus,
        cpu_model,
        kernel,
        photofinish,
        versions,
        ..
    } = conditions;
    let unknown = || "unknown".to_owned();
    let [cpu_model, kernel, photofinish] =
        [cpu_model, kernel, photofinish].map(|text| escaped(&text.clone().unwrap_or_else(unknown)));
    let (server, generator) = (cpus.server, cpus.generator);
    let versions: Vec<String> = versions
        .iter()
        .map(|(_, version)| escaped(version))
        .collect();
    format!(
        "{blocks} blocks of {seconds} s on {cpu_model}, Linux {kernel}; servers on CPU {server}, generators on CPU {generator}. \
         {photofinish}; {}.\n",
        versions.join(", ")
    )
}

fn table(results: &Results) -> String {
    let mut text = format!("\n**{}**\n\n", escaped(&results.comparison.title));
    text += "| generator | rate | CPU per operation | rate ratio | CPU ratio | checks |\n|---|--:|--:|--:|--:|---|\n";
    for (index, row) in results.rows.iter().enumerate() {
        let cells = cells(results, index).map(|cell| escaped(&cell));
        text += &format!("| {} | {} |\n", escaped(&row.name), cells.join(" | "));
    }
    let remarks = remarks(results);
    if !remarks.is_empty() {
        text += &format!("\n{}.\n", escaped(&remarks.join(". ")));
    }
    text
}

/// Escapes Markdown syntax; drops control characters.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !c.is_control()) {
        if matches!(c, '|' | '\\' | '`' | '*' | '<' | '_' | '[') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpus::Cpus;
    use crate::results::tests::results;

    #[test]
    fn a_table_has_a_row_per_contestant_and_names_cannot_break_it() {
        let conditions = Conditions {
            photofinish: Some("photofinish 1".to_owned()),
            blocks: 2,
            seconds: 1,
            seed: 1,
            cpus: Cpus {
                server: 0,
                generator: 1,
            },
            cpu_model: None,
            kernel: Some("6.1".to_owned()),
            load_average: None,
            versions: vec![("wrk", "wrk [epoll]".to_owned())],
        };
        let mut results = results(&[&[100.0, 100.0], &[80.0, 80.0]]);
        results.rows[1].name = "a|b".to_owned();
        let text = markdown(&conditions, &[results]);
        assert!(
            text.starts_with(
                "2 blocks of 1 s on unknown, Linux 6.1; servers on CPU 0, generators on CPU 1."
            ),
            "{text}"
        );
        assert!(text.contains(r"wrk \[epoll]"), "{text}");
        let row =
            r"| a\|b | 80/s | 12.5ms | 1.25 (1.25–1.25) | 0.80 (0.80–0.80) | every response |";
        assert!(text.contains(row), "{text}");
    }
}
