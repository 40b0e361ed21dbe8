//! Tables of the page: a caption, headings, a body, in a box of its own that scrolls if the table is too wide.
//!
//! The box is a region for assistive technology. Its name is unique on the page: it has the caption and the subject.

use maud::{Markup, html};

use crate::describe;
use crate::summary::Group;

/// A table before it is written.
pub(super) struct Table<'a> {
    caption: String,
    headings: Vec<String>,
    body: Markup,
    class: &'static str,
    subject: Option<String>,
    group: Option<&'a Group<'a>>,
    meaning: Option<&'static str>,
}

impl<'a> Table<'a> {
    pub(super) fn new(
        caption: impl Into<String>,
        headings: impl IntoIterator<Item = impl Into<String>>,
        body: Markup,
    ) -> Self {
        Self {
            caption: caption.into(),
            headings: headings.into_iter().map(Into::into).collect(),
            body,
            class: "details",
            subject: None,
            group: None,
            meaning: None,
        }
    }

    /// A table of results: large print, and the name of a row may have a marker.
    pub(super) fn results(self) -> Self {
        Self {
            class: "results",
            ..self
        }
    }

    /// A table whose rows become cards on a narrow screen; its cells have roles and labels.
    pub(super) fn cards(self) -> Self {
        Self {
            class: "results cards",
            ..self
        }
    }

    /// Tells it from the tables of other subjects with the same caption.
    pub(super) fn about(self, subject: impl Into<String>) -> Self {
        Self {
            subject: Some(subject.into()),
            ..self
        }
    }

    /// A table with an explanation after its caption.
    pub(super) fn explained(self, meaning: Option<&'static str>) -> Self {
        Self { meaning, ..self }
    }

    /// A table of one scenario under one load, which scripts find by its attributes.
    pub(super) fn of(self, group: &'a Group<'a>) -> Self {
        let point = describe::point(group.load, group.arm, group.stack);
        let table = self.about(format!("{}, {point}", group.scenario));
        Self {
            group: Some(group),
            ..table
        }
    }

    pub(super) fn render(&self) -> Markup {
        let subject = self.subject.as_ref();
        let subject = subject.map_or(String::new(), |subject| format!(": {subject}"));
        let role = |role: &'static str| self.class.ends_with("cards").then_some(role);
        let load = self
            .group
            .map(|group| describe::point_slug(group.load, group.arm, group.stack));
        html! {
            div.scroll tabindex="0" role="region" aria-label={ (self.caption) (subject) } {
                table class=(self.class) role=[role("table")] data-scenario=[self.group.map(|group| group.scenario)] data-load=[load] {
                    caption {
                        (self.caption)
                        @if let Some(meaning) = self.meaning { ": " (meaning) }
                    }
                    thead role=[role("rowgroup")] {
                        tr role=[role("row")] {
                            @for heading in &self.headings { th scope="col" role=[role("columnheader")] { (heading) } }
                        }
                    }
                    (self.body)
                }
            }
        }
    }
}
