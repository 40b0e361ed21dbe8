//! Faults of shards and of the store in which they meet: each ends in a sentence, within its time, with the record of what was
//! measured.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use photofinish_record::Outcome;

use crate::shards::Site;
use crate::support::{Finished, Started, read_record, send, wait_for};

fn start(site: &Site, store: &str, more: &[&str]) -> Vec<Started> {
    let shard = |index: u32| site.shard(index, store, more);
    (0..3).map(shard).collect()
}

/// Goal: a shard that hangs is named by the others, and goes nowhere when it continues. Method: SIGSTOP and SIGCONT.
#[test]
fn a_stopped_shard_is_missed_and_ends_when_it_continues() {
    let Some(site) = Site::new() else { return };
    let long = ["--duration=1s", "--store-timeout=3s", "--runtimes=tokio"];
    let mut all = start(&site, "store", &long);
    let started = site.sandbox.path().join("store/go/1");
    wait_for("the first round", || started.exists().then_some(()));
    let mut stopped = all.remove(1);
    send("STOP", stopped.id());
    for other in all {
        let other = other.finish();
        let reasons = ["shard 1 of 3 was not ready for round ", "ended the run: "];
        assert!(
            reasons.iter().any(|reason| other.stderr.contains(reason)),
            "{other:#?}"
        );
        assert_eq!(other.code, Some(1));
    }
    let merge = ["merge", "store", "--out", "merged"];
    site.sandbox
        .run(&merge)
        .check(5, &["partial: shard 1 of 3 is missing"]);
    send("CONT", stopped.id());
    stopped.finish().check(1, &["ended the run: "]);
    let records = fs::read_dir(site.sandbox.path().join("store/records")).expect("records");
    assert_eq!(records.count(), 3);
}

#[test]
fn a_store_that_is_deleted_while_shards_wait_has_no_shards() {
    let Some(site) = Site::new() else { return };
    let patience = ["--store-timeout=3s"];
    let both = [0, 2].map(|index| site.shard(index, "store", &patience));
    let store = site.sandbox.path().join("store");
    for name in ["joined/0", "joined/2"] {
        wait_for(name, || store.join(name).exists().then_some(()));
    }
    // One of them may be writing to it.
    wait_for("its end", || {
        let _ = fs::remove_dir_all(&store);
        (!store.exists()).then_some(())
    });
    for one in both {
        let one = one.finish();
        // The last one in the middle of a write.
        let reasons = [
            "shards 0, 1 and 2 of 3 were not there within 3 s",
            "ended the run: ",
            "cannot use the store ",
        ];
        assert!(
            reasons.iter().any(|reason| one.stderr.contains(reason)),
            "{one:#?}"
        );
        assert_eq!(one.code, Some(1));
    }
}

/// A small file system; unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`, with a message, where this process may not mount.
    fn mount(path: &Path) -> Option<Self> {
        fs::create_dir(path).expect("created");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=256k", "none"])
            .arg(path);
        let mounted = Finished::of(&mut mount);
        if mounted.code != Some(0) {
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED: may not mount: {}",
                mounted.stderr
            );
            return None;
        }
        Some(Self(path.to_owned()))
    }

    fn fill(&self) {
        let mut file = fs::File::create(self.0.join("filler")).expect("created");
        while file.write_all(&[1; 512]).is_ok() {}
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Goal: shards end when the store is full, and keep what they have measured. Method: a tmpfs, filled in the first round.
#[test]
fn a_full_store_ends_the_run_and_records_stay_with_their_shards() {
    let Some(site) = Site::new() else { return };
    let store = site.sandbox.path().join("store");
    let Some(disk) = SmallDisk::mount(&store) else {
        return;
    };
    let long = ["--duration=1s", "--store-timeout=5s", "--runtimes=tokio"];
    let all = start(&site, "store", &long);
    wait_for("the first round", || {
        store.join("go/1").exists().then_some(())
    });
    disk.fill();
    for shard in all {
        let shard = shard.finish();
        assert_eq!(shard.code, Some(1), "{shard:#?}");
        let reasons = ["cannot use the store ", "No space left on device"];
        assert!(
            reasons.iter().all(|reason| shard.stderr.contains(reason)),
            "{shard:#?}"
        );
    }
    for index in 0..3 {
        let record = format!("out-{index}/latest/record.json");
        let record = read_record(&site.sandbox.path().join(record));
        assert!(matches!(&record.rounds[0].outcome, Outcome::Ok(_)));
        assert!(matches!(&record.rounds[1].outcome, Outcome::Failed { .. }));
    }
}
