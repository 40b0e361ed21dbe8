//! A sans-IO HTTP/1.1 client: requests into a `Vec<u8>`, responses out of byte slices.
//!
//! `httparse` reads the head; the framing of the body (RFC 9112, section 6) is done here, strictly: anything ambiguous is
//! an error, because a benchmark that misreads one response misreports every later one on that connection. Redirects,
//! compression, cookies, TLS and connections are left to workloads and runtimes.
//!
//! ```
//! use photofinish_workloads::protocol::http::{Limits, Method, Request, ResponseReader};
//!
//! let mut request = Vec::new();
//! Request { method: Method::Get, target: "/hello", host: "127.0.0.1:8080", headers: &[], body: None }
//!     .encode(&mut request)?;
//! assert_eq!(request, b"GET /hello HTTP/1.1\r\nhost: 127.0.0.1:8080\r\n\r\n");
//!
//! let mut reader = ResponseReader::new(Limits::default());
//! let mut body = Vec::new();
//! reader.begin(Method::Get);
//! let advance = reader.advance(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", &mut body)?;
//! assert!(advance.done && reader.keep_alive());
//! assert_eq!((reader.status(), body.as_slice()), (200, &b"hi"[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Read next: `http/request.rs`, then `http/response.rs` with its parts `head.rs` and `chunked.rs`.

mod chunked;
mod error;
mod head;
mod limits;
mod method;
mod request;
mod response;
mod syntax;
mod target;

pub use error::{BadField, HttpError};
pub use limits::{Limits, MAX_HEADERS};
pub use method::Method;
pub use request::is_field_name;
pub use request::{Request, RequestError};
pub use response::ResponseReader;
pub(crate) use target::path_and_query;
pub use target::{HttpTarget, TargetError, unaskable};
