//! Names: the values that a template may refer to, resolved once to the slots that sessions fill.
//!
//! A slot is a value in one encoding: a name used in a path and in a body has two. `values` fills them.

use std::collections::BTreeMap;
use std::env;
use std::sync::Arc;

use photofinish_harness::workload::ParamError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::draw::{DrawSpec, Generator};
use super::encoding::{Encoding, Escape};
use super::feed::FeedSpec;
use crate::names::did_you_mean;

/// Feeds and draws, by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DataSpec {
    /// Rows of files: `{{NAME.COLUMN}}`.
    pub feed: BTreeMap<String, FeedSpec>,
    /// Values drawn for each operation: `{{NAME}}`.
    pub draw: BTreeMap<String, DrawSpec>,
}

/// Values that need no declaration, besides `env.NAME`.
const BUILT_IN: [(&str, Source); 5] = [
    ("op", Source::Op),
    ("session", Source::Session),
    ("round", Source::Round),
    ("run", Source::Run),
    ("uuid", Source::Uuid),
];

/// The origin of a value; numbers are indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Op,
    Session,
    Round,
    Run,
    Uuid,
    Variable(u32),
    Draw(u32),
    Column { feed: u32, column: u32 },
    Capture(u32),
}

impl Source {
    /// True if the value is the same for all operations of a session.
    pub(super) fn is_constant(self) -> bool {
        matches!(
            self,
            Self::Session | Self::Round | Self::Run | Self::Variable(_)
        )
    }
}

/// A value in one encoding, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(pub(super) u32);

/// A name whose value comes from a response, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capture(pub(super) u32);

#[derive(Clone, Debug)]
pub(super) struct SlotSpec {
    pub(super) name: Box<str>,
    pub(super) source: Source,
    pub(super) escape: Escape,
}

/// The names known so far, and the slots in use.
#[derive(Debug)]
pub struct Scope {
    data: Data,
    /// Names of the captures of this flow, with their numbers.
    captures: Vec<(String, Capture)>,
}

/// Resolved names; `load` makes it ready for a round.
#[derive(Clone, Debug, Default)]
pub struct Data {
    pub(super) slots: Vec<SlotSpec>,
    pub(super) draws: Vec<(String, Generator)>,
    pub(super) feeds: Vec<(String, FeedSpec)>,
    /// Environment variables and their values, which must never be recorded.
    pub(super) variables: Vec<(String, String)>,
    pub(super) captures: u32,
}

impl Scope {
    /// Checks the declarations; errors are at `feed.NAME.…` and `draw.NAME.…`.
    pub fn new(spec: &DataSpec) -> Result<Self, ParamError> {
        for name in spec.feed.keys() {
            check_name(name).map_err(|message| error(format!("feed.{name}"), message))?;
        }
        let mut draws = Vec::new();
        for (name, draw) in &spec.draw {
            let param = format!("draw.{name}");
            check_name(name).map_err(|message| error(param.clone(), message))?;
            if spec.feed.contains_key(name) {
                return Err(error(
                    param,
                    format!("expected one meaning of `{name}`, got a feed and a draw"),
                ));
            }
            draws.push((name.clone(), draw.generator(&param)?));
        }
        let feeds = spec
            .feed
            .iter()
            .map(|(name, feed)| (name.clone(), feed.clone()));
        Ok(Self {
            data: Data {
                draws,
                feeds: feeds.collect(),
                ..Data::default()
            },
            captures: Vec::new(),
        })
    }

    /// Declares a capture for the templates compiled from here to the end of the flow.
    pub fn capture(&mut self, name: &str) -> Result<Capture, String> {
        check_name(name)?;
        if self.drawn(name).is_some() || self.feed(name).is_some() {
            return Err(format!(
                "expected a name of its own, got `{name}`, which is a feed or a draw"
            ));
        }
        let known = self.captures.iter().find(|(known, _)| known == name);
        if let Some((_, capture)) = known {
            return Ok(*capture);
        }
        let capture = Capture(self.data.captures);
        self.data.captures += 1;
        self.captures.push((name.to_owned(), capture));
        Ok(capture)
    }

    /// Forgets the captures at the end of a flow.
    pub fn end_flow(&mut self) {
        self.captures.clear();
    }

    /// The value of a name as written between a template's braces: `user.email`.
    pub fn slot(&mut self, name: &str, encoding: Encoding) -> Result<Slot, String> {
        self.escaped(name, encoding.escape(false, false))
    }

