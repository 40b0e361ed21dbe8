//! Blocks: every contestant once, in a seeded random order, so that a slow minute meets all of them alike.
//!
//! A contestant that fails twice in a row is left out of the remaining blocks, and its first failure is reported.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use photofinish_record::draw::shuffle;

use crate::child::{self, Output};
use crate::comparisons::{Comparison, Contestant, Generator};
use crate::cpus::Cpus;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::photofinish::{self, OurJob, Ours};
use crate::rivals::{Job, Rival};
use crate::scripts::{self, Script};
use crate::servers::Servers;
use crate::work::{Site, Work};

/// Time allowed beyond the measurement itself: start, connections, warm-up, tables.
const LONGEST_OVERHEAD: Duration = Duration::from_secs(30);

/// Failures in a row after which a contestant is left out.
const MOST_FAILURES: u32 = 2;

/// One contestant's result in one block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Measurement {
    /// Operations (requests, transactions) per second.
    pub(crate) rate_hz: f64,
    /// CPU time of the generator per operation.
    pub(crate) cpu_ns: Option<f64>,
    /// Share of the server's CPU that was used while the generator ran.
    pub(crate) server_share: Option<f64>,
}

/// One contestant's results, by block.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    pub(crate) blocks: Vec<Option<Measurement>>,
    pub(crate) failure: Option<Failure>,
    /// Number of the last blocks that failed.
    pub(crate) failures_in_a_row: u32,
}

impl Series {
    fn push(&mut self, result: Result<Measurement, Failure>) {
        match result {
            Ok(measurement) => {
                self.failures_in_a_row = 0;
                self.blocks.push(Some(measurement));
            }
            Err(failure) => {
                self.failures_in_a_row += 1;
                self.failure.get_or_insert(failure);
                self.blocks.push(None);
            }
        }
    }

    fn is_given_up(&self) -> bool {
        self.failures_in_a_row >= MOST_FAILURES
    }
}

/// The conditions of all comparisons.
#[derive(Debug)]
pub(crate) struct Bench {
    /// The photofinish under test.
    pub(crate) program: PathBuf,
    pub(crate) cpus: Cpus,
    pub(crate) blocks: u32,
    pub(crate) seconds: u32,
    pub(crate) seed: u64,
    pub(crate) interrupt: Interrupt,
    pub(crate) servers: Servers,
}

impl Bench {
    /// Measures a comparison; one series per contestant. Fails only if interrupted.
    pub(crate) fn measure(&mut self, comparison: &Comparison) -> Result<Vec<Series>, Failure> {
        let contestants = &comparison.contestants;
        let mut series = vec![Series::default(); contestants.len()];
        for block in 0..self.blocks {
            for index in order(contestants.len(), self.seed, block) {
                if series[index].is_given_up() {
                    series[index].blocks.push(None);
                    continue;
                }
                let result = self.run(&contestants[index]);
                if let Err(failure) = &result
                    && failure.is_interrupt()
                {
                    return Err(failure.clone());
                }
                series[index].push(result);
            }
        }
        Ok(series)
    }

    fn run(&mut self, contestant: &Contestant) -> Result<Measurement, Failure> {
        self.interrupt.check()?;
        let work = &contestant.work;
        // A missing program is no reason to start a server.
        let program = match &contestant.generator {
            Generator::Rival(rival) => rival.program.find()?,
            Generator::Script(script) => script.program.find()?,
            Generator::Photofinish(_) => self.program.clone(),
        };
        let site = self.servers.site(work)?;
        self.servers.refresh(work, &site)?;
        match &contestant.generator {
            Generator::Rival(rival) => self.run_rival(rival, &program, work, &site),
            Generator::Script(script) => self.run_script(script, &program, work, &site),
            Generator::Photofinish(ours) => self.run_photofinish(ours, work, &site),
        }
    }

