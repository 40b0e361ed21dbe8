//! The workloads, one file each, and what several of them share.
//!
//! Each file holds one `Workload`: its parameters, its session and its one operation, the same source for every runtime.
//! The list is `registry`. Shared parts have no operation: a connection that speaks HTTP or PostgreSQL (`http_session`,
//! `db_session`), sizes in parameters, and files with known content.

pub mod null;
