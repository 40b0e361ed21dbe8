//! PostgreSQL's answers, to a login and to requests: no panic, and the same result for any division of the bytes.
//!
//! The first byte selects the request, the second where the answer is divided.

#![no_main]

use libfuzzer_sys::fuzz_target;
use photofinish_workloads::protocol::postgres::{
    Outcome, PgConfig, PgError, ResponseReader, Row, Secret, Startup,
};

/// A simple query; an execution; two statements to prepare.
const REQUESTS: [&[u8]; 3] = [
    b"Q\0\0\0\x04",
    b"B\0\0\0\x04E\0\0\0\x04S\0\0\0\x04",
    b"P\0\0\0\x04P\0\0\0\x04S\0\0\0\x04",
];

const MAX_MESSAGE_BYTES: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let Some((&[request, cut], bytes)) = data.split_first_chunk::<2>() else {
        return;
    };
    let (start, end) = bytes.split_at(usize::from(cut) * bytes.len() / 256);
    match REQUESTS.get(usize::from(request) % 4) {
        Some(request) => assert_eq!(cycle(request, &[bytes]), cycle(request, &[start, end])),
        None => assert_eq!(login(&[bytes]), login(&[start, end])),
    }
});

/// Cells of all rows, one after the other; `None` for NULL.
type Cells = Vec<Option<Vec<u8>>>;

/// Feeds the pieces, keeping what is not consumed, and then the end; the outcome has the length of the answer.
fn cycle(request: &[u8], pieces: &[&[u8]]) -> (Cells, Result<(Outcome, usize), PgError>) {
    let mut reader = ResponseReader::new(MAX_MESSAGE_BYTES);
    reader.begin(request);
    let mut cells = Vec::new();
    let mut sink = |row: Row<'_>| cells.extend(row.iter().map(|cell| cell.map(<[u8]>::to_vec)));
    let length = feed(pieces, |input| {
        let advance = reader.advance(input, &mut sink)?;
        Ok((advance.consumed, advance.done))
    });
    let result = match length {
        Ok((length, false)) => reader.end_of_input().map(|()| length),
        Ok((length, true)) => Ok(length),
        Err(error) => Err(error),
    };
    (
        cells,
        result.map(|length| (reader.outcome().clone(), length)),
    )
}

fn login(pieces: &[&[u8]]) -> Result<usize, PgError> {
    let config = PgConfig {
        password: Some(Secret::new("secret")),
        ..PgConfig::new("ann")
    };
    let mut out = Vec::new();
    let mut startup = Startup::begin(&config, &mut out).expect("a sound login");
    let read = feed(pieces, |input| {
        let advance = startup.advance(input, &mut out)?;
        Ok((advance.consumed, advance.done))
    });
    match read? {
        (length, false) => startup.end_of_input().map(|()| length),
        (length, true) => Ok(length),
    }
}

/// Feeds pieces to `advance`; the bytes that it consumed, and true if it came to an end.
fn feed(
    pieces: &[&[u8]],
    mut advance: impl FnMut(&[u8]) -> Result<(usize, bool), PgError>,
) -> Result<(usize, bool), PgError> {
    let (mut input, mut length) = (Vec::new(), 0);
    for piece in pieces {
        input.extend_from_slice(piece);
        let (consumed, done) = advance(&input)?;
        input.drain(..consumed);
        length += consumed;
        if done {
            return Ok((length, true));
        }
    }
    Ok((length, false))
}
