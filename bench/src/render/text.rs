//! Text for the terminal: a table per comparison.

use super::{cells, remarks};
use crate::programs::Program;
use crate::results::Results;

const HEADINGS: [&str; 6] = [
    "generator",
    "rate",
    "CPU/op",
    "rate ratio",
    "CPU ratio",
    "checks",
];

pub(crate) fn text(results: &Results) -> String {
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    rows.extend((0..results.rows.len()).map(|index| {
        let [rate, cpu, rate_ratio, cpu_ratio, checks] = cells(results, index);
        [
            results.rows[index].name.clone(),
            rate,
            cpu,
            rate_ratio,
            cpu_ratio,
            checks,
        ]
    }));
    let widths: [usize; HEADINGS.len()] = std::array::from_fn(|column| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or(0)
    });
    let mut text = format!(
        "\n{} ({})\n",
        results.comparison.title, results.comparison.id
    );
    for row in &rows {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text += &format!("  {}\n", cells.join("  ").trim_end());
    }
    for remark in remarks(results) {
        text += &format!("  {remark}.\n");
    }
    text
}

/// A list of missing programs with the commands that install them; `None` if there are none.
pub(crate) fn missing(programs: &[Program]) -> Option<String> {
    let lines: Vec<String> = programs
        .iter()
        .map(|program| format!("  {:12} {}", program.name, program.install))
        .collect();
    (!lines.is_empty()).then(|| format!("\nMissing here, and left out:\n{}", lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::results;

    #[test]
    fn a_table_has_a_line_per_contestant_with_ratios_or_the_failure() {
        let text = text(&results(&[&[100.0, 100.0], &[80.0, 80.0], &[50.0, 0.0]]));
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let columns = |line: usize| -> Vec<&str> {
            lines[line]
                .split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .collect()
        };
        assert_eq!(
            columns(3)[1..],
            [
                "100/s",
                "10.0ms",
                "reference",
                "reference",
                "every response"
            ]
        );
        assert_eq!(
            columns(4)[1..],
            [
                "80/s",
                "12.5ms",
                "1.25 (1.25–1.25)",
                "0.80 (0.80–0.80)",
                "every response"
            ]
        );
        assert_eq!(columns(5)[3], "2.00 (2.00–2.00)");
        assert_eq!(columns(5)[5], "failed in 1 of 2 blocks: it broke");
        assert_eq!(
            lines[6],
            "Ratios: the reference's value divided by this one's, with 0% confidence."
        );
        assert_eq!(lines[7], "The server used at most 10% of its CPU.");
    }

    #[test]
    fn missing_programs_come_with_their_commands() {
        let program = Program {
            name: "oha",
            install: "cargo install --locked oha",
            version: None,
        };
        assert_eq!(missing(&[]), None);
        assert!(
            missing(&[program])
                .is_some_and(|text| text.contains("oha          cargo install --locked oha"))
        );
    }
}
