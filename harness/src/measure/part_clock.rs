//! The clock of an operation's parts: two clock reads around a part, and one record.
//!
//! A part costs as much as the loop around an operation, which every round measures as its `overhead`, and this lies
//! within the operation's own service time. Without parts it costs a branch. An operation's times are not derived from
//! those of its parts: what lies between them (pauses, checks) belongs to the operation alone. A part that is the whole
//! operation needs no clock ([`PartRecorder::mark_whole`]). Recordings are in `crate::parts`.

use std::future::Future;
use std::time::Instant;

use crate::parts::{PartOutcome, PartRecorder};
use crate::workload::Failure;
use photofinish_record::nanoseconds;

/// The start of a part; `None` if the workload has no parts.
#[derive(Clone, Copy, Debug)]
#[must_use = "a part is recorded at its end"]
pub struct PartStart(Option<Instant>);

impl PartRecorder {
    /// Starts a part. One that never ends, because its operation was cancelled, is not counted.
    #[inline]
    pub fn start(&self) -> PartStart {
        PartStart(self.is_recording().then(Instant::now))
    }

    /// Records the end of part number `part` in the workload's list; panics if the list is shorter.
    #[inline]
    pub fn end(&self, part: usize, start: PartStart, outcome: PartOutcome) {
        if let PartStart(Some(start)) = start {
            self.record(part, nanoseconds(start.elapsed()), outcome);
        }
    }

    /// Records `work` as part number `part`. The work returns the status of its answer, if any, besides its result.
    #[inline]
    pub async fn time<T>(
        &self,
        part: usize,
        work: impl Future<Output = (Option<u16>, Result<T, Failure>)>,
    ) -> Result<T, Failure> {
        let start = self.start();
        let (status, result) = work.await;
        let failure = result.as_ref().err().map(|failure| failure.kind);
        self.end(part, start, PartOutcome { failure, status });
        result
    }
}