    /// True if a slot's value differs between rounds, so that a request never creates something that already exists.
    pub fn has_round(&self) -> bool {
        let mut sources = self.data.slots.iter().map(|slot| slot.source);
        sources.any(|source| source == Source::Round)
    }

    /// All that sessions need.
    pub fn finish(self) -> Arc<Data> {
        Arc::new(self.data)
    }

    pub(super) fn escaped(&mut self, name: &str, escape: Escape) -> Result<Slot, String> {
        let source = self.resolve(name)?;
        let slots = &mut self.data.slots;
        let known = slots
            .iter()
            .position(|slot| slot.source == source && slot.escape == escape);
        let index = known.unwrap_or_else(|| {
            slots.push(SlotSpec {
                name: name.into(),
                source,
                escape,
            });
            slots.len() - 1
        });
        Ok(Slot(index as u32))
    }

    fn drawn(&self, name: &str) -> Option<usize> {
        self.data.draws.iter().position(|(known, _)| known == name)
    }

    fn feed(&self, name: &str) -> Option<usize> {
        self.data.feeds.iter().position(|(known, _)| known == name)
    }

    fn resolve(&mut self, name: &str) -> Result<Source, String> {
        if let Some((_, source)) = BUILT_IN.into_iter().find(|(known, _)| *known == name) {
            return Ok(source);
        }
        if let Some(variable) = name.strip_prefix("env.") {
            return self.variable(variable);
        }
        if let Some((_, Capture(index))) = self.captures.iter().find(|(known, _)| known == name) {
            return Ok(Source::Capture(*index));
        }
        if let Some(index) = self.drawn(name) {
            return Ok(Source::Draw(index as u32));
        }
        self.column(name).ok_or_else(|| self.unknown(name))
    }

    fn column(&self, name: &str) -> Option<Source> {
        let (feed, column) = name.split_once('.')?;
        let feed = self.feed(feed)?;
        let mut columns = self.data.feeds[feed].1.columns.iter();
        let column = columns.position(|known| known == column)?;
        Some(Source::Column {
            feed: feed as u32,
            column: column as u32,
        })
    }

    fn variable(&mut self, name: &str) -> Result<Source, String> {
        let variables = &mut self.data.variables;
        if let Some(index) = variables.iter().position(|(known, _)| known == name) {
            return Ok(Source::Variable(index as u32));
        }
        let value = env::var(name).map_err(|_| {
            format!("expected the environment variable `{name}` to be set to UTF-8 text: export {name}=…")
        })?;
        variables.push((name.to_owned(), value));
        Ok(Source::Variable(variables.len() as u32 - 1))
    }

    fn unknown(&self, name: &str) -> String {
        let built_in = BUILT_IN.iter().map(|(name, _)| (*name).to_owned());
        let captures = self.captures.iter().map(|(name, _)| name.clone());
        let draws = self.data.draws.iter().map(|(name, _)| name.clone());
        let columns = self.data.feeds.iter().flat_map(|(feed, spec)| {
            spec.columns
                .iter()
                .map(move |column| format!("{feed}.{column}"))
        });
        let known: Vec<String> = columns
            .chain(draws)
            .chain(captures)
            .chain(built_in)
            .collect();
        let advice = match did_you_mean(name, known.iter().map(String::as_str)) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => format!("known here: {}", known.join(", ")),
        };
        format!(
            "expected the name of a column, draw, capture or built-in value, got `{name}`; {advice}"
        )
    }
}

impl Data {
    /// The text with the values of environment variables replaced by their names, for errors and records.
    pub fn redact(&self, text: &str) -> String {
        let secret = |(_, value): &&(String, String)| !value.is_empty();
        self.variables
            .iter()
            .filter(secret)
            .fold(text.to_owned(), |text, (name, value)| {
                text.replace(value, &format!("{{{{env.{name}}}}}"))
            })
    }
}

/// Names are letters, digits, `-` and `_`, and mean nothing yet.
fn check_name(name: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(format!(
            "expected a name of letters, digits, `-` and `_`, got `{name}`"
        ));
    }
    if name == "env" || BUILT_IN.iter().any(|(built_in, _)| *built_in == name) {
        return Err(format!(
            "expected a name of its own, got `{name}`, which is built in"
        ));
    }
    Ok(())
}

fn error(param: String, message: String) -> ParamError {
    ParamError { param, message }
}
