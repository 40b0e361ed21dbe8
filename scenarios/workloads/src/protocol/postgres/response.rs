//! Reads one query cycle: the server's messages until it is ready for the next query.
//!
//! Messages are dispatched on their type byte and read in place; nothing is allocated unless the server reports an
//! error. Such an error is stored, not returned: the server still becomes ready, and the connection remains usable.
//! Messages that a server may send at any time (notices, notifications, parameter changes) are skipped. Each message of
//! the request calls for its own answer, and answers come in that order: one that is missing or doubled is refused,
//! because what is left in the buffer would pass for the answer to the next request.

use super::error::{PgError, ServerError};
use super::row::Row;
use super::wire::{Cursor, Frame, HEADER_BYTES};
use crate::protocol::Advance;

const DURING: &str = "the results of a query";

/// The state of the session between cycles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TransactionStatus {
    /// Outside of a transaction.
    #[default]
    Idle,
    /// In a transaction.
    Active,
    /// In a failed transaction: the server accepts only its end.
    Failed,
}

/// The result of one cycle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The first error that the server reported.
    pub error: Option<ServerError>,
    /// Rows received.
    pub rows: u64,
    /// Rows according to the command tags of all statements: inserted, updated, deleted, selected and so on.
    pub rows_affected: u64,
    /// The same for each statement, in order.
    pub rows_of_statements: Vec<u64>,
    pub transaction_status: TransactionStatus,
}

/// Reader of the query cycles of one connection, one at a time.
#[derive(Debug)]
pub struct ResponseReader {
    max_message_bytes: usize,
    outcome: Outcome,
    /// Type bytes of the request's unanswered messages, last one first.
    calls: Vec<u8>,
    query: Query,
    /// Types of the parameters of each statement that was described, by OID.
    described: Vec<Vec<u32>>,
    /// True between the two answers to a Describe.
    is_described: bool,
    done: bool,
    failure: Option<PgError>,
}

/// Progress of a simple query, which may hold several statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Query {
    /// A statement is not complete yet.
    Running,
    /// All statements so far are complete.
    Complete,
    /// A statement failed, and no other is executed.
    Failed,
}

impl ResponseReader {
    /// A reader that accepts messages with a body of up to `max_message_bytes`; the caller's buffer has to hold a whole
    /// one, plus five bytes.
    pub fn new(max_message_bytes: usize) -> Self {
        ResponseReader {
            max_message_bytes,
            outcome: Outcome::default(),
            calls: Vec::new(),
            query: Query::Running,
            described: Vec::new(),
            is_described: false,
            done: false,
            failure: None,
        }
    }

    /// Starts reading the answer to `request`: the messages of one cycle, as [`encode`](super::encode) wrote them.
    pub fn begin(&mut self, request: &[u8]) {
        let mut rows_of_statements = std::mem::take(&mut self.outcome.rows_of_statements);
        rows_of_statements.clear();
        self.outcome = Outcome {
            rows_of_statements,
            ..Outcome::default()
        };
        self.described.clear();
        self.is_described = false;
        self.calls.clear();
        let mut rest = request;
        while let Some((&[tag, a, b, c, d], _)) = rest.split_first_chunk::<HEADER_BYTES>() {
            self.calls.push(tag);
            let length_bytes = u32::from_be_bytes([a, b, c, d]) as usize;
            rest = rest.get(1 + length_bytes..).unwrap_or_default();
        }
        self.calls.reverse();
        self.query = Query::Running;
        self.done = false;
        self.failure = None;
    }

