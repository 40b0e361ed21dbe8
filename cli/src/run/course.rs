//! The course of a run: which block comes next, and when there is none.
//!
//! Most runs go through the blocks of their plan; some end early, when a planned look finds every comparison decided;
//! a search makes its blocks as it goes, from what the last one came to. What is decided and what to try next are
//! questions for `reports`; running a block is `orchestrate`'s business.

use photofinish_record::draw::shuffle;
use photofinish_record::load::{Arrivals, Load};
use photofinish_record::{Cell, Outcome, Plan, Round, SearchResult};
use photofinish_reports::search::{Climb, Objective, PRECISION, Try};

/// Says which block comes next.
pub trait Course {
    /// The number of the next block, which the plan holds when this returns; `None` at the end. `rounds` are all so far.
    fn next_block(&mut self, plan: &mut Plan, rounds: &[Round]) -> Option<usize>;
}

/// Through the plan, and to its end unless everything is decided at a planned look.
pub struct Planned<'a> {
    next: usize,
    /// Whether every comparison is decided.
    decided: &'a dyn Fn(&Plan, &[Round]) -> bool,
}

impl<'a> Planned<'a> {
    /// From the first block on.
    pub fn new(decided: &'a dyn Fn(&Plan, &[Round]) -> bool) -> Self {
        Self { next: 0, decided }
    }
}

impl Course for Planned<'_> {
    fn next_block(&mut self, plan: &mut Plan, rounds: &[Round]) -> Option<usize> {
        let done = u32::try_from(self.next).unwrap_or(u32::MAX);
        if plan.looks.contains(&done) && (self.decided)(plan, rounds) {
            return None;
        }
        let block = self.next;
        self.next += 1;
        (block < plan.blocks.len()).then_some(block)
    }
}

/// Up and down in rates until each runtime's highest is found. The runtimes take their steps side by side, in one block
/// and in random order, so that a slow minute of the machine meets all of them.
pub struct Searching {
    objective: Objective,
    arrivals: Arrivals,
    seed: u64,
    climbs: Vec<Place>,
    /// Blocks that were learned from.
    learned: usize,
}

/// One search: a scenario under a runtime.
struct Place {
    scenario: String,
    runtime: String,
    error_budget: f64,
    climb: Climb,
    /// The cell of the last block that was its own.
    cell: usize,
}

impl Searching {
    /// A search in every supported cell of the plan, each of which has a closed load.
    pub fn new(plan: &Plan, objective: Objective, arrivals: Arrivals, seed: u64) -> Self {
        let supported = |(_, cell): &(usize, &Cell)| cell.unsupported.is_none();
        let place = |(index, cell): (usize, &Cell)| Place {
            scenario: cell.scenario.clone(),
            runtime: cell.runtime.clone(),
            error_budget: error_budget(plan, &cell.scenario),
            climb: Climb::new(),
            cell: index,
        };
        Self {
            objective,
            arrivals,
            seed,
            learned: 0,
            climbs: plan
                .cells
                .iter()
                .enumerate()
                .filter(supported)
                .map(place)
                .collect(),
        }
    }

    /// What came of it, for the record.
    pub fn results(&self) -> Vec<SearchResult> {
        let result = |place: &Place| SearchResult {
            scenario: place.scenario.clone(),
            runtime: place.runtime.clone(),
            highest_hz: place.climb.highest_hz(),
            lowest_failing_hz: place.climb.lowest_failing_hz(),
            steps: place.climb.steps().to_vec(),
            unfinished: place.climb.unfinished(),
        };
        self.climbs.iter().map(result).collect()
    }

    /// The search's part of a record.
    pub fn search(&self) -> photofinish_record::Search {
        photofinish_record::Search {
            objective: self.objective.text().to_owned(),
            precision: PRECISION,
            results: self.results(),
        }
    }

    /// Learns from the last block of a run that has come to its end.
    pub fn learn_last(&mut self, rounds: &[Round]) {
        if let Some(last) = rounds.last() {
            self.learn(last.block, rounds);
        }
    }

    /// Learns from the rounds of the last block, of each the last attempt.
    fn learn(&mut self, block: usize, rounds: &[Round]) {
        if block < self.learned {
            return;
        }
        self.learned = block + 1;
        for place in &mut self.climbs {
            if place.climb.next().is_none() {
                continue;
            }
            let own = |round: &&Round| round.block == block && round.cell == place.cell;
            let Some(round) = rounds.iter().rev().find(own) else {
                continue;
            };
            match &round.outcome {
                Outcome::Ok(measured) => match place.climb.next() {
                    Some(Try::Capacity) => {
                        place.climb.capacity(measured.worker.throughput_ops_s);
                    }
                    _ => {
                        let said = self.objective.judge(measured, place.error_budget);
                        place.climb.tell(said);
                    }
                },
                Outcome::Unsupported { reason } | Outcome::Failed { reason } => {
                    place.climb.give_up(reason);
                }
            }
        }
    }

    /// The cells of the next block, made where they are not in the plan yet.
    fn cells(&mut self, plan: &mut Plan) -> Vec<usize> {
        let mut cells = Vec::new();
        for place in &mut self.climbs {
            let Some(next) = place.climb.next() else {
                continue;
            };
            let concurrency = plan.cells[place.cell].load.concurrency();
            let load = match next {
                Try::Capacity => Load::Closed { concurrency },
                Try::Rate(rate_hz) => Load::Open {
                    arrivals: self.arrivals,
                    rate_hz,
                    concurrency,
                },
            };
            place.cell = cell_with(plan, place, load);
            cells.push(place.cell);
        }
        cells
    }
}

impl Course for Searching {
    fn next_block(&mut self, plan: &mut Plan, rounds: &[Round]) -> Option<usize> {
        let block = plan.blocks.len();
        if let Some(last) = block.checked_sub(1) {
            self.learn(last, rounds);
        }
        let mut cells = self.cells(plan);
        let first_draw = block * cells.len();
        shuffle(&mut cells, self.seed, first_draw as u64);
        let any = !cells.is_empty();
        if any {
            plan.blocks.push(cells);
        }
        any.then_some(block)
    }
}

fn error_budget(plan: &Plan, scenario: &str) -> f64 {
    let named = plan
        .scenarios
        .iter()
        .find(|planned| planned.name == scenario);
    named.map_or(0.0, |planned| planned.error_budget)
}

fn cell_with(plan: &mut Plan, place: &Place, load: Load) -> usize {
    let same = |cell: &Cell| {
        cell.scenario == place.scenario && cell.runtime == place.runtime && cell.load == load
    };
    if let Some(index) = plan.cells.iter().position(same) {
        return index;
    }
    plan.cells.push(Cell {
        scenario: place.scenario.clone(),
        runtime: place.runtime.clone(),
        load,
        arm: None,
        unsupported: None,
    });
    plan.cells.len() - 1
}
