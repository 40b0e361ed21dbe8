//! The PostgreSQL reader on pipelines: several statements with one Sync, notices and settings anywhere, an error that skips
//! everything up to the Sync, and the next cycle on the same connection.

use photofinish_workloads::protocol::postgres::{
    Outcome, ResponseReader, Row, TransactionStatus, encode,
};
use proptest::prelude::*;

use crate::support::backend_messages::{cut, fields, message, row};

/// A statement of a pipeline, and how a server responds to it.
#[derive(Clone, Debug)]
struct Statement {
    /// Sends Parse before Bind.
    parsed: bool,
    rows: u64,
    returns_rows: bool,
}

/// A pipeline, and the statement that fails, if any: in its Parse or Bind, or in its Execute.
#[derive(Clone, Debug)]
struct Pipeline {
    statements: Vec<Statement>,
    failure: Option<(usize, bool)>,
}

fn pipelines() -> impl Strategy<Value = Pipeline> {
    let statement =
        (any::<bool>(), 0_u64..5, any::<bool>()).prop_map(|(parsed, rows, returns_rows)| {
            Statement {
                parsed,
                rows,
                returns_rows,
            }
        });
    let failure = prop::option::of((0_usize..6, any::<bool>()));
    (prop::collection::vec(statement, 1..6), failure).prop_map(|(statements, failure)| Pipeline {
        failure: failure.filter(|(at, _)| *at < statements.len()),
        statements,
    })
}

/// Messages that a server may send between any two others, by number.
fn at_any_time(choice: u8) -> Vec<u8> {
    match choice % 8 {
        0 => fields(b'N', &[('S', "WARNING"), ('C', "01000"), ('M', "note")]),
        1 => message(b'S', b"TimeZone\0UTC\0"),
        2 => message(b'A', b"\0\0\0\x01channel\0payload\0"),
        _ => Vec::new(),
    }
}

impl Pipeline {
    fn request(&self) -> Vec<u8> {
        let mut request = Vec::new();
        for statement in &self.statements {
            if statement.parsed {
                encode::parse("", "SELECT 1", &[], &mut request).expect("encoded");
            }
            encode::bind_execute_unsynced("", &[], &mut request).expect("encoded");
        }
        encode::sync(&mut request);
        request
    }

    /// The response, with the messages chosen by `others` in between.
    fn response(&self, others: &[u8]) -> Vec<u8> {
        let mut messages = Vec::new();
        for (index, statement) in self.statements.iter().enumerate() {
            let fails = self.failure.filter(|(at, _)| *at == index);
            let error = || fields(b'E', &[('S', "ERROR"), ('C', "22012"), ('M', "by zero")]);
            if let Some((_, false)) = fails {
                messages.push(error());
                break;
            }
            if statement.parsed {
                messages.push(message(b'1', b""));
            }
            messages.push(message(b'2', b""));
            if statement.returns_rows {
                let one = row(&[Some(b"1".to_vec())]);
                messages.extend((0..statement.rows).map(|_| one.clone()));
            }
            if fails.is_some() {
                messages.push(error());
                break;
            }
            let verb = if statement.returns_rows {
                "SELECT"
            } else {
                "UPDATE"
            };
            messages.push(message(
                b'C',
                format!("{verb} {}\0", statement.rows).as_bytes(),
            ));
        }
        messages.push(message(b'Z', b"I"));
        let mut others = others.iter().cycle();
        let between = messages.into_iter().flat_map(|message| {
            let other = others
                .next()
                .map_or_else(Vec::new, |choice| at_any_time(*choice));
            [other, message]
        });
        between.collect::<Vec<_>>().concat()
    }

    /// Row counts of the completed statements.
    fn rows(&self) -> Vec<u64> {
        let completed = self.failure.map_or(self.statements.len(), |(at, _)| at);
        let completed = self.statements[..completed].iter();
        completed.map(|statement| statement.rows).collect()
    }
}

/// Reads the response to one pipeline; the bytes must end with it.
fn read(reader: &mut ResponseReader, pipeline: &Pipeline, pieces: &[&[u8]]) -> Outcome {
    reader.begin(&pipeline.request());
    let mut buffer = Vec::new();
    let mut is_done = false;
    for piece in pieces {
        assert!(!is_done || piece.is_empty(), "done before the end");
        buffer.extend_from_slice(piece);
        let advance = reader
            .advance(&buffer, &mut |_: Row<'_>| ())
            .expect("valid");
        buffer.drain(..advance.consumed);
        is_done = advance.done;
    }
    assert!(is_done && buffer.is_empty(), "{} bytes left", buffer.len());
    reader.outcome().clone()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// One Sync gets one ReadyForQuery, whatever precedes it: the next pipeline is read as if it were the first.
    #[test]
    fn an_error_skips_to_the_sync_and_other_messages_may_come_anywhere(
        pipelines in prop::collection::vec(pipelines(), 1..4),
        others in prop::collection::vec(any::<u8>(), 1..20),
        at in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let mut reader = ResponseReader::new(1 << 16);
        for pipeline in &pipelines {
            let response = pipeline.response(&others);
            let outcome = read(&mut reader, pipeline, &cut(&response, &at));
            prop_assert_eq!(outcome.error.is_some(), pipeline.failure.is_some());
            prop_assert_eq!(outcome.rows_of_statements, pipeline.rows());
            prop_assert_eq!(outcome.transaction_status, TransactionStatus::Idle);
        }
    }

    /// A response that lacks a completed statement, or has one too many, is never taken for complete.
    #[test]
    fn a_response_to_another_pipeline_is_an_error(asked in pipelines(), answered in pipelines(), others in prop::collection::vec(any::<u8>(), 1..20)) {
        let shape = |pipeline: &Pipeline| -> Vec<bool> {
            pipeline.statements.iter().map(|statement| statement.parsed).collect()
        };
        prop_assume!(answered.failure.is_none() && shape(&asked) != shape(&answered));
        let mut reader = ResponseReader::new(1 << 16);
        reader.begin(&asked.request());
        let result = reader.advance(&answered.response(&others), &mut |_: Row<'_>| ());
        prop_assert!(result.is_err(), "{:?}", reader.outcome());
    }
}