    /// Reads the complete messages in `input` up to the end of the cycle, and passes each row to `sink`.
    ///
    /// An incomplete message is not consumed: the caller keeps it and calls again with more. Once done, nothing is
    /// consumed until the next [`begin`](Self::begin); a server can send notices at any time, and those that follow
    /// belong to the next cycle. Once failed, it repeats its error.
    ///
    /// # Errors
    ///
    /// A [`PgError`] for an invalid cycle, after which the connection is unusable. Errors that the server reports about
    /// a statement are in [`Outcome::error`].
    pub fn advance(
        &mut self,
        input: &[u8],
        sink: &mut (impl FnMut(Row<'_>) + ?Sized),
    ) -> Result<Advance, PgError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let mut consumed = 0;
        while !self.done {
            match self.step(&input[consumed..], sink) {
                Ok(0) => break,
                Ok(used) => consumed += used,
                Err(failure) => return Err(self.failure.insert(failure).clone()),
            }
        }
        let done = self.done;
        Ok(Advance { consumed, done })
    }

    /// Handles the peer's close.
    ///
    /// # Errors
    ///
    /// If the cycle was not done: [`PgError::Server`] if the server reported an error, [`PgError::Truncated`]
    /// otherwise.
    pub fn end_of_input(&mut self) -> Result<(), PgError> {
        if self.done {
            return Ok(());
        }
        let failure = match (&self.failure, &self.outcome.error) {
            (Some(failure), _) => failure.clone(),
            (None, Some(error)) => PgError::Server(error.clone()),
            (None, None) => PgError::Truncated { during: DURING },
        };
        Err(self.failure.insert(failure).clone())
    }

    /// The result of the cycle; complete once [`advance`](Self::advance) is done.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// Types of the parameters of each statement that the request described, by OID.
    pub fn described(&self) -> &[Vec<u32>] {
        &self.described
    }

    /// Reads the first message and returns its length; 0 if it is incomplete.
    fn step(
        &mut self,
        input: &[u8],
        sink: &mut (impl FnMut(Row<'_>) + ?Sized),
    ) -> Result<usize, PgError> {
        let Some(frame) = Frame::split(input, self.max_message_bytes)? else {
            return Ok(0);
        };
        match frame.tag {
            b'N' | b'A' | b'S' => return Ok(frame.bytes.len()),
            b'G' | b'H' | b'W' => return Err(PgError::Copy),
            tag => self.take_turn(tag)?,
        }
        match frame.tag {
            b'D' => {
                let row = Row::parse(&frame)?;
                self.outcome.rows += 1;
                sink(row);
            }
            b'C' => self.complete(&frame)?,
            b'Z' => self.ready(&frame)?,
            // ParseComplete, BindComplete; EmptyQueryResponse.
            b'1' | b'2' => expect_empty(&frame)?,
            b'I' => {
                expect_empty(&frame)?;
                self.outcome.rows_of_statements.push(0);
            }
            b't' => self.described.push(parameter_types(&frame)?),
            b'E' => {
                let error = frame.server_error()?;
                self.outcome.error.get_or_insert(error);
            }
            // RowDescription, whose content is not needed.
            _ => {}
        }
        Ok(frame.bytes.len())
    }

    /// Checks that the message `tag` is expected next.
    fn take_turn(&mut self, tag: u8) -> Result<(), PgError> {
        let call = self.calls.last().copied().unwrap_or_default();
        match (call, tag) {
            (b'P', b'1') | (b'B', b'2') | (b'E', b'C' | b'I') => drop(self.calls.pop()),
            (b'D', b't') if !self.is_described => self.is_described = true,
            (b'D', b'T' | b'n') if self.is_described => {
                self.is_described = false;
                self.calls.pop();
            }
            (b'Q', b'T' | b'D') if self.query != Query::Failed => self.query = Query::Running,
            (b'Q', b'C' | b'I') if self.query != Query::Failed => self.query = Query::Complete,
            // The server skips the rest of the cycle.
            (_, b'E') => {
                self.calls.truncate(1);
                self.query = Query::Failed;
            }
            (b'E', b'D') | (b'S', b'Z') => {}
            (b'Q', b'Z') if self.query != Query::Running => {}
            _ => {
                let during = DURING;
                return Err(PgError::Unexpected { tag, during });
            }
        }
        Ok(())
    }

    /// CommandComplete: `SELECT 5`, `INSERT 0 1`, `CREATE TABLE`.
    fn complete(&mut self, frame: &Frame<'_>) -> Result<(), PgError> {
        let Some((0, tag)) = frame.body.split_last() else {
            return Err(frame.malformed("command tag without end"));
        };
        let rows = rows_affected(tag);
        self.outcome.rows_affected = self.outcome.rows_affected.saturating_add(rows);
        self.outcome.rows_of_statements.push(rows);
        Ok(())
    }

    fn ready(&mut self, frame: &Frame<'_>) -> Result<(), PgError> {
        self.outcome.transaction_status = match frame.body {
            b"I" => TransactionStatus::Idle,
            b"T" => TransactionStatus::Active,
            b"E" => TransactionStatus::Failed,
            _ => return Err(frame.malformed("unknown transaction status")),
        };
        self.done = true;
        Ok(())
    }
}

fn expect_empty(frame: &Frame<'_>) -> Result<(), PgError> {
    if frame.body.is_empty() {
        return Ok(());
    }
    Err(frame.malformed("expected an empty body"))
}

/// ParameterDescription: the OIDs of the types.
fn parameter_types(frame: &Frame<'_>) -> Result<Vec<u32>, PgError> {
    let mut cursor = Cursor(frame.body);
    let count = cursor.u16().ok_or(frame.malformed("no parameter count"))?;
    let types: Option<Vec<u32>> = (0..count)
        .map(|_| cursor.i32().map(i32::cast_unsigned))
        .collect();
    let types = types.ok_or(frame.malformed("parameter beyond its end"))?;
    if !cursor.is_empty() {
        return Err(frame.malformed("bytes after its last parameter"));
    }
    Ok(types)
}

/// The number at the end of a command tag, or 0.
fn rows_affected(tag: &[u8]) -> u64 {
    let digits = tag.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    digits
        .iter()
        .try_fold(0_u64, |rows, byte| {
            let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
            rows.checked_mul(10)?.checked_add(digit)
        })
        .unwrap_or(0)
}
