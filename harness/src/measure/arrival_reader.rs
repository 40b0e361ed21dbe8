//! Arrivals from the orchestrator's FIFO, for a runtime of this program: what a worker in another language does.
//!
//! The self-test runs a runtime with its own pacer and in this way, and compares the two. Sessions walk through the schedule
//! of the plan as always; a record of the FIFO only releases the next arrival of it. The other side is `arrival_pipe`.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::time::Instant;

use photofinish_record::latency::{Latencies, LatencyRecorder};
use photofinish_record::nanoseconds;
use photofinish_record::protocol::PipedArrivals;

use super::arrival_record::{RECORD, decoded, instant_at};
use crate::pacer::Outlet;

/// Records read at once.
const MOST_READ: usize = 256;

/// An open FIFO whose first record has been read.
#[derive(Debug)]
pub(super) struct ArrivalReader {
    file: File,
    /// Start of the schedule.
    pub(super) start: Instant,
}

impl ArrivalReader {
    /// Opens the FIFO, which tells that the sessions are ready, and reads when the schedule ends.
    pub(super) fn open(piped: &PipedArrivals) -> io::Result<Self> {
        let mut file = File::open(&piped.arrivals)?;
        let mut first = [0; RECORD];
        file.read_exact(&mut first)?;
        let (_, end_ns) = decoded(&first);
        let start_ns = end_ns.checked_sub(piped.schedule_ns);
        let start_ns = start_ns.ok_or_else(|| io::Error::from(ErrorKind::InvalidData))?;
        let start = instant_at(start_ns);
        Ok(Self { file, start })
    }

    /// Releases arrivals as they are read, until the end of the FIFO or until the round is given up. Returns the delay of
    /// each, from due to read.
    pub(super) fn receive(&mut self, outlet: &mut dyn Outlet) -> Latencies {
        let mut delay = LatencyRecorder::default();
        let mut buffer = [0; MOST_READ * RECORD];
        let mut filled = 0;
        while outlet.goes_on() {
            match self.file.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => break,
            }
            let (records, _) = buffer[..filled].as_chunks::<RECORD>();
            let now = Instant::now();
            for record in records {
                let (_, due_ns) = decoded(record);
                delay.record_ns(nanoseconds(
                    now.saturating_duration_since(instant_at(due_ns)),
                ));
            }
            let whole = records.len() * RECORD;
            outlet.release((whole / RECORD) as u64);
            buffer.copy_within(whole..filled, 0);
            filled -= whole;
        }
        delay.latencies()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write as _;
    use std::thread;
    use std::time::Duration;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::super::arrival_record::encoded;
    use super::*;

    /// Counts what is released.
    #[derive(Default)]
    struct Counter(Vec<u64>);

    impl Outlet for Counter {
        fn release(&mut self, count: u64) {
            self.0.push(count);
        }

        fn goes_on(&mut self) -> bool {
            true
        }
    }

    #[test]
    fn a_record_that_comes_in_two_parts_is_one_arrival() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("arrivals");
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).expect("made");
        let writer = thread::spawn({
            let path = path.clone();
            move || {
                let mut file = OpenOptions::new().write(true).open(path).expect("a reader");
                file.write_all(&encoded(u64::MAX, 5_000)).expect("read");
                let records = [encoded(0, 1_000), encoded(1, 2_000), encoded(2, 3_000)].concat();
                for part in [&records[..20], &records[20..]] {
                    file.write_all(part).expect("read");
                    thread::sleep(Duration::from_millis(20));
                }
            }
        });
        let piped = PipedArrivals {
            arrivals: path,
            schedule_ns: 5_000,
            drain_ns: 0,
            late_ns: 0,
        };
        let mut reader = ArrivalReader::open(&piped).expect("open");
        let mut released = Counter::default();
        let delays = reader.receive(&mut released);
        writer.join().expect("no panic");
        assert_eq!((released.0.iter().sum::<u64>(), delays.count()), (3, 3));
        assert!(reader.start <= Instant::now());
    }
}
