//! The intervals of a phase while it runs: a coarse histogram for each, in memory allocated before.
//!
//! The interval of an operation follows from its end, which has been read anyway: one comparison with the end of the
//! current interval. A phase that outlasts its last interval joins each two of them, so that memory stays flat: 72 KiB
//! per recording, of which only the intervals that were reached are touched.

use std::time::{Duration, Instant};

use photofinish_record::intervals::{BUCKETS, Interval, Intervals, MOST_INTERVALS, bucket};
use photofinish_record::load::Stop;
use photofinish_record::nanoseconds;

/// Number of intervals of a short phase.
const LEAST: u32 = 16;

/// Length of the intervals of a longer phase.
const SECOND: Duration = Duration::from_secs(1);

/// Length of the first intervals of a phase whose length is unknown.
const UNKNOWN: Duration = Duration::from_millis(10);

/// Start and length of the intervals of a phase.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ruler {
    start: Instant,
    length: Duration,
}

impl Ruler {
    /// At least 16 intervals in a phase, of one second at most if that makes no more than there may be.
    pub(crate) fn of(start: Instant, phase: Option<Duration>) -> Self {
        let length = phase.map_or(UNKNOWN, |phase| {
            let fine = (phase / LEAST).min(SECOND);
            fine.max(phase / MOST_INTERVALS as u32)
        });
        // One more, so that rounding leaves no rest.
        let length = length + Duration::from_nanos(1);
        Self { start, length }
    }

    pub(crate) fn closed(start: Instant, stop: Stop) -> Self {
        let phase = match stop {
            Stop::DurationNs(duration_ns) => Some(Duration::from_nanos(duration_ns.get())),
            Stop::Ops(_) => None,
        };
        Self::of(start, phase)
    }
}

/// Records the operations of a phase by intervals.
#[derive(Clone, Debug)]
pub(crate) struct IntervalRecorder {
    length: Duration,
    /// End of the current interval; `None` before a phase.
    end: Option<Instant>,
    current: usize,
    /// [`BUCKETS`] counts for each interval.
    counts: Vec<u32>,
    failed: [u32; MOST_INTERVALS],
}

impl Default for IntervalRecorder {
    fn default() -> Self {
        Self {
            length: Duration::ZERO,
            end: None,
            current: 0,
            counts: vec![0; MOST_INTERVALS * BUCKETS],
            failed: [0; MOST_INTERVALS],
        }
    }
}

impl IntervalRecorder {
    /// Begins a phase; everything recorded before is cleared.
    pub(crate) fn begin(&mut self, ruler: Ruler) {
        self.clear();
        self.length = ruler.length;
        self.end = Some(ruler.start + ruler.length);
    }

    /// Records an operation that ended at `end`. Allocates nothing.
    #[inline]
    pub(crate) fn record(&mut self, end: Instant, time_ns: u64, succeeded: bool) {
        match self.end {
            Some(interval_end) if end < interval_end => {}
            Some(interval_end) => self.advance(end, interval_end),
            None => return,
        }
        if succeeded {
            let count = &mut self.counts[self.current * BUCKETS + bucket(time_ns)];
            *count = count.saturating_add(1);
        } else {
            let failed = &mut self.failed[self.current];
            *failed = failed.saturating_add(1);
        }
    }

    /// Moves on to the interval that holds `end`.
    #[cold]
    fn advance(&mut self, end: Instant, mut interval_end: Instant) {
        while end >= interval_end {
            if self.current + 1 == MOST_INTERVALS {
                self.join();
                // The last interval ends where it did, and is now the second half of a longer one.
                continue;
            }
            self.current += 1;
            interval_end += self.length;
        }
        self.end = Some(interval_end);
    }

    /// Joins each two intervals to one of twice the length. The current one must be the second of its two.
    fn join(&mut self) {
        for index in 0..MOST_INTERVALS / 2 {
            let (first, second) = (2 * index, 2 * index + 1);
            for bucket in 0..BUCKETS {
                let sum = self.counts[first * BUCKETS + bucket]
                    .saturating_add(self.counts[second * BUCKETS + bucket]);
                self.counts[index * BUCKETS + bucket] = sum;
            }
            self.failed[index] = self.failed[first].saturating_add(self.failed[second]);
        }
        self.counts[MOST_INTERVALS / 2 * BUCKETS..].fill(0);
        self.failed[MOST_INTERVALS / 2..].fill(0);
        self.length *= 2;
        self.current /= 2;
    }

