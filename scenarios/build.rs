//! Lists the catalogue's files into the crate, so that adding a scenario is adding a file.
//!
//! Only names are written here, as `include_str!`s; the texts are checked by tests and when they are used.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=catalogue");
    let folder =
        PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("catalogue");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("catalogue.rs");
    let mut files = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    files.retain(|file| file.extension().is_some_and(|ending| ending == "toml"));
    files.sort();
    fs::write(out, listing(&files))
}

fn listing(files: &[PathBuf]) -> String {
    let mut listing = String::from("static ENTRIES: &[CatalogueEntry] = &[\n");
    for file in files {
        let name = file.file_stem().and_then(|stem| stem.to_str());
        let name = name.expect("catalogue files have names in UTF-8");
        let path: &Path = file;
        writeln!(
            listing,
            "    CatalogueEntry {{ name: {name:?}, text: include_str!({path:?}) }},"
        )
        .expect("writing to a string");
    }
    listing + "];\n"
}
