//! The HTTP reader returns the same results and errors for any split of its input, and never panics.

use photofinish_workloads::protocol::http::{HttpError, Limits, Method, ResponseReader};
use proptest::prelude::*;

use crate::support::http_responses::{CORPUS, Read, cut, mutants, read, samples};

/// Limits small enough for generated responses to reach them.
fn limits(max_head_bytes: usize, max_headers: usize, max_body_bytes: u64) -> Limits {
    Limits {
        max_head_bytes,
        max_headers,
        max_body_bytes,
    }
}

fn check_every_cut(limits: Limits, method: Method, bytes: &[u8]) {
    let whole = read(limits, method, [bytes]);
    let one_by_one = read(limits, method, bytes.chunks(1));
    assert_eq!(one_by_one, whole, "byte by byte: {}", bytes.escape_ascii());
    for place in 0..=bytes.len() {
        let in_two = read(limits, method, [&bytes[..place], &bytes[place..]]);
        assert_eq!(in_two, whole, "cut at {place}: {}", bytes.escape_ascii());
    }
}

#[test]
fn a_split_anywhere_in_the_corpus_changes_nothing() {
    for bytes in CORPUS {
        for method in [Method::Get, Method::Head] {
            check_every_cut(Limits::default(), method, bytes);
            for max_head_bytes in [1, 20, 36, 60] {
                check_every_cut(limits(max_head_bytes, 1, 4), method, bytes);
            }
        }
    }
}

/// Default and small limits, so that each can be the first one exceeded.
fn some_limits() -> impl Strategy<Value = Limits> {
    prop_oneof![
        Just(Limits::default()),
        (1_usize..200, 0_usize..8, 0_u64..100)
            .prop_map(|(head, headers, body)| limits(head, headers, body)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_division_of_a_valid_response_changes_nothing(
        sample in samples(), limits in some_limits(), at in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let whole = read(limits, sample.method, [sample.bytes.as_slice()]);
        prop_assert_eq!(read(limits, sample.method, cut(&sample.bytes, &at)), whole);
    }

    #[test]
    fn any_division_of_a_broken_response_changes_nothing(
        sample in mutants(), limits in some_limits(), at in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let whole = read(limits, sample.method, [sample.bytes.as_slice()]);
        prop_assert_eq!(read(limits, sample.method, cut(&sample.bytes, &at)), whole);
    }

    /// `read` asserts that no more is consumed than there is.
    #[test]
    fn garbage_never_panics_and_is_read_the_same_in_any_division(
        bytes in prop::collection::vec(any::<u8>(), 0..300), at in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let whole = read(Limits::default(), Method::Get, [bytes.as_slice()]);
        prop_assert_eq!(read(Limits::default(), Method::Get, cut(&bytes, &at)), whole);
    }

    #[test]
    fn garbage_after_a_chunked_head_never_panics_and_is_read_the_same_in_any_division(
        garbage in "[0-3a\r\n;: -~]{0,40}", at in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let bytes = [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", garbage.as_bytes()].concat();
        let whole = read(Limits::default(), Method::Get, [bytes.as_slice()]);
        prop_assert_eq!(read(Limits::default(), Method::Get, cut(&bytes, &at)), whole);
    }

    /// A reader is reused; one response must not affect the next.
    #[test]
    fn a_reader_forgets_the_previous_response(
        first in mutants(), second in samples(), at in prop::collection::vec(any::<usize>(), 0..4),
    ) {
        let mut reader = ResponseReader::new(Limits::default());
        let mut body = Vec::new();
        reader.begin(first.method);
        for piece in cut(&first.bytes, &at) {
            let _whatever = reader.advance(piece, &mut body);
        }
        body.clear();
        reader.begin(second.method);
        for piece in cut(&second.bytes, &at) {
            let _ = reader.advance(piece, &mut body)?;
        }
        reader.end_of_input()?;
        prop_assert_eq!(
            (reader.status(), body, reader.keep_alive()),
            (second.status, second.body, second.keep_alive)
        );
    }
}

/// What a broken field is called must not depend on what came after it, or had not yet come.
#[test]
fn a_broken_field_is_named_alike_in_any_division() {
    let head = |fields: &str| format!("HTTP/1.0 200 \r\n{fields}\r\n\r\n");
    for (fields, name, byte) in [
        (":\rx-a: 0\r\nContent-Length: 10", "", b':'),
        ("Server: a\r\nBad Name: 1\r\nX: 2", "Bad", b' '),
        ("NoColon\nX: 2", "NoColon", b'\n'),
        ("X: 1\r\nBell: \x07\r\nY: 2", "Bell", 7),
    ] {
        let bytes = head(fields);
        let whole = read(Limits::default(), Method::Get, [bytes.as_bytes()]);
        assert!(
            matches!(&whole, Read::Error(HttpError::MalformedHead { field: Some(field), .. })
                if field.name == name && field.byte == byte),
            "{fields:?}: {whole:?}"
        );
        check_every_cut(Limits::default(), Method::Get, bytes.as_bytes());
        check_every_cut(limits(53, 1, 4), Method::Get, bytes.as_bytes());
    }
}

/// A failed reader must repeat its error rather than read more input as a response.
#[test]
fn an_error_persists_until_the_next_request() {
    let mut reader = ResponseReader::new(Limits::default());
    let mut body = Vec::new();
    reader.begin(Method::Get);
    let error = reader.advance(b"HTTP/3 ", &mut body).unwrap_err();
    let valid = b"HTTP/1.1 204 No Content\r\n\r\n";
    assert_eq!(reader.advance(valid, &mut body), Err(error.clone()));
    assert_eq!(reader.end_of_input(), Err(error));
    reader.begin(Method::Get);
    assert!(reader.advance(valid, &mut body).unwrap().done);
    assert_eq!(reader.end_of_input(), Ok::<(), HttpError>(()));
}