    /// Adds another recorder of the same phase, in the longer intervals of the two.
    pub(crate) fn merge(&mut self, other: &Self) {
        if other.end.is_none() {
            return;
        }
        if self.end.is_none() {
            self.length = other.length;
            self.end = other.end;
        }
        while self.length < other.length {
            self.join();
        }
        let mut ratio = 1;
        while other.length * ratio < self.length {
            ratio *= 2;
        }
        for theirs in 0..=other.current {
            let ours = theirs / ratio as usize;
            for bucket in 0..BUCKETS {
                let count = &mut self.counts[ours * BUCKETS + bucket];
                *count = count.saturating_add(other.counts[theirs * BUCKETS + bucket]);
            }
            self.failed[ours] = self.failed[ours].saturating_add(other.failed[theirs]);
        }
        self.current = self.current.max(other.current / ratio as usize);
    }

    /// Clears it for the next phase, keeping its memory.
    pub(crate) fn clear(&mut self) {
        self.counts[..(self.current + 1) * BUCKETS].fill(0);
        self.failed.fill(0);
        self.current = 0;
        self.end = None;
    }

    /// The intervals up to the last with an operation; `None` if there was none.
    pub(crate) fn intervals(&self) -> Option<Intervals> {
        let mut intervals: Vec<Interval> = (0..=self.current).map(|at| self.interval(at)).collect();
        while intervals
            .pop_if(|last| *last == Interval::default())
            .is_some()
        {}
        (!intervals.is_empty()).then(|| Intervals {
            length_ns: nanoseconds(self.length),
            intervals,
        })
    }

    fn interval(&self, index: usize) -> Interval {
        let counts = &self.counts[index * BUCKETS..][..BUCKETS];
        let filled = counts.iter().enumerate().filter(|(_, count)| **count > 0);
        Interval {
            failed: self.failed[index].into(),
            buckets: filled
                .map(|(bucket, count)| (bucket, u64::from(*count)))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use photofinish_record::draw::draw_below;

    fn succeeded(intervals: &Intervals) -> Vec<u64> {
        let of = |interval: &Interval| interval.succeeded();
        intervals.intervals.iter().map(of).collect()
    }

    #[test]
    fn a_phase_has_16_intervals_or_one_a_second_or_128() {
        let start = Instant::now();
        let lengths = [(2, 125), (16, 1_000), (60, 1_000), (640, 5_000)];
        for (phase_s, length_ms) in lengths {
            let ruler = Ruler::of(start, Some(Duration::from_secs(phase_s)));
            assert_eq!(ruler.length.as_millis(), length_ms, "{phase_s}");
        }
    }

    #[test]
    fn an_operation_counts_in_the_interval_of_its_end() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut recorder = IntervalRecorder::default();
        recorder.record(at(1), 1_000, true);
        assert_eq!(recorder.intervals(), None, "no phase has begun");
        recorder.begin(Ruler::of(start, Some(Duration::from_secs(2))));
        for (ms, ok) in [
            (1, true),
            (124, true),
            (130, false),
            (700, true),
            (5_000, true),
        ] {
            recorder.record(at(ms), 1_000, ok);
        }
        let intervals = recorder.intervals().expect("a phase");
        assert_eq!(intervals.intervals.len(), 40);
        assert_eq!(succeeded(&intervals)[..6], [2, 0, 0, 0, 0, 1]);
        assert_eq!(intervals.intervals[1].failed, 1);
        recorder.clear();
        assert_eq!(recorder.intervals(), None);
    }

    /// However long a phase takes, and however its sessions are spread over recordings: nothing is lost.
    #[test]
    fn the_intervals_of_all_recordings_add_up_to_all_operations() {
        let start = Instant::now();
        for seed in 0..40 {
            let length_ms = 1 + draw_below(seed, 0, 3_000);
            let ruler = Ruler::of(start, Some(Duration::from_millis(length_ms)));
            let mut all = IntervalRecorder::default();
            let (mut successes, mut failures) = (0, 0);
            for recording in 0..3 {
                let mut recorder = IntervalRecorder::default();
                recorder.begin(ruler);
                let mut now = start;
                for op in 0..400 {
                    let draw = |most| draw_below(seed, 1 + recording * 10_000 + op * 2, most);
                    now += Duration::from_micros(draw(100_000 * (1 + recording)));
                    let ok = draw(10) > 0;
                    recorder.record(now, draw(1 << 40), ok);
                    successes += u64::from(ok);
                    failures += u64::from(!ok);
                }
                all.merge(&recorder);
            }
            let intervals = all.intervals().expect("operations");
            assert!(intervals.intervals.len() <= MOST_INTERVALS, "{seed}");
            assert_eq!(
                succeeded(&intervals).iter().sum::<u64>(),
                successes,
                "{seed}"
            );
            let failed = intervals.intervals.iter().map(|interval| interval.failed);
            assert_eq!(failed.sum::<u64>(), failures, "{seed}");
        }
    }
}
