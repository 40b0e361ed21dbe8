//! Profiles: the stacks sampled in a round of its own, from which a report shows where CPU time went.

use serde::{Deserialize, Serialize};

/// Maximum number of distinct stacks of a profile.
pub const MOST_STACKS: usize = 2_000;

/// Maximum number of functions in a stack.
pub const MOST_FUNCTIONS: usize = 256;

/// Ending of a function of the kernel.
pub const KERNEL_SUFFIX: &str = "_[k]";

/// The stacks of a cell's worker, sampled in a round that is not among the results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Profile {
    /// Index of the cell in the plan.
    pub cell: usize,
    /// Operations per second of the sampled round.
    pub throughput_ops_s: f64,
    /// True if the kernel was not sampled, for lack of a permission.
    #[serde(default)]
    pub user_only: bool,
    /// Folded stacks, as flame graph tools read them: functions from the outermost inwards, separated by `;`, then a
    /// space and the number of samples. Functions of the kernel end in [`KERNEL_SUFFIX`].
    pub stacks: Vec<String>,
}

impl Profile {
    /// The functions of each stack, and its samples. Lines of another form are left out.
    pub fn samples(&self) -> impl Iterator<Item = (impl Iterator<Item = &str> + Clone, u64)> {
        self.stacks.iter().filter_map(|line| split(line))
    }

    /// Checks that the stacks can be read.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.stacks.len() > MOST_STACKS {
            return Err(format!(
                "a profile has {} stacks, and at most {MOST_STACKS} are read",
                self.stacks.len()
            ));
        }
        for line in &self.stacks {
            let functions = split(line).map(|(functions, _)| functions.count());
            if functions.is_none_or(|count| count > MOST_FUNCTIONS) {
                return Err(format!(
                    "a stack in a profile is not `FUNCTION;… COUNT` with at most {MOST_FUNCTIONS} functions"
                ));
            }
        }
        Ok(())
    }
}

fn split(line: &str) -> Option<(std::str::Split<'_, char>, u64)> {
    let (functions, count) = line.rsplit_once(' ')?;
    Some((functions.split(';'), count.parse::<u32>().ok()?.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_are_functions_and_a_count() {
        let profile = |stack: &str| Profile {
            cell: 0,
            throughput_ops_s: 1.0,
            user_only: false,
            stacks: vec![stack.to_owned()],
        };
        let good = profile("main;<T as Trait>::run;tcp_sendmsg_[k] 42");
        good.check().expect("sound");
        let samples: Vec<(Vec<&str>, u64)> = good
            .samples()
            .map(|(functions, count)| (functions.collect(), count))
            .collect();
        assert_eq!(
            samples,
            [(vec!["main", "<T as Trait>::run", "tcp_sendmsg_[k]"], 42)]
        );
        for bad in [
            "main",
            "main -1",
            "main;run x",
            "main 99999999999",
            &format!("{} 1", "a;".repeat(300)),
        ] {
            profile(bad).check().expect_err(bad);
            assert!(
                profile(bad)
                    .samples()
                    .all(|(functions, _)| functions.count() > MOST_FUNCTIONS)
            );
        }
    }
}
