//! Lists the files of the catalogue as `include_str!`s, so that adding a scenario is adding a file.

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=catalogue");
    let mut files = fs::read_dir(fs::canonicalize("catalogue")?)?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "toml")
    });
    // Without the extension, or `http-post-large` would come before `http-post`.
    files.sort_by_key(|file| file.with_extension(""));
    let entries: Vec<String> = files
        .iter()
        .map(|path| {
            let name = path.file_stem().expect("the file has an extension");
            format!("CatalogueEntry {{ name: {name:?}, text: include_str!({path:?}) }},\n")
        })
        .collect();
    let listing = format!(
        "static ENTRIES: &[CatalogueEntry] = &[\n{}];\n",
        entries.concat()
    );
    let out = env::var_os("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join("catalogue.rs"), listing)
}
