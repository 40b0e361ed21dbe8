//! A sans-IO PostgreSQL client: protocol 3.0 without a socket, shared by every runtime.
//!
//! Connecting ([`Startup`]) is cold, so it uses `postgres-protocol` for messages, MD5 and SCRAM. Query cycles are the hot
//! path: `postgres-protocol` would split a `BytesMut` and count references for each message, so the few messages of that
//! path (rows, completions, ready) are read in place instead, and requests are written directly into the caller's
//! `Vec<u8>`. TLS itself, COPY, cancel requests and connection pools are not here.
//!
//! ```
//! use photofinish_workloads::protocol::postgres::{Parameter, ResponseReader, Row, encode};
//!
//! let mut out = Vec::new();
//! encode::bind_execute("point", &[Parameter::Int4(7)], &mut out)?;
//! // … written to a socket; the response:
//! let input = b"2\0\0\0\x04D\0\0\0\x0b\0\x01\0\0\0\x017C\0\0\0\x0dSELECT 1\0Z\0\0\0\x05I";
//! let mut reader = ResponseReader::new(1 << 20);
//! reader.begin(&out);
//! let mut sevens = 0;
//! let advance = reader.advance(input, &mut |row: Row<'_>| sevens += u32::from(row.get(0) == Some(Some(b"7"))))?;
//! assert!(advance.done && reader.outcome().error.is_none());
//! assert_eq!((sevens, reader.outcome().rows), (1, 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Read next: `postgres/target.rs` and `config.rs`, then `startup.rs`, `encode.rs` and `response.rs`.

mod config;
pub mod encode;
mod error;
mod response;
mod row;
mod startup;
mod target;
mod wire;

pub use config::{PgConfig, Secret};
pub use encode::{EncodeError, Parameter};
pub use error::{PgError, ServerError};
pub use response::{Outcome, ResponseReader, TransactionStatus};
pub use row::Row;
pub use startup::{Startup, TLS_REQUEST, accept_tls};
pub use target::{PgTarget, PgTargetError, PgTls};
