//! Plans of whole rounds, servers, generated messages and clients that several modules of tests share.

pub(crate) mod backend_messages;
pub(crate) mod http2_peer;
pub(crate) mod http_responses;
pub(crate) mod pg_client;
pub(crate) mod rounds;
pub(crate) mod throwaway_postgres;
pub(crate) mod tiny_server;
pub(crate) mod tls_server;
