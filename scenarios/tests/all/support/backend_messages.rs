//! Query cycles of a PostgreSQL server, built independently of the code under test, and the loop that feeds the reader.

use photofinish_workloads::protocol::postgres::{Outcome, PgError, ResponseReader, Row};
use proptest::prelude::*;

pub(crate) fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

/// An ErrorResponse or NoticeResponse with the given fields.
pub(crate) fn fields(tag: u8, fields: &[(char, &str)]) -> Vec<u8> {
    let mut body = String::new();
    for (field, text) in fields {
        body += &format!("{field}{text}\0");
    }
    message(tag, (body + "\0").as_bytes())
}

pub(crate) fn row(cells: &[Option<Vec<u8>>]) -> Vec<u8> {
    let mut body = u16::try_from(cells.len()).unwrap().to_be_bytes().to_vec();
    for cell in cells {
        let length = cell
            .as_ref()
            .map_or(-1, |cell| i32::try_from(cell.len()).unwrap());
        body.extend(length.to_be_bytes());
        body.extend(cell.iter().flatten());
    }
    message(b'D', &body)
}

/// A RowDescription of columns of the given names and types.
pub(crate) fn columns(columns: &[(String, u32)]) -> Vec<u8> {
    let mut body = u16::try_from(columns.len()).unwrap().to_be_bytes().to_vec();
    for (name, type_oid) in columns {
        body.extend(
            [
                name.as_bytes(),
                b"\0",
                &[0; 6],
                &type_oid.to_be_bytes(),
                &[0; 8],
            ]
            .concat(),
        );
    }
    message(b'T', &body)
}

pub(crate) type Cells = Vec<Option<Vec<u8>>>;

/// A request that may hold any number of statements.
pub(crate) fn query() -> Vec<u8> {
    message(b'Q', b"SELECT 1; SELECT 2\0")
}

/// The result of reading a byte stream followed by a close.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) rows: Vec<Cells>,
    /// The outcome, and the bytes up to the end of the cycle.
    pub(crate) result: Result<(Outcome, usize), PgError>,
}

/// Feeds the pieces as a socket would, keeping what was not consumed, then closes.
pub(crate) fn read<'a>(
    max_message_bytes: usize,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Read {
    let mut reader = ResponseReader::new(max_message_bytes);
    reader.begin(&query());
    let mut rows = Vec::new();
    let mut consumed = 0;
    let result = feed(&mut reader, &mut rows, &mut consumed, pieces);
    Read {
        rows,
        result: result.map(|()| (reader.outcome().clone(), consumed)),
    }
}

fn feed<'a>(
    reader: &mut ResponseReader,
    rows: &mut Vec<Cells>,
    consumed: &mut usize,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(), PgError> {
    let mut buffer = Vec::new();
    let mut sink =
        |row: Row<'_>| rows.push(row.iter().map(|cell| cell.map(<[u8]>::to_vec)).collect());
    for piece in pieces {
        buffer.extend_from_slice(piece);
        let advance = reader.advance(&buffer, &mut sink)?;
        assert!(
            advance.consumed <= buffer.len(),
            "{} of {}",
            advance.consumed,
            buffer.len()
        );
        buffer.drain(..advance.consumed);
        *consumed += advance.consumed;
        if advance.done {
            return Ok(());
        }
    }
    reader.end_of_input()
}

/// Valid answers to a simple query: results of statements, perhaps an error, then ReadyForQuery, with messages that a
/// server may send at any time in between.
pub(crate) fn cycles() -> impl Strategy<Value = Vec<u8>> {
    let cell = prop::option::of(prop::collection::vec(any::<u8>(), 0..12));
    let tag = prop_oneof![
        (0_u64..1_000_000).prop_map(|rows| format!("SELECT {rows}\0")),
        Just("INSERT 0 7\0".to_owned()),
        Just("CREATE TABLE\0".to_owned()),
    ];
    let at_any_time = prop_oneof![
        4 => Just(Vec::new()),
        1 => Just(fields(b'N', &[('S', "NOTICE"), ('C', "00000"), ('M', "note")])),
        1 => Just(message(b'A', b"\0\0\0\x01channel\0payload\0")),
        1 => Just(message(b'S', b"TimeZone\0UTC\0")),
    ];
    let described = prop::collection::vec(("[a-zü]{0,8}", any::<u32>()), 0..4);
    let rows = prop::collection::vec(
        prop::collection::vec(cell, 0..5).prop_map(|cells| row(&cells)),
        0..6,
    );
    let result =
        (described, rows, tag, at_any_time.clone()).prop_map(|(list, rows, tag, other)| {
            [
                columns(&list),
                rows.concat(),
                other,
                message(b'C', tag.as_bytes()),
            ]
            .concat()
        });
    let one = prop_oneof![
        4 => result,
        1 => Just(message(b'C', b"INSERT 0 7\0")),
        1 => Just(message(b'I', b"")),
    ];
    let error = "[a-z0-9]{0,9}".prop_map(|text| {
        fields(
            b'E',
            &[
                ('S', "FEHLER"),
                ('V', "ERROR"),
                ('C', "22012"),
                ('M', &text),
                ('H', "no"),
                ('R', "x"),
            ],
        )
    });
    let last = prop_oneof![2 => one.clone(), 1 => error];
    let status = prop::sample::select(b"ITE".to_vec());
    (prop::collection::vec(one, 0..5), last, at_any_time, status).prop_map(
        |(list, last, other, status)| {
            [list.concat(), last, other, message(b'Z', &[status])].concat()
        },
    )
}

/// Valid cycles with a few bytes replaced, inserted or removed.
pub(crate) fn broken_cycles() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        prop::sample::select(b"DCZTtENS\0\x01\x04\x05\xff".to_vec()),
        any::<u8>()
    ];
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0_u8..3, byte), 1..4);
    (cycles(), edits).prop_map(|(mut bytes, edits)| {
        for (place, edit, byte) in edits {
            let place = place.index(bytes.len());
            match edit {
                0 => bytes.insert(place, byte),
                1 => bytes[place] = byte,
                _ if bytes.len() > 1 => drop(bytes.remove(place)),
                _ => {}
            }
        }
        bytes
    })
}

/// Cuts `bytes` at the given places, in any order and range.
pub(crate) fn cut<'a>(bytes: &'a [u8], at: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = at.iter().map(|place| place % (bytes.len() + 1)).collect();
    places.sort_unstable();
    places.push(bytes.len());
    let mut from = 0;
    places
        .into_iter()
        .map(|to| &bytes[std::mem::replace(&mut from, to)..to])
        .collect()
}
