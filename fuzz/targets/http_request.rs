//! HTTP requests, as the workloads that serve read them: no panic, nothing beyond the input, and no end that more bytes
//! would take back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use photofinish_workloads::protocol::http_server::{Request, Response};

fuzz_target!(|data: &[u8]| {
    let mut request = Request::default();
    let Ok(Some(length)) = request.read(data) else {
        return;
    };
    assert!((1..=data.len()).contains(&length));
    let mut again = Request::default();
    assert!(matches!(again.read(&data[..length]), Ok(Some(same)) if same == length));
    assert_eq!(request.target(), again.target());
    // A body may be any bytes, so it is not cut in half: a shorter one is incomplete.
    assert!(!matches!(again.read(&data[..length - 1]), Ok(Some(_))));
    let mut response = Response::default();
    response.text(200, request.target());
    let mut bytes = Vec::new();
    response.encode(&request, &mut bytes);
    assert!(bytes.starts_with(b"HTTP/1.1 200 "));
});
