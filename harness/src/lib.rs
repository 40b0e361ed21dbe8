//! The harness: execution models, the measuring loop, and the record.

pub mod latency;
pub mod load;
pub mod machine;
pub mod protocol;
pub mod record;
