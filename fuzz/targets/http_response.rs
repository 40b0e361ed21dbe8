//! HTTP responses: no panic, and the same result for any division of the bytes.
//!
//! The first byte selects the method, the second where the rest is divided.

#![no_main]

use libfuzzer_sys::fuzz_target;
use photofinish_workloads::protocol::http::{HttpError, Limits, Method, ResponseReader};

const METHODS: [Method; 3] = [Method::Get, Method::Head, Method::Post];

fuzz_target!(|data: &[u8]| {
    let Some((&[method, cut], bytes)) = data.split_first_chunk::<2>() else {
        return;
    };
    let method = METHODS[usize::from(method) % METHODS.len()];
    let (start, end) = bytes.split_at(usize::from(cut) * bytes.len() / 256);
    assert_eq!(read(method, &[bytes]), read(method, &[start, end]));
});

/// Status, body, true if the connection stays open, and length of the response.
type Response = (u16, Vec<u8>, bool, usize);

/// Feeds the pieces, keeping what is not consumed, and then the end.
fn read(method: Method, pieces: &[&[u8]]) -> Result<Response, HttpError> {
    let mut reader = ResponseReader::new(Limits::default());
    reader.begin(method);
    let (mut input, mut body, mut length) = (Vec::new(), Vec::new(), 0);
    for piece in pieces {
        input.extend_from_slice(piece);
        let advance = reader.advance(&input, &mut body)?;
        input.drain(..advance.consumed);
        length += advance.consumed;
        if advance.done {
            return Ok((reader.status(), body, reader.keep_alive(), length));
        }
    }
    reader.end_of_input()?;
    Ok((reader.status(), body, reader.keep_alive(), length))
}
