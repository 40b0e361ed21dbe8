//! The PostgreSQL reader on query cycles: literal, split anywhere, invalid, and compared with an oracle.
//!
//! The oracle is the message parser of `postgres-protocol`, which the reader does not use.

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use photofinish_workloads::protocol::postgres::{ResponseReader, Row, TransactionStatus};
use postgres_protocol::message::backend::Message;
use proptest::prelude::*;

use crate::support::backend_messages::{
    Cells, Read, broken_cycles, columns, cut, cycles, fields, message, query, read, row,
};

const LIMIT_BYTES: usize = 1 << 16;

/// Reads the rows with the oracle, up to ReadyForQuery; `None` for malformed input.
fn oracle(bytes: &[u8]) -> Option<Vec<Cells>> {
    let mut buffer = BytesMut::from(bytes);
    let mut rows = Vec::new();
    loop {
        if let Some(skipped) = skip_unread(&buffer) {
            let _ = buffer.split_to(skipped);
            continue;
        }
        match Message::parse(&mut buffer).ok()?? {
            Message::ReadyForQuery(_) => return Some(rows),
            Message::DataRow(body) => {
                let ranges: Vec<_> = body.ranges().collect().ok()?;
                let cell =
                    |range: Option<_>| range.map(|range| body.buffer_bytes().slice(range).to_vec());
                rows.push(ranges.into_iter().map(cell).collect());
            }
            _ => {}
        }
    }
}

/// The length of a message whose content the reader ignores: a description of rows, a notice, a notification, a
/// parameter change.
fn skip_unread(buffer: &[u8]) -> Option<usize> {
    let (&[tag, a, b, c, d], _) = buffer.split_first_chunk::<5>()?;
    let bytes = u32::from_be_bytes([a, b, c, d]) as usize + 1;
    (b"TNAS".contains(&tag) && bytes <= buffer.len()).then_some(bytes)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn valid_cycles_are_read_as_by_the_oracle(bytes in cycles()) {
        let read = read(LIMIT_BYTES, [bytes.as_slice()]);
        let consumed = read.result.map(|(_, consumed)| consumed);
        prop_assert_eq!(consumed, Ok(bytes.len()));
        prop_assert_eq!(Some(read.rows), oracle(&bytes));
    }

    #[test]
    fn any_division_of_a_valid_cycle_changes_nothing(
        bytes in cycles(), limit in prop_oneof![Just(LIMIT_BYTES), 0_usize..60],
        at in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let whole = read(limit, [bytes.as_slice()]);
        prop_assert_eq!(&read(limit, cut(&bytes, &at)), &whole);
        prop_assert_eq!(read(limit, bytes.chunks(1)), whole);
    }

    #[test]
    fn any_division_of_a_broken_cycle_changes_nothing(
        bytes in broken_cycles(), at in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let whole = read(LIMIT_BYTES, [bytes.as_slice()]);
        prop_assert_eq!(read(LIMIT_BYTES, cut(&bytes, &at)), whole);
    }

    /// The reader may be stricter than the oracle, never laxer. Command tags need not be text.
    #[test]
    fn accepted_malformed_cycles_are_read_as_by_the_oracle(bytes in broken_cycles()) {
        let Read { rows, result } = read(LIMIT_BYTES, [bytes.as_slice()]);
        if result.is_ok() && let Some(expected) = oracle(&bytes) {
            prop_assert_eq!(rows, expected);
        }
    }

    #[test]
    fn garbage_never_panics_and_is_read_the_same_in_any_division(
        bytes in prop::collection::vec(any::<u8>(), 0..200), at in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let whole = read(LIMIT_BYTES, [bytes.as_slice()]);
        prop_assert_eq!(read(LIMIT_BYTES, cut(&bytes, &at)), whole);
    }
}

