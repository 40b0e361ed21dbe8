//! The table of a search: one per scenario, the runtimes ranked by the highest rate that met the objective.
//!
//! The steps' cells have no tables of their own here: there are dozens of them, and the record and the page have them.

use super::{Column, Page, Row, Sources, Tone, absent, clean, heading, short_name, table, under};
use crate::found::Found;
use crate::rounds;
use crate::{describe, found};

pub(super) fn block(page: &mut Page, sources: &Sources<'_>, found: &Found<'_>) {
    let scenario = rounds::scenario(sources.record, found.scenario);
    let rounds = scenario.map_or("rounds".to_owned(), |scenario| {
        format!("rounds of {}", describe::stop(scenario.stop))
    });
    heading(
        page,
        sources.record,
        found.scenario,
        &[&found.question(), &rounds],
    );
    if !found.rows.is_empty() {
        table(page, &rows(found), columns(found));
        page.blank();
    }
    for sentence in found.unfinished() {
        page.paragraph_in(Tone::Bad, &sentence);
    }
    let steps = found.cells(sources.summary);
    absent(page, &steps);
    under(page, steps.into_iter());
    page.blank();
}

fn rows(found: &Found<'_>) -> Vec<Row> {
    let row = |row: &found::Row<'_>| Row {
        name: short_name(&row.result.runtime),
        tone: match row.result.unfinished {
            Some(_) => Tone::Warning,
            None => Tone::Plain,
        },
    };
    found.rows.iter().map(row).collect()
}

fn columns(found: &Found<'_>) -> Vec<Column> {
    let cells: Vec<[String; 5]> = found.rows.iter().map(found::Row::cells).collect();
    let headings = found.headings().into_iter().zip(RANKS).enumerate();
    let column = |(index, (heading, rank)): (usize, (String, u8))| Column {
        heading,
        rank,
        cells: cells.iter().map(|row| clean(&row[index])).collect(),
    };
    headings.map(column).collect()
}

/// How much each column is worth where there is no room for all.
const RANKS: [u8; 5] = [0, 1, 2, 4, 3];
