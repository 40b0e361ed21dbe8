//! Slurm: one job of as many tasks as shards, each on a node of its own, and the merge as a dependent job.
//!
//! A job array would not do: its tasks may start at different times. A job that lost a node is requeued unless it says
//! otherwise, and would run alone; `--kill-on-bad-exit` ends all shards when one fails. srun does not inherit the CPUs of a task.

use super::{Submission, shell_word, shell_words};

/// A script that submits both jobs.
pub(super) fn script(submission: &Submission) -> String {
    let Submission {
        name, shards, cpus, ..
    } = submission;
    let (program, store) = (
        shell_word(&submission.program),
        shell_word(&submission.store),
    );
    let run = shell_words(&submission.run);
    format!(
        "#!/bin/sh
set -eu
job=$(sbatch --parsable <<'PHOTOFINISH_END'
#!/bin/sh
#SBATCH --job-name={name}
#SBATCH --ntasks={shards}
#SBATCH --nodes={shards}
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task={cpus}
#SBATCH --no-requeue
exec srun --kill-on-bad-exit=1 --cpus-per-task={cpus} {program} run {run} --shard auto --store {store}
PHOTOFINISH_END
)
job=${{job%%;*}}
echo \"{name}: job $job\"
sbatch --dependency=\"afterany:$job\" <<'PHOTOFINISH_END'
#!/bin/sh
#SBATCH --job-name={name}-merge
#SBATCH --ntasks=1
#SBATCH --no-requeue
exec {program} merge {store}
PHOTOFINISH_END
"
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::submission;
    use super::*;

    #[test]
    fn the_job_is_a_gang_that_is_not_requeued_and_the_merge_comes_after_it() {
        let script = script(&submission());
        for line in [
            "#SBATCH --ntasks=3",
            "#SBATCH --nodes=3",
            "#SBATCH --no-requeue",
            r"exec srun --kill-on-bad-exit=1 --cpus-per-task=2 photofinish run http-get --target 'http=http://10.0.0.5/?a=$b&c' --rate 20k --shard auto --store '/shared/it'\''s here'",
            r"exec photofinish merge '/shared/it'\''s here'",
        ] {
            assert!(
                script.lines().any(|known| known == line),
                "{line}\n{script}"
            );
        }
        assert!(!script.contains("--array"), "{script}");
    }
}
