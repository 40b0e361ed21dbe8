//! ssh: a script that starts one shard on each host and waits for all, and merges what they left in the store.

use super::{Submission, shell_word, shell_words};

/// Ctrl-C ends the connections, and shards end with them; what they have left is merged all the same.
const BEGINNING: &str = "#!/bin/sh
set -eu
code=0 running=
fail() { [ \"$code\" != 0 ] || code=$1; }
stop() { trap - INT TERM HUP; code=130; [ -z \"$running\" ] || kill $running 2>/dev/null || true; }
trap stop INT TERM HUP
";

/// A wait that a signal ends is taken up again.
const ENDING: &str = "for shard in $running; do
    while kill -0 \"$shard\" 2>/dev/null; do wait \"$shard\" || fail 1; done
done
";

/// A script for the machine from which all hosts are reached, which reaches the store as well.
pub(super) fn script(submission: &Submission) -> String {
    let Submission {
        program,
        store,
        shards,
        run,
        ..
    } = submission;
    let mut text = BEGINNING.to_owned();
    for (index, host) in submission.hosts.iter().enumerate() {
        let words = [program.clone(), "run".to_owned()];
        let share = [
            "--shard".to_owned(),
            format!("{index}/{shards}"),
            "--store".to_owned(),
            store.clone(),
        ];
        let command = shell_words(&[&words, run.as_slice(), &share].concat());
        // Once for the shell here, once for the one on the host; -tt ends the shard with its connection.
        let (host, command) = (shell_word(host), shell_word(&command));
        text += &format!(
            "ssh -tt -o BatchMode=yes -- {host} {command} </dev/null &\nrunning=\"$running $!\"\n"
        );
    }
    let (program, store) = (shell_word(program), shell_word(store));
    text += ENDING;
    // A shard needs a moment to end after its connection.
    text += &format!("{program} merge --wait 1m {store} || fail $?\nexit \"$code\"\n");
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::submission;
    use super::*;

    #[test]
    fn each_host_has_a_shard() {
        let script = script(&submission());
        let starts: Vec<&str> = script
            .lines()
            .filter(|line| line.starts_with("ssh "))
            .collect();
        assert_eq!(starts.len(), 3);
        assert!(
            starts[0].contains(" -- a '") && starts[2].contains(" -- user@c '"),
            "{script}"
        );
        assert!(starts[1].contains("--shard 1/3"), "{script}");
    }
}
