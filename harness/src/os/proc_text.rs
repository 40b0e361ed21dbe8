//! Parsing of text that the Linux kernel writes under `/proc`: mounts, and values by key. Pure.

use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A line of `/proc/self/mountinfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// The part of the file system that is mounted.
    pub(super) root: PathBuf,
    pub(super) point: PathBuf,
    pub(super) kind: String,
    /// Options of the file system; for a control group of version 1, its controllers.
    pub(super) options: String,
}

/// `36 35 98:0 /root /point rw,noatime master:1 - ext3 /dev/sda1 rw,errors=continue`, where any number of tags comes
/// before the hyphen.
pub(super) fn mounts(info: &str) -> Vec<Mount> {
    let mount = |line: &str| {
        let (path, kind) = line.split_once(" - ")?;
        let (mut path, mut kind) = (path.split(' ').skip(3), kind.split(' '));
        Some(Mount {
            root: unescaped(path.next()?),
            point: unescaped(path.next()?),
            kind: kind.next()?.to_owned(),
            options: kind.nth(1).unwrap_or_default().to_owned(),
        })
    };
    info.lines().filter_map(mount).collect()
}

/// Decodes blanks and backslashes, which the kernel writes in octal.
fn unescaped(path: &str) -> PathBuf {
    let escapes = [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ];
    let plain = escapes.iter().fold(path.to_owned(), |path, (code, plain)| {
        path.replace(code, plain)
    });
    plain.into()
}

/// The mount that holds `path`: the longest mount point above it, and the last of several mounts on one point.
pub(super) fn mount_of<'a>(path: &Path, mounts: &'a [Mount]) -> Option<&'a Mount> {
    mounts
        .iter()
        .filter(|mount| path.starts_with(&mount.point))
        .max_by_key(|mount| mount.point.components().count())
}

/// The value after `key` in lines of the form `key value`, as in `/proc/vmstat` and `cpu.stat`.
pub(super) fn field<T: FromStr>(text: &str, key: &str) -> Option<T> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        (name == key).then(|| value.trim().parse().ok())?
    })
}
