//! The CPU quota and the throttling of this process's control group (version 1 or 2), along the hierarchy up to the root.
//!
//! Quotas of ancestors apply too, so the lowest counts. If a namespace hides the hierarchy, the mounted part is the
//! root as far as this process can see.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

use super::proc_text::{Mount, field, mounts};
use crate::fitness::Quota;

pub(super) fn quota() -> Quota {
    let text_of = |path| read_to_string(path).unwrap_or_default();
    quota_of(
        &text_of("/proc/self/cgroup"),
        &mounts(&text_of("/proc/self/mountinfo")),
    )
}

/// The quota, from the text of `/proc/self/cgroup` and the mounts.
fn quota_of(groups: &str, mounts: &[Mount]) -> Quota {
    let mut quota = Quota::default();
    for hierarchy in hierarchies(groups, mounts) {
        for directory in &hierarchy.directories {
            let text_of = |name: &str| read_to_string(directory.join(name)).ok();
            let (limit, known) = match hierarchy.version {
                Version::Two => unified(text_of("cpu.max").as_deref()),
                Version::One => legacy(
                    text_of("cpu.cfs_quota_us").as_deref(),
                    text_of("cpu.cfs_period_us").as_deref(),
                ),
            };
            let stat = text_of("cpu.stat").unwrap_or_default();
            quota.known |= known || hierarchy.version == Version::Two && !stat.is_empty();
            quota.cpus = lowest(quota.cpus, limit);
            quota.add_throttling(&stat);
        }
    }
    quota
}

impl Quota {
    fn add_throttling(&mut self, stat: &str) {
        let add = |sum: Option<u64>, more: Option<u64>| match (sum, more) {
            (Some(sum), Some(more)) => Some(sum.saturating_add(more)),
            (sum, more) => sum.or(more),
        };
        let micro_ns = field(stat, "throttled_usec").map(|us: u64| us.saturating_mul(1000));
        self.throttled_periods = add(self.throttled_periods, field(stat, "nr_throttled"));
        self.throttled_ns = add(
            self.throttled_ns,
            micro_ns.or(field(stat, "throttled_time")),
        );
    }
}

fn lowest(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// The directories of a control group, its own first, the root last.
#[derive(Debug, PartialEq, Eq)]
struct Hierarchy {
    version: Version,
    directories: Vec<PathBuf>,
}

/// The groups of both versions that may limit CPU time: `0::/a/b` of version 2, `2:cpu,cpuacct:/a/b` of version 1.
fn hierarchies(groups: &str, mounts: &[Mount]) -> Vec<Hierarchy> {
    let hierarchy = |line: &str| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let has_cpu = |list: &str| list.split(',').any(|controller| controller == "cpu");
        let (version, mount) = match controllers {
            "" => (
                Version::Two,
                mounts.iter().find(|mount| mount.kind == "cgroup2")?,
            ),
            list if has_cpu(list) => {
                let of_cpu = |mount: &&Mount| mount.kind == "cgroup" && has_cpu(&mount.options);
                (Version::One, mounts.iter().find(of_cpu)?)
            }
            _ => return None,
        };
        let directories = directories(Path::new(path), mount);
        Some(Hierarchy {
            version,
            directories,
        })
    };
    groups.lines().filter_map(hierarchy).collect()
}

fn directories(path: &Path, mount: &Mount) -> Vec<PathBuf> {
    // A path that is not below the mounted root belongs to another namespace.
    let below = path.strip_prefix(&mount.root).unwrap_or(Path::new(""));
    let own = mount.point.join(below);
    own.ancestors()
        .take_while(|directory| directory.starts_with(&mount.point))
        .map(Path::to_owned)
        .collect()
}

/// The quota in CPUs from `cpu.max` (`50000 100000`, or `max 100000`), and true if the file could be read.
fn unified(max: Option<&str>) -> (Option<f64>, bool) {
    let Some(max) = max else { return (None, false) };
    let numbers: Vec<f64> = max
        .split_whitespace()
        .map_while(|word| word.parse().ok())
        .collect();
    match numbers[..] {
        [quota_us, period_us] if period_us > 0.0 => (Some(quota_us / period_us), true),
        _ => (None, true),
    }
}

