//! The values of one session: each slot is written once per operation, encoded, into one buffer.
//!
//! Constant values are at the start of the buffer and are written once. Captures live in a buffer of their own until
//! the operation ends.

use std::sync::Arc;

use photofinish_harness::workload::{Failure, RoundEnv};

use super::decimal::push_unsigned;
use super::draw::{Generator, name_seed};
use super::encoding::Escape;
use super::feed::{RowChoice, Table};
use super::files;
use super::scope::{Capture, Data, Slot, SlotSpec, Source};
use super::secrets;
use super::template::Template;
use crate::secret_names::Key;

/// Kind of failure: a value cannot stand where a template puts it.
pub const UNFIT: &str = "data";

/// Maximum number of bytes reserved for a slot; the buffer grows when a longer value arrives.
const MOST_RESERVED: usize = 64 << 10;

/// Bytes reserved for a capture.
const CAPTURE: usize = 256;

/// Data that all sessions of a round share.
#[derive(Debug)]
pub struct RoundData {
    data: Arc<Data>,
    run: String,
    round: u64,
    /// In the order of `data.draws`.
    draw_seeds: Vec<u64>,
    uuid_seed: u64,
    /// In the order of `data.feeds`.
    feeds: Vec<(RowChoice, Table)>,
}

impl Data {
    /// Reads the feeds and takes over the round's seed and ids.
    pub fn load<R>(self: &Arc<Self>, env: &RoundEnv<R>) -> Result<Arc<RoundData>, Failure> {
        let seed = |name: &str| name_seed(env.seed, name);
        let feeds = self.feeds.iter().map(|(name, spec)| {
            let (table, _) = files::load(&env.directory, spec)
                .map_err(|message| Failure::new(UNFIT, format!("feed `{name}`: {message}")))?;
            let choice = RowChoice {
                order: spec.order,
                rows: table.rows(),
                warmup_rows: spec.warmup_rows(env.warmup),
                name_seed: seed(name),
            };
            Ok((choice, table))
        });
        Ok(Arc::new(RoundData {
            run: env.run.clone(),
            round: env.round,
            draw_seeds: self.draws.iter().map(|(name, _)| seed(name)).collect(),
            uuid_seed: seed("uuid"),
            feeds: feeds.collect::<Result<_, Failure>>()?,
            data: Arc::clone(self),
        }))
    }
}

impl RoundData {
    /// Upper bound of a slot's length in bytes; of a capture, a guess.
    fn longest(&self, slot: &SlotSpec) -> usize {
        let value = match slot.source {
            Source::Op | Source::Session | Source::Round => 20,
            Source::Run => self.run.len(),
            Source::Uuid => Generator::UUID.longest(),
            Source::Variable(index) => self.data.variables[index as usize].1.len(),
            Source::Draw(index) => self.data.draws[index as usize].1.longest(),
            Source::Column { feed, column } => self.feeds[feed as usize].1.longest(column as usize),
            Source::Capture(_) => CAPTURE,
        };
        value
            .saturating_mul(slot.escape.growth())
            .min(MOST_RESERVED)
    }
}

/// The operation that wrote a slot, as the number of [`Values::begin`]s; constants are never written again.
const CONSTANT: u64 = u64::MAX;

/// A slot's value in the buffer.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: usize,
    end: usize,
    /// The generation of values it belongs to; 0 for none.
    generation: u64,
}

/// The values of one session.
#[derive(Debug)]
pub struct Values {
    round: Arc<RoundData>,
    session: u32,
    op: u64,
    generation: u64,
    /// The current row of each feed.
    rows: Box<[u64]>,
    /// Encoded values: constants, then those of the operation.
    buffer: Vec<u8>,
    constants_end: usize,
    spans: Box<[Span]>,
    captured: Vec<u8>,
    captures: Box<[Option<(usize, usize)>]>,
    /// A value before it is encoded.
    plain: Vec<u8>,
}

impl Values {
    /// The values of session number `session`, with the constant ones written.
    pub fn new(round: &Arc<RoundData>, session: u32) -> Result<Self, Failure> {
        let data = &round.data;
        let longest = data.slots.iter().map(|slot| round.longest(slot));
        let mut values = Self {
            round: Arc::clone(round),
            session,
            op: 0,
            generation: 0,
            rows: vec![0; round.feeds.len()].into(),
            buffer: Vec::with_capacity(longest.clone().sum()),
            constants_end: 0,
            spans: vec![Span::default(); data.slots.len()].into(),
            captured: Vec::with_capacity(data.captures as usize * CAPTURE),
            captures: vec![None; data.captures as usize].into(),
            plain: Vec::with_capacity(longest.max().unwrap_or(0)),
        };
        for (index, slot) in data.slots.iter().enumerate() {
            if slot.source.is_constant() {
                values.write(index)?;
                values.spans[index].generation = CONSTANT;
            }
        }
        values.constants_end = values.buffer.len();
        Ok(values)
    }

    /// Begins operation `op`: forgets the values and captures of the last one, and chooses the rows.
    #[inline]
    pub fn begin(&mut self, op: u64) -> Result<(), Failure> {
        self.op = op;
        self.generation += 1;
        self.buffer.truncate(self.constants_end);
        self.captured.clear();
        self.captures.fill(None);
        for (current, (choice, _)) in self.rows.iter_mut().zip(&self.round.feeds) {
            match choice.row(op) {
                Some(row) => *current = row,
                None => return Err(Failure::new(Failure::ROWS_END, "a feed has no more rows")),
            }
        }
        Ok(())
    }

