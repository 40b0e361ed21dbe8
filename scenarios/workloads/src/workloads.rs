//! The workloads, one file each, and code shared by several of them.
//!
//! Each file holds one `Workload`: its parameters, its session and its operation, the same source for every runtime.
//! The list is in `registry`. Shared files have no operation of their own: connections that speak a protocol,
//! concurrent requests, parts that wait, counts of parts, files with known content, checks of parameters.

pub mod null;
pub mod scripted;

pub mod http;
pub mod http_connect;
pub mod http_delay;
pub mod http_errors;
pub mod http_fanout;
pub mod http_get;
pub mod http_json;
pub mod http_limited;
pub mod http_post;
pub mod http_queue;
pub mod http_retry;
pub mod http_stream;
pub mod http_timeout;

pub mod crawl;
pub mod download;
pub mod scrape;

pub mod file_lines;
pub mod file_process;
pub mod file_random;
pub mod file_read;
pub mod file_write;

pub mod db_connect;
pub mod db_crud;
pub mod db_pool;
pub mod db_select;
pub mod db_transaction;
pub mod sql;
pub mod sqlite;

pub mod ws_chat;
pub mod ws_echo;

pub mod batch;
pub mod job_queue;

pub mod as_completed;
pub mod counters;
pub mod failures;
pub mod first_completed;
pub mod forgotten_await;
pub mod idle_connections;
pub mod idle_tasks;
pub mod spawn;
pub mod tasks;
pub mod timers;

pub mod blocking_mistake;
pub mod cpu_offload;
pub mod nested_block_on;

pub mod process;

pub mod serve_gateway;
pub mod serve_http;

#[cfg(test)]
mod allocation_count;
mod answer;
mod bystander;
mod census;
mod closed_port;
mod connection_pool;
mod crowd;
mod db_connection;
mod db_errors;
pub mod db_leftovers;
mod db_schema;
#[cfg(test)]
mod every_runtime;
mod expectation;
mod fan_out;
mod frontier;
mod html_page;
mod http2_connection;
mod http_connection;
mod http_session;
mod known_file;
mod params;
mod parts;
mod reference;
mod request_count;
mod robots;
mod secured;
mod serving;
mod site;
mod tallies;
mod wire;
mod ws_connection;

pub use serving::CLIENT;