    fn run_rival(
        &self,
        rival: &Rival,
        program: &Path,
        work: &Work,
        site: &Site,
    ) -> Result<Measurement, Failure> {
        let job = Job {
            work,
            site,
            program,
            seconds: self.seconds,
        };
        (rival.prepare)(&job)?;
        let words = (rival.command)(&job);
        let words = words.ok_or_else(|| Failure::new(format!("{} cannot do this", rival.name)))?;
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(&site.directory);
        let server_before = self.servers.cpu(work);
        let output = self.finish(command, Some(self.cpus.generator))?;
        let server_cpu = self
            .servers
            .cpu(work)
            .zip(server_before)
            .map(|(after, before)| after.saturating_sub(before));
        let reading = (rival.read)(&output).map_err(Failure::new)?;
        Ok(Measurement {
            rate_hz: reading.rate_hz,
            cpu_ns: Some(output.cpu.as_nanos() as f64 / reading.operations),
            server_share: server_cpu.map(|cpu| cpu.as_secs_f64() / output.wall.as_secs_f64()),
        })
    }

    fn run_script(
        &self,
        script: &Script,
        program: &Path,
        work: &Work,
        site: &Site,
    ) -> Result<Measurement, Failure> {
        let command = script.command(program, work, site, self.seconds)?;
        let output = self.finish(command, Some(self.cpus.generator))?;
        let reading = scripts::read(&output).map_err(Failure::new)?;
        Ok(Measurement {
            rate_hz: reading.rate_hz,
            cpu_ns: Some(reading.cpu_ns),
            server_share: None,
        })
    }

    fn run_photofinish(
        &self,
        ours: &Ours,
        work: &Work,
        site: &Site,
    ) -> Result<Measurement, Failure> {
        let cpus = self.cpus;
        let job = OurJob {
            program: &self.program,
            ours,
            work,
            site,
            cpus,
            seconds: self.seconds,
        };
        let output = self.finish(job.command()?, None);
        // Reports of single rounds are read by nobody, and would fill the disk.
        let _ = std::fs::remove_dir_all(photofinish::runs(site));
        let reading = photofinish::read(&output?).map_err(Failure::new)?;
        let requests = requests_per_operation(work);
        Ok(Measurement {
            rate_hz: reading.rate_hz * requests,
            cpu_ns: reading.cpu_ns.map(|cpu_ns| cpu_ns / requests),
            server_share: None,
        })
    }

    fn finish(&self, command: Command, cpu: Option<usize>) -> Result<Output, Failure> {
        let longest = Duration::from_secs(2 * u64::from(self.seconds)) + LONGEST_OVERHEAD;
        child::run(command, cpu, longest, &self.interrupt)
    }
}

/// Requests of one operation of Photofinish: one per stream.
fn requests_per_operation(work: &Work) -> f64 {
    match work {
        Work::Http(http) => http.streams.map_or(1.0, |streams| f64::from(streams.get())),
        _ => 1.0,
    }
}

/// The order of a block.
fn order(contestants: usize, seed: u64, block: u32) -> Vec<usize> {
    let mut order: Vec<usize> = (0..contestants).collect();
    shuffle(&mut order, seed, u64::from(block) * contestants as u64);
    order
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_block_has_every_contestant_once_in_an_order_of_its_own() {
        let orders: BTreeSet<Vec<usize>> = (0..10).map(|block| order(6, 1, block)).collect();
        assert!(orders.len() > 5, "{orders:?}");
        for order in &orders {
            assert_eq!(order.iter().collect::<BTreeSet<_>>().len(), 6);
        }
        assert_eq!(order(6, 1, 3), order(6, 1, 3));
    }

    #[test]
    fn two_failures_in_a_row_end_a_series_and_the_first_is_kept() {
        let good = Measurement {
            rate_hz: 1.0,
            cpu_ns: None,
            server_share: None,
        };
        let mut series = Series::default();
        series.push(Err(Failure::new("first")));
        series.push(Ok(good));
        series.push(Err(Failure::new("second")));
        assert!(!series.is_given_up());
        series.push(Err(Failure::new("third")));
        assert!(series.is_given_up());
        assert_eq!(series.failure, Some(Failure::new("first")));
        assert_eq!(series.blocks, [None, Some(good), None, None]);
    }
}