/// `expected` is a summary of the outcome, or the kind and text of the error.
fn check(messages: &[Vec<u8>], expected: &str) {
    let actual = match read(40, [messages.concat().as_slice()]).result {
        Err(error) => format!("{}: {error}", error.kind()),
        Ok((outcome, _)) => format!(
            "{} rows, {} affected, {:?}{}",
            outcome.rows,
            outcome.rows_affected,
            outcome.transaction_status,
            outcome
                .error
                .map_or_else(String::new, |error| format!(", {error}")),
        ),
    };
    assert_eq!(actual, expected, "{messages:?}");
}

fn ready(status: &[u8]) -> Vec<u8> {
    message(b'Z', status)
}

fn tag(tag: &str) -> Vec<u8> {
    message(b'C', tag.as_bytes())
}

#[test]
fn the_outcome_of_a_cycle_sums_up_its_statements() {
    check(&[tag("BEGIN\0"), ready(b"I")], "0 rows, 0 affected, Idle");
    let rows = [row(&[Some(b"1".to_vec()), None]), row(&[])];
    check(
        &[
            columns(&[("a".into(), 23)]),
            rows.concat(),
            tag("SELECT 2\0"),
            ready(b"T"),
        ],
        "2 rows, 2 affected, Active",
    );
    check(
        &[
            tag("INSERT 0 3\0"),
            message(b'I', b""),
            tag("BEGIN\0"),
            tag("DELETE 40\0"),
            ready(b"I"),
        ],
        "0 rows, 43 affected, Idle",
    );
    let notice = fields(b'N', &[('M', "note")]);
    check(
        &[notice.clone(), tag("SET\0"), notice, ready(b"I")],
        "0 rows, 0 affected, Idle",
    );
}

#[test]
fn an_error_of_a_statement_leaves_the_connection_usable() {
    let error = fields(
        b'E',
        &[
            ('S', "FEHLER"),
            ('V', "ERROR"),
            ('C', "23505"),
            ('M', "twice"),
        ],
    );
    check(
        &[tag("BEGIN\0"), error, ready(b"E")],
        "0 rows, 0 affected, Failed, ERROR 23505: twice",
    );
    let detailed = fields(
        b'E',
        &[('S', "ERROR"), ('M', "m"), ('D', "why"), ('H', "how")],
    );
    check(
        &[detailed, ready(b"I")],
        "0 rows, 0 affected, Idle, ERROR : m (why) (hint: how)",
    );
}

#[test]
fn a_close_is_short_unless_the_server_reported_an_error() {
    check(
        &[],
        "short: connection closed while waiting for the results of a query",
    );
    check(
        &[tag("SELECT 1\0")],
        "short: connection closed while waiting for the results of a query",
    );
    let fatal = fields(
        b'E',
        &[('V', "FATAL"), ('C', "57P01"), ('M', "shutting down")],
    );
    check(
        &[fatal],
        "server: server reported FATAL 57P01: shutting down",
    );
}

