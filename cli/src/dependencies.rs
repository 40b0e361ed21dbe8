//! Exact versions of every dependency, from the lock file the tool was built with.
//!
//! A patch release of a runtime can move results by a third, so each record carries them all.

use std::collections::BTreeMap;

use serde::Deserialize;

const LOCK_FILE: &str = include_str!("../../Cargo.lock");

#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    /// Absent for the workspace's own packages.
    source: Option<String>,
}

/// Versions by package name; where several versions of one package are in, all of them, separated by commas.
pub fn versions() -> BTreeMap<String, String> {
    let lock: Lock = toml::from_str(LOCK_FILE).expect("cargo wrote the lock file");
    let mut versions = BTreeMap::<String, String>::new();
    for package in lock
        .package
        .into_iter()
        .filter(|package| package.source.is_some())
    {
        versions
            .entry(package.name)
            .and_modify(|all| *all = format!("{all}, {}", package.version))
            .or_insert(package.version);
    }
    versions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtimes_versions_are_there_and_the_projects_own_packages_are_not() {
        let versions = versions();
        assert!(
            versions["tokio"].starts_with("1."),
            "{:?}",
            versions["tokio"]
        );
        assert!(!versions.contains_key("photofinish"));
    }
}