    /// Writes the slots of a template that this operation has not written yet.
    #[inline]
    pub fn fill(&mut self, template: &Template) -> Result<(), Failure> {
        for Slot(index) in template.slots() {
            self.fill_slot(*index as usize)?;
        }
        Ok(())
    }

    #[inline]
    fn fill_slot(&mut self, index: usize) -> Result<(), Failure> {
        let generation = self.spans[index].generation;
        if generation == self.generation || generation == CONSTANT {
            return Ok(());
        }
        self.write(index)
    }

    /// The value of a slot, written if this operation has not done so yet.
    #[inline]
    pub fn get(&mut self, slot: Slot) -> Result<&[u8], Failure> {
        self.fill_slot(slot.0 as usize)?;
        Ok(self.value(slot))
    }

    /// The length of a template's text. The template has been filled.
    #[inline]
    pub fn rendered_len(&self, template: &Template) -> usize {
        template.length(|slot| self.value(slot))
    }

    /// Appends a template's text. The template has been filled.
    #[inline]
    pub fn render(&self, template: &Template, out: &mut Vec<u8>) {
        template.write(|slot| self.value(slot), out);
    }

    /// Keeps a value, which `write` appends to the buffer it gets, until the operation ends.
    pub fn capture(&mut self, Capture(index): Capture, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.captured.len();
        write(&mut self.captured);
        self.captures[index as usize] = Some((start, self.captured.len()));
        for (slot, span) in self.round.data.slots.iter().zip(&mut self.spans) {
            if slot.source == Source::Capture(index) {
                span.generation = 0;
            }
        }
    }

    /// A message without the values of environment variables, captures and columns named like a secret, in any encoding.
    #[cold]
    pub fn conceal(&self, message: &str) -> String {
        let variables = self
            .round
            .data
            .variables
            .iter()
            .map(|(_, value)| value.as_bytes());
        let captures = self.captures.iter().flatten();
        let captures = captures.map(|&(start, end)| &self.captured[start..end]);
        let feeds = self.round.feeds.iter().zip(&self.rows);
        let columns = feeds.flat_map(|((_, table), row)| {
            let secret = |(_, name): &(usize, &String)| {
                let key = Key::of(name);
                key.is_secret() || key.is_short()
            };
            let columns = table.columns.iter().enumerate().filter(secret);
            columns.map(|(column, _)| table.value(*row, column))
        });
        secrets::conceal(message, variables.chain(captures).chain(columns))
    }

    #[inline]
    fn value(&self, Slot(index): Slot) -> &[u8] {
        let span = self.spans[index as usize];
        debug_assert!(span.generation == self.generation || span.generation == CONSTANT);
        &self.buffer[span.start..span.end]
    }

    /// Writes a slot's value for the current operation.
    fn write(&mut self, index: usize) -> Result<(), Failure> {
        let Self {
            round,
            buffer,
            plain,
            ..
        } = self;
        let data = &round.data;
        let slot = &data.slots[index];
        let start = buffer.len();
        let result = match slot.source {
            Source::Op => {
                push_unsigned(self.op, buffer);
                Ok(())
            }
            Source::Session => {
                push_unsigned(u64::from(self.session), buffer);
                Ok(())
            }
            Source::Round => {
                push_unsigned(round.round, buffer);
                Ok(())
            }
            Source::Run => slot.escape.write(round.run.as_bytes(), buffer),
            Source::Variable(index) => slot
                .escape
                .write(data.variables[index as usize].1.as_bytes(), buffer),
            Source::Column { feed, column } => {
                let row = self.rows[feed as usize];
                slot.escape.write(
                    round.feeds[feed as usize].1.value(row, column as usize),
                    buffer,
                )
            }
            Source::Capture(index) => match self.captures[index as usize] {
                Some((start, end)) => slot.escape.write(&self.captured[start..end], buffer),
                None => Err("expected a value, got none: no response of this operation gave one"),
            },
            Source::Draw(index) => {
                let (generator, seed) = (
                    &data.draws[index as usize].1,
                    round.draw_seeds[index as usize],
                );
                drawn(generator, (seed, self.op), slot.escape, plain, buffer)
            }
            Source::Uuid => drawn(
                &Generator::UUID,
                (round.uuid_seed, self.op),
                slot.escape,
                plain,
                buffer,
            ),
        };
        result.map_err(|reason| unfit(slot, reason))?;
        self.spans[index] = Span {
            start,
            end: self.buffer.len(),
            generation: self.generation,
        };
        Ok(())
    }
}

/// Appends a drawn value; numbers need no encoding in any place.
#[inline]
fn drawn(
    generator: &Generator,
    (seed, op): (u64, u64),
    escape: Escape,
    plain: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), &'static str> {
    if generator.is_number() || escape == Escape::None {
        generator.write(seed, op, out);
        return Ok(());
    }
    plain.clear();
    generator.write(seed, op, plain);
    escape.write(plain, out)
}

/// The failure of a value that cannot stand in its place; it does not quote the value, which may be a secret.
#[cold]
fn unfit(slot: &SlotSpec, reason: &str) -> Failure {
    Failure::new(UNFIT, format!("`{{{{{}}}}}`: {reason}", slot.name))
}