#[test]
fn a_violation_of_the_protocol_is_an_error() {
    let malformed = |message: Vec<u8>, tag: &str, reason: &str| {
        check(
            &[message],
            &format!("malformed: malformed message '{tag}': {reason}"),
        );
    };
    malformed(b"D\0\0\0\x03".to_vec(), "D", "length below 4");
    malformed(message(b'D', b"\0"), "D", "no column count");
    malformed(
        message(b'D', b"\0\x01\0\0\0\x02x"),
        "D",
        "column beyond its end",
    );
    malformed(
        message(b'D', b"\0\x01\0\0\0\x01xy"),
        "D",
        "bytes after its last column",
    );
    malformed(message(b'C', b"SELECT 1"), "C", "command tag without end");
    let ready_for_what = [tag("SET\0"), message(b'Z', b"X")].concat();
    malformed(ready_for_what, "Z", "unknown transaction status");
    malformed(message(b'I', b"x"), "I", "expected an empty body");
    malformed(message(b'E', b"Mtext"), "E", "field without end");
    check(
        &[message(b'D', &[0; 41])],
        "too-large: message 'D' of 45 bytes is longer than 40 bytes",
    );
    check(
        &[message(b'?', b"")],
        "unexpected: unexpected message '?' during the results of a query",
    );
    check(
        &[message(b'R', b"\0\0\0\0")],
        "unexpected: unexpected message 'R' during the results of a query",
    );
    // Nobody asks for a description of parameters.
    check(
        &[message(b't', b"\0\0")],
        "unexpected: unexpected message 't' during the results of a query",
    );
    for copy in [b'G', b'H', b'W'] {
        check(
            &[message(copy, b"\0\0\0")],
            "unexpected: statement started a COPY, which is not supported",
        );
    }
    check(
        &[message(b'N', &[0; 40]), tag("SET\0"), ready(b"I")],
        "0 rows, 0 affected, Idle",
    );
    // A peer of another protocol: its first letters are read as a type and a length.
    check(
        &[b"HTTP/1.1 400".to_vec()],
        "too-large: message 'H' of 1414811695 bytes is longer than 40 bytes",
    );
}

/// Reads `answer` as that to a request of messages of the types `calls`.
#[track_caller]
fn check_order(calls: &[u8], answer: &[u8], unexpected: Option<char>) {
    let mut request = Vec::new();
    for &call in calls {
        request.extend(message(call, b"body\0"));
    }
    let mut messages = Vec::new();
    for &kind in answer {
        messages.extend(match kind {
            b'C' => tag("SELECT 1\0"),
            b'D' => row(&[None]),
            b'E' => fields(b'E', &[('C', "22012")]),
            b'T' => columns(&[]),
            b'Z' => ready(b"I"),
            kind => message(kind, b""),
        });
    }
    let mut reader = ResponseReader::new(LIMIT_BYTES);
    reader.begin(&request);
    let read = reader.advance(&messages, &mut |_| ());
    match unexpected {
        None => assert!(read.expect("an answer in order").done, "{answer:?}"),
        Some(tag) => assert_eq!(
            read.expect_err("out of order").to_string(),
            format!("unexpected message '{tag}' during the results of a query"),
        ),
    }
}

#[test]
fn each_message_of_a_request_is_answered_in_order() {
    for answer in [
        &b"2DDCZ"[..],
        b"2CZ",
        b"2IZ",
        b"EZ",
        b"2EZ",
        b"2DEZ",
        b"2NDACZ",
    ] {
        check_order(b"BES", answer, None);
    }
    for answer in [&b"1112CZ"[..], b"11EZ", b"1112DEZ"] {
        check_order(b"PPPBES", answer, None);
    }
    check_order(b"PPS", b"11Z", None);
    for answer in [
        &b"CZ"[..],
        b"TDCZ",
        b"CCTCIZ",
        b"EZ",
        b"CEZ",
        b"TDEZ",
        b"IZ",
    ] {
        check_order(b"Q", answer, None);
    }
    // A ReadyForQuery that was left over from the cycle before, and other messages that are missing or doubled.
    for (calls, answer, unexpected) in [
        (&b"BES"[..], &b"Z"[..], 'Z'),
        (b"BES", b"DCZ", 'D'),
        (b"BES", b"CZ", 'C'),
        (b"BES", b"2Z", 'Z'),
        (b"BES", b"2DZ", 'Z'),
        (b"BES", b"22CZ", '2'),
        (b"BES", b"2CCZ", 'C'),
        (b"BES", b"2CDZ", 'D'),
        (b"BES", b"12CZ", '1'),
        (b"BES", b"2EDCZ", 'D'),
        (b"PPS", b"1Z", 'Z'),
        (b"PPS", b"111Z", '1'),
        (b"Q", b"Z", 'Z'),
        (b"Q", b"TDZ", 'Z'),
        (b"Q", b"CTZ", 'Z'),
        (b"Q", b"ECZ", 'C'),
        (b"Q", b"1CZ", '1'),
        (b"Q", b"2CZ", '2'),
        (b"", b"Z", 'Z'),
    ] {
        check_order(calls, answer, Some(unexpected));
    }
}

