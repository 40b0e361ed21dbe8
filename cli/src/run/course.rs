//! The course of a run: the order of its blocks, and its end.
//!
//! Most runs go through the blocks of their plan. Some end early, when a planned look finds every comparison decided; a
//! search creates blocks as it goes, from the results of the last one. `reports` determines what is decided and which
//! rate to try next; `blocks` runs them.

use photofinish_record::draw::shuffle;
use photofinish_record::load::{Arrivals, Load};
use photofinish_record::{Cell, Outcome, Plan, Record, Round, Search, SearchResult};
use photofinish_reports::search::{Climb, Objective, PRECISION, Try};
use photofinish_reports::units;

pub trait Course {
    /// The number of the next block, which is in the record's plan when this returns; `None` at the end.
    fn next_block(&mut self, record: &mut Record) -> Option<usize>;

    /// What a search tries next, in a sentence for each runtime.
    fn tries(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The blocks of the plan, to the last one unless everything is decided at a planned look.
pub struct PlannedCourse<'a> {
    next: usize,
    /// True if every comparison of the record is decided.
    decided: &'a dyn Fn(&Record) -> bool,
    /// True if no further measurement can change the outcome; checked after every block, not only at looks.
    pub pointless: Option<&'a dyn Fn(&Record) -> bool>,
}

impl<'a> PlannedCourse<'a> {
    pub fn new(decided: &'a dyn Fn(&Record) -> bool) -> Self {
        Self {
            next: 0,
            decided,
            pointless: None,
        }
    }
}

impl Course for PlannedCourse<'_> {
    fn next_block(&mut self, record: &mut Record) -> Option<usize> {
        let done = u32::try_from(self.next).unwrap_or(u32::MAX);
        if record.plan.looks.contains(&done) && (self.decided)(record) {
            return None;
        }
        if self.pointless.is_some_and(|is_over| is_over(record)) {
            return None;
        }
        let block = self.next;
        self.next += 1;
        (block < record.plan.blocks.len()).then_some(block)
    }
}

/// Raises and lowers rates until the highest one of each runtime is found. All runtimes advance together, one step per
/// block and in random order, so that a slow minute of the machine affects all of them.
pub struct SearchCourse {
    objective: Objective,
    arrivals: Arrivals,
    seed: u64,
    climbs: Vec<CellClimb>,
    /// Number of blocks whose results have been passed to the climbs.
    learned: usize,
}

/// The search of a scenario under a runtime.
struct CellClimb {
    scenario: String,
    runtime: String,
    error_budget: f64,
    climb: Climb,
    /// Its cell in the last block.
    cell: usize,
}

impl SearchCourse {
    /// A search for every supported cell of the plan, each of which has a closed load.
    pub fn new(plan: &Plan, objective: Objective, arrivals: Arrivals, seed: u64) -> Self {
        let cells = plan.cells.iter().enumerate();
        Self {
            objective,
            arrivals,
            seed,
            learned: 0,
            climbs: cells
                .filter(|(_, cell)| cell.unsupported.is_none())
                .map(|(index, cell)| CellClimb {
                    scenario: cell.scenario.clone(),
                    runtime: cell.runtime.clone(),
                    error_budget: plan.scenario_of(cell).error_budget,
                    climb: Climb::default(),
                    cell: index,
                })
                .collect(),
        }
    }

    /// The search's part of the record of a run that has ended, including its last block.
    pub fn search(&mut self, rounds: &[Round]) -> Search {
        if let Some(last) = rounds.last() {
            self.learn(last.block, rounds);
        }
        let climbs = self.climbs.iter();
        Search {
            objective: self.objective.text().to_owned(),
            precision: PRECISION,
            results: climbs
                .map(|cell| SearchResult {
                    scenario: cell.scenario.clone(),
                    runtime: cell.runtime.clone(),
                    highest_hz: cell.climb.highest_hz(),
                    lowest_failing_hz: cell.climb.lowest_failing_hz(),
                    steps: cell.climb.steps().to_vec(),
                    unfinished: cell.climb.unfinished(),
                })
                .collect(),
        }
    }

    /// Passes the rounds of the last block to the climbs, only the last attempt of each.
    fn learn(&mut self, block: usize, rounds: &[Round]) {
        if block < self.learned {
            return;
        }
        self.learned = block + 1;
        for cell in &mut self.climbs {
            let Some(next) = cell.climb.next() else {
                continue;
            };
            let mut latest_first = rounds.iter().rev();
            let Some(round) =
                latest_first.find(|round| round.block == block && round.cell == cell.cell)
            else {
                continue;
            };
            match (&round.outcome, next) {
                (Outcome::Ok(measured), Try::Capacity) => {
                    cell.climb.capacity(measured.worker.throughput_ops_s);
                }
                (Outcome::Ok(measured), Try::Rate(_)) => {
                    let judgement = self.objective.judge(measured, cell.error_budget);
                    cell.climb.tell(judgement);
                }
                (Outcome::Unsupported { reason } | Outcome::Failed { reason }, _) => {
                    cell.climb.give_up(reason);
                }
            }
        }
    }

    /// The cells of the next block, added to the plan if they are new.
    fn cells(&mut self, plan: &mut Plan) -> Vec<usize> {
        let mut cells = Vec::new();
        for cell in &mut self.climbs {
            let Some(next) = cell.climb.next() else {
                continue;
            };
            let concurrency = plan.cells[cell.cell].load.concurrency();
            let load = match next {
                Try::Capacity => Load::Closed { concurrency },
                Try::Rate(rate_hz) => Load::Open {
                    arrivals: self.arrivals,
                    rate_hz,
                    concurrency,
                },
            };
            cell.cell = cell_with(plan, cell.cell, load);
            cells.push(cell.cell);
        }
        cells
    }
}

impl CellClimb {
    /// `tokio: 25.0k/s met, 37.0k/s not; trying 31.2k/s`; `None` at the end.
    fn tries(&self) -> Option<String> {
        let next = match self.climb.next()? {
            Try::Capacity => "measuring its capacity".to_owned(),
            Try::Rate(rate) => format!("trying {}", units::per_second(rate.into())),
        };
        let met = self.climb.highest_hz().map(|hz| (hz, "met"));
        let not_met = self.climb.lowest_failing_hz().map(|hz| (hz, "not"));
        let known = met.into_iter().chain(not_met);
        let known = known.map(|(hz, word)| format!("{} {word}", units::per_second(hz)));
        let known = known.collect::<Vec<_>>().join(", ");
        let separator = if known.is_empty() { "" } else { "; " };
        Some(format!("{}: {known}{separator}{next}", self.runtime))
    }
}

impl Course for SearchCourse {
    fn tries(&self) -> Vec<String> {
        self.climbs.iter().filter_map(CellClimb::tries).collect()
    }

    fn next_block(&mut self, record: &mut Record) -> Option<usize> {
        let plan = &mut record.plan;
        let block = plan.blocks.len();
        if let Some(last) = block.checked_sub(1) {
            self.learn(last, &record.rounds);
        }
        let mut cells = self.cells(plan);
        let first_draw = (block * cells.len()) as u64;
        shuffle(&mut cells, self.seed, first_draw);
        (!cells.is_empty()).then(|| {
            plan.blocks.push(cells);
            block
        })
    }
}

fn cell_with(plan: &mut Plan, from: usize, load: Load) -> usize {
    let cell = Cell {
        load,
        ..plan.cells[from].clone()
    };
    if let Some(index) = plan.cells.iter().position(|known| *known == cell) {
        return index;
    }
    plan.cells.push(cell);
    plan.cells.len() - 1
}
