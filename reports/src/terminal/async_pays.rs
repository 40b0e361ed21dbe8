//! The table that answers where asynchronous code pays, after the tables it is made of.

use super::{Column, Page, Row, Tone, clean, table_of};
use crate::async_pays::{HEADINGS, LEGEND, QUESTION, Row as Answer};

pub(super) fn block(page: &mut Page, answers: &[Answer]) {
    if answers.is_empty() {
        return;
    }
    page.paragraph(Tone::Strong, QUESTION);
    page.blank();
    for of_class in answers.chunk_by(|a, b| a.class == b.class) {
        let row = |answer: &Answer| Row {
            name: clean(&answer.scenario),
            tone: Tone::Plain,
        };
        let rows: Vec<Row> = of_class.iter().map(row).collect();
        table_of(page, &of_class[0].class, &rows, columns(of_class));
        page.blank();
    }
    page.paragraph_in(Tone::Faint, LEGEND);
    page.blank();
}

fn columns(answers: &[Answer]) -> Vec<Column> {
    let column = |(index, heading): (usize, &&str)| Column {
        heading: (*heading).to_owned(),
        rank: index as u8,
        cells: answers
            .iter()
            .map(|answer| clean(&answer.cells()[index]))
            .collect(),
    };
    HEADINGS.iter().enumerate().map(column).collect()
}