#[test]
fn server_text_is_truncated_and_sanitised_before_it_is_kept() {
    let cleaned = |text: &str| {
        let error = fields(b'E', &[('M', text), ('D', text), ('H', text), ('C', text)]);
        let answer = [error, ready(b"I")].concat();
        let outcome = read(64 << 20, [answer.as_slice()])
            .result
            .expect("a cycle")
            .0;
        outcome.error.expect("an error").to_string()
    };
    assert_eq!(
        cleaned("a\x1b[2J\n::error::b\u{9b}c\r"),
        " a [2J ::error::b c : a [2J ::error::b c  (a [2J ::error::b c ) (hint: a [2J ::error::b c )"
    );
    for letter in ["x", "é", "…", "🦀"] {
        let long = cleaned(&letter.repeat(1 << 20));
        assert!(long.len() < 2_200, "{}", long.len());
        assert!(!long.contains('\u{fffd}') && long.contains('…'), "{long}");
    }
}

#[test]
fn a_cycle_ends_at_ready_for_query() {
    let begun = [tag("BEGIN\0"), ready(b"T")].concat();
    let late = fields(b'N', &[('M', "late")]);
    let input = [begun.clone(), late, tag("COMMIT\0"), ready(b"I")].concat();
    let mut reader = ResponseReader::new(LIMIT_BYTES);
    reader.begin(&query());
    let first = reader.advance(&input, &mut |_| ()).unwrap();
    assert_eq!((first.consumed, first.done), (begun.len(), true));
    assert_eq!(
        reader.outcome().transaction_status,
        TransactionStatus::Active
    );
    let again = reader.advance(&input[begun.len()..], &mut |_| ()).unwrap();
    assert_eq!((again.consumed, again.done), (0, true));
    reader.begin(&query());
    let second = reader.advance(&input[begun.len()..], &mut |_| ()).unwrap();
    assert_eq!(
        (second.consumed, second.done),
        (input.len() - begun.len(), true)
    );
    assert_eq!(reader.outcome().transaction_status, TransactionStatus::Idle);
}

#[test]
fn an_error_persists_until_the_next_cycle() {
    let mut reader = ResponseReader::new(LIMIT_BYTES);
    reader.begin(&query());
    let error = reader
        .advance(&message(b'?', b""), &mut |_| ())
        .unwrap_err();
    assert_eq!(
        reader.advance(&ready(b"I"), &mut |_| ()),
        Err(error.clone())
    );
    assert_eq!(reader.end_of_input(), Err(error));
    reader.begin(&query());
    let answer = [tag("SET\0"), ready(b"I")].concat();
    assert!(reader.advance(&answer, &mut |_| ()).unwrap().done);
    assert_eq!(reader.end_of_input(), Ok(()));
}

#[test]
fn reading_a_cycle_allocates_nothing() {
    let rows = row(&[Some(b"12345".to_vec()), None]).repeat(20);
    let input = [
        columns(&[("a".into(), 23)]),
        rows,
        tag("SELECT 20\0"),
        ready(b"I"),
    ]
    .concat();
    let mut reader = ResponseReader::new(LIMIT_BYTES);
    let request = query();
    // The room for the request's type bytes, and for the rows of its statements.
    reader.begin(&request);
    assert!(reader.advance(&input, &mut |_| ()).unwrap().done);
    let mut cells = 0;
    let allocations = allocation_counter::measure(|| {
        reader.begin(&request);
        let mut sink = |row: Row<'_>| cells += row.iter().flatten().count();
        assert!(reader.advance(&input, &mut sink).unwrap().done);
    });
    assert_eq!((cells, allocations.count_total), (20, 0));
}