/// The quota in CPUs from version 1's two files, in which -1 means none.
fn legacy(quota_us: Option<&str>, period_us: Option<&str>) -> (Option<f64>, bool) {
    let number = |text: Option<&str>| text?.trim().parse::<f64>().ok();
    match (number(quota_us), number(period_us)) {
        (Some(quota), Some(period)) if quota > 0.0 && period > 0.0 => (Some(quota / period), true),
        (quota, _) => (None, quota.is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn mount(kind: &str, root: &str, point: &Path, options: &str) -> Mount {
        Mount {
            root: root.into(),
            point: point.to_owned(),
            kind: kind.to_owned(),
            options: options.to_owned(),
        }
    }

    fn write(directory: &Path, files: &[(&str, &str)]) {
        fs::create_dir_all(directory).expect("made");
        for (name, text) in files {
            fs::write(directory.join(name), text).expect("written");
        }
    }

    #[test]
    fn the_lowest_quota_of_all_ancestors_applies() {
        let root = tempfile::tempdir().expect("a directory");
        write(root.path(), &[("cpu.stat", "usage_usec 5\n")]);
        let stat = "nr_periods 9\nnr_throttled 2\nthrottled_usec 30\n";
        write(
            &root.path().join("a"),
            &[("cpu.max", "150000 100000\n"), ("cpu.stat", stat)],
        );
        write(
            &root.path().join("a/b"),
            &[("cpu.max", "max 100000\n"), ("cpu.stat", stat)],
        );
        let mounts = [mount("cgroup2", "/", root.path(), "rw")];
        let found = quota_of("0::/a/b\n", &mounts);
        let expected = Quota {
            known: true,
            cpus: Some(1.5),
            throttled_periods: Some(4),
            throttled_ns: Some(60_000),
        };
        assert_eq!(found, expected);
        // In a separate namespace, the group is at the mount point.
        assert_eq!(quota_of("0::/../../x\n", &mounts).cpus, None);
        assert!(quota_of("0::/\n", &mounts).known);
    }

    #[test]
    fn version_1_is_read_where_its_cpu_controller_is_mounted() {
        let root = tempfile::tempdir().expect("a directory");
        let own = [
            ("cpu.cfs_quota_us", "50000\n"),
            ("cpu.cfs_period_us", "100000\n"),
            ("cpu.stat", "nr_throttled 3\nthrottled_time 7000\n"),
        ];
        write(
            root.path(),
            &[
                ("cpu.cfs_quota_us", "-1\n"),
                ("cpu.cfs_period_us", "100000\n"),
            ],
        );
        write(&root.path().join("job"), &own);
        let mounts = [
            mount("cgroup", "/", Path::new("/elsewhere"), "rw,cpuset"),
            mount("cgroup", "/docker/1", root.path(), "rw,cpu,cpuacct"),
        ];
        let found = quota_of("3:cpuset:/\n2:cpu,cpuacct:/docker/1/job\n", &mounts);
        let expected = Quota {
            known: true,
            cpus: Some(0.5),
            throttled_periods: Some(3),
            throttled_ns: Some(7000),
        };
        assert_eq!(found, expected);
        assert_eq!(quota_of("2:cpu,cpuacct:/docker/1\n", &mounts).cpus, None);
    }

    #[test]
    fn nothing_is_known_without_control_groups() {
        assert_eq!(quota_of("", &[]), Quota::default());
        let missing = mount("cgroup2", "/", Path::new("/nowhere/at/all"), "rw");
        assert_eq!(quota_of("0::/a\n", &[missing]), Quota::default());
    }

    #[test]
    fn quotas_are_read_in_cpus() {
        assert_eq!(unified(Some("50000 100000\n")), (Some(0.5), true));
        assert_eq!(unified(Some("max 100000\n")), (None, true));
        assert_eq!(unified(None), (None, false));
        assert_eq!(legacy(Some("-1\n"), Some("100000\n")), (None, true));
        assert_eq!(
            legacy(Some("200000\n"), Some("100000\n")),
            (Some(2.0), true)
        );
    }
}
