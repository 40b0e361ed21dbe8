//! The file system of a run's files, and the space on it.

use super::words;
use super::{Assessment, Readings, level_of_amount};

/// File systems in memory.
const IN_MEMORY: [&str; 2] = ["tmpfs", "ramfs"];

/// Layered file systems, as in containers.
const LAYERED: [&str; 3] = ["overlay", "aufs", "unionfs"];

/// File systems behind a network or another process, in addition to all kinds of `fuse`.
const REMOTE: [&str; 13] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "virtiofs",
    "ceph",
    "glusterfs",
    "lustre",
    "afs",
    "vboxsf",
    "prl_fs",
];

/// Enough space for a run's files and record, and too little.
const ROOMY_BYTES: u64 = 1 << 30;
const CRAMPED_BYTES: u64 = 64 << 20;

const ELSEWHERE: &str = "for file scenarios, put runs on a local disk with --out DIR";

pub(super) fn file_system(readings: &Readings) -> Assessment {
    let storage = &readings.storage;
    let Some(kind) = storage.file_system.as_deref() else {
        return Assessment::unknown("the file system of the work directory is unknown");
    };
    let place = match &storage.mount_point {
        Some(mount) => format!(
            "{} is {kind} (mounted on {})",
            storage.directory.display(),
            mount.display()
        ),
        None => format!("{} is {kind}", storage.directory.display()),
    };
    let cautious =
        |reason: &str| Assessment::caution(format!("{place}: {reason}")).remedy(ELSEWHERE);
    match kind {
        kind if IN_MEMORY.contains(&kind) => {
            cautious("file scenarios measure memory, and syncing costs nothing")
        }
        kind if LAYERED.contains(&kind) => {
            cautious("file scenarios go through layers, and a first write copies the file up")
        }
        kind if REMOTE.contains(&kind) || kind.starts_with("fuse") => {
            cautious("file scenarios wait for a network or another process")
        }
        _ => Assessment::good(place),
    }
}

pub(super) fn disk_space(readings: &Readings) -> Assessment {
    let Some(free) = readings.storage.free_bytes else {
        return Assessment::unknown("the free space of the work directory is unknown");
    };
    let evidence = format!(
        "{} are free for {}",
        words::bytes(free),
        readings.storage.directory.display()
    );
    Assessment::at(level_of_amount(free, CRAMPED_BYTES, ROOMY_BYTES), evidence)
        .remedy_unless_good("free some space, or choose a directory on another disk with --out")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fitness::assessed;
    use photofinish_record::FindingLevel::{self, Bad, Caution, Good, Unknown};

    #[test]
    fn a_nonlocal_disk_is_a_caution() {
        let check = |kind: Option<&str>, expected: FindingLevel, evidence: &str| {
            let found = assessed(file_system, |readings| {
                readings.storage.directory = "/work".into();
                readings.storage.file_system = kind.map(str::to_owned);
                readings.storage.mount_point = Some("/".into());
            });
            assert_eq!(found.level, expected, "{found:?}");
            assert!(found.evidence.contains(evidence), "{found:?}");
        };
        check(None, Unknown, "unknown");
        check(Some("ext4"), Good, "/work is ext4 (mounted on /)");
        check(Some("tmpfs"), Caution, "memory");
        check(Some("overlay"), Caution, "layers");
        check(Some("nfs4"), Caution, "network");
        check(Some("fuse.sshfs"), Caution, "network");
    }

    #[test]
    fn a_nearly_full_disk_is_reported() {
        let amounts = [None, Some(20 << 30), Some(500 << 20), Some(1 << 20)];
        for (free, expected) in amounts.into_iter().zip([Unknown, Good, Caution, Bad]) {
            let found = assessed(disk_space, |readings| readings.storage.free_bytes = free);
            assert_eq!(found.level, expected, "{found:?}");
        }
    }
}
