//! The program itself, from outside: real processes, real sockets, real files, documented exit codes.
//!
//! One binary with a module per promise, because each integration binary links the whole program anew. What is common
//! to all is in `support`. Nothing here asserts a time; waiting is bounded and for events, never for luck.

#![expect(
    unreachable_pub,
    reason = "in a program, `pub` is what a module offers to the others"
)]

mod support;

mod action;
mod bad_input;
mod catalogue;
mod certificates;
mod check_worker;
mod completions;
mod config;
mod database_tls;
mod databases;
mod deadlines;
mod doctor;
mod documents;
mod editors;
mod failures;
mod first_contact;
mod foreign;
mod gate;
mod help;
mod hostile_clients;
mod http2;
mod import;
mod interruption;
mod lanes;
mod leaks;
mod local_page;
mod meddling;
mod nginx;
mod object_store;
mod open_load;
mod output;
mod own_server;
mod own_workload;
mod parts;
mod past_runs;
mod pgbench;
mod process_pool;
mod profile;
mod reaching_targets;
mod revisions;
mod schemas;
mod secrets;
mod selftest;
mod serve;
mod services;
mod serving;
mod setup;
mod shard_faults;
mod shards;
mod slurm;
mod sqlite;
mod targets;
mod terminal;
mod thresholds;
mod tidy;
mod tls;
mod transactions;
mod unix_sockets;
mod usage;
mod user_database;
