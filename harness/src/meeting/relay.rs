//! The wait of a worker for a start that the program around it learns: two files in a directory of this machine.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Directory, LOOK, Look, MeetingError, Store as _, Waiting};

/// The two ends of a relay for one round.
#[derive(Debug)]
pub struct Relay {
    directory: Directory,
}

/// What the program tells its worker.
#[derive(Debug, Serialize, Deserialize)]
enum Notice {
    /// The common start: Unix time in µs.
    Start(u64),
    /// The reason why there is none.
    Over(String),
}

const READY: &str = "ready";
const NOTICE: &str = "notice";

impl Relay {
    /// In `directory`, which belongs to this round.
    pub fn new(directory: PathBuf) -> Self {
        let directory = Directory::new(directory);
        Self { directory }
    }

    fn failed(&self, error: std::io::Error) -> MeetingError {
        let place = self.directory.place();
        MeetingError::Io { place, error }
    }

    /// In a worker: says that its sessions are ready.
    pub fn ready(&self) -> Result<(), MeetingError> {
        let created = self.directory.create(READY, &[]);
        created.map(drop).map_err(|error| self.failed(error))
    }

    /// In a worker: the common start, once it is known.
    pub fn look(&self) -> Result<Look, MeetingError> {
        let told = self
            .directory
            .find(NOTICE)
            .map_err(|error| self.failed(error))?;
        let Some(told) = told else {
            return Ok(Look::Again(LOOK));
        };
        match serde_json::from_slice(&told) {
            Ok(Notice::Start(unix_us)) => Ok(Look::Start(unix_us)),
            Ok(Notice::Over(reason)) => Err(MeetingError::Relayed(reason)),
            Err(error) => Err(self.failed(error.into())),
        }
    }

    /// In the program: meets the others once the worker is ready, and tells it the outcome. Ends early when `stop` says so.
    pub fn serve(
        &self,
        meet: impl FnOnce() -> Result<Waiting, MeetingError>,
        stop: &dyn Fn() -> bool,
    ) {
        let is_ready = || matches!(self.directory.find(READY), Ok(Some(_)));
        while !is_ready() {
            if stop() {
                return;
            }
            thread::sleep(LOOK);
        }
        let told = meet().and_then(|mut waiting| {
            loop {
                match waiting.look()? {
                    Look::Start(unix_us) => return Ok(Some(unix_us)),
                    Look::Again(_) if stop() => return Ok(None),
                    Look::Again(pause) => pause_until(Instant::now() + pause, stop),
                }
            }
        });
        let told = match told {
            Ok(Some(unix_us)) => Notice::Start(unix_us),
            Ok(None) => return,
            Err(error) => Notice::Over(error.to_string()),
        };
        let told = serde_json::to_vec(&told).expect("plain fields");
        // Without it, the worker's wait ends at its limit.
        let _ = self.directory.create(NOTICE, &told);
    }
}

fn pause_until(end: Instant, stop: &dyn Fn() -> bool) {
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || stop() {
            return;
        }
        thread::sleep(left.min(Duration::from_millis(50)));
    }
}
