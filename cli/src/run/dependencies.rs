//! Exact versions of every dependency, from the lock file the program was built with.
//!
//! A patch release of a runtime can change results by a third, so each record lists them all. A program in another
//! package is built with its own lock file, and passes it; if it does not, the record has no versions rather than wrong
//! ones.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::Deserialize;

/// This project's lock file, if this package is the one being built: as a dependency it is built with another lock
/// file.
const OWN: Option<&str> = if option_env!("CARGO_PRIMARY_PACKAGE").is_some() {
    Some(include_str!("../../../Cargo.lock"))
} else {
    None
};

static PASSED: OnceLock<Versions> = OnceLock::new();

/// Versions by package name; several versions of one package are separated by commas.
type Versions = BTreeMap<String, String>;

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

/// The versions; empty if they are not known.
pub fn versions() -> Versions {
    match (PASSED.get(), OWN) {
        (Some(versions), _) => versions.clone(),
        (None, Some(lock)) => read(lock).expect("cargo wrote the lock file"),
        (None, None) => Versions::new(),
    }
}

/// Reads the versions from the text of a lock file, and uses them from then on.
pub fn set_lock_file(lock: &str) -> Result<(), toml::de::Error> {
    let versions = read(lock)?;
    // A second call cannot pass a different lock file: a program is built with one.
    let _ = PASSED.set(versions);
    Ok(())
}

fn read(lock: &str) -> Result<Versions, toml::de::Error> {
    let lock: Lock = toml::from_str(lock)?;
    let mut versions = Versions::new();
    let foreign = lock.package.into_iter();
    for package in foreign.filter(|package| package.source.is_some()) {
        versions
            .entry(package.name)
            .and_modify(|all| *all = format!("{all}, {}", package.version))
            .or_insert(package.version);
    }
    Ok(versions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtime_versions_are_listed_without_the_projects_own_packages() {
        let versions = versions();
        assert!(versions["tokio"].starts_with("1."), "{versions:?}");
        assert!(!versions.contains_key("photofinish"));
    }

    #[test]
    fn all_versions_of_a_package_are_listed_and_other_files_are_refused() {
        let package = |name, version| {
            format!("[[package]]\nname = '{name}'\nversion = '{version}'\nsource = 'x'\n")
        };
        let lock =
            package("tokio", "1.2.3") + &package("rand", "0.8.5") + &package("rand", "0.9.0");
        let versions = read(&lock).expect("a lock file");
        assert_eq!(versions["tokio"], "1.2.3");
        assert_eq!(versions["rand"], "0.8.5, 0.9.0");
        assert!(read("[dependencies]\ntokio = '1'").is_err());
    }
}
