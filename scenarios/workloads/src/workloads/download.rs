//! `download`: fetches several documents concurrently and saves each of them to a file.
//!
//! The length is checked on arrival. After the clock has stopped, the files are read back and compared with the digests
//! of the site's documents, taken from its report or from a download before the clock started.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use photofinish_harness::runtime::{File as _, OpenMode, Runtime};
use photofinish_harness::workload::{About, Env, Failure, ParamError, RoundEnv, Totals, Workload};
use photofinish_record::hex;
use sha2::{Digest as _, Sha256};

use super::expectation::{Content, Expectation};
use super::http_connection::{Endpoint, TARGET};
use super::params::{params, require_some_paths};
use super::request_count::wrong_requests;
use super::site::{SiteDocument, SiteReport, Visitor, Visitors, not_there};
use super::tallies::{ensure, exactly};

#[derive(Debug)]
pub struct Download {
    params: Params,
    /// Sessions that saved all their documents at least once.
    saved: Mutex<BTreeSet<u32>>,
}

params! {
    fetches;
    /// The documents to be fetched at once, each over a connection of its own.
    documents: Vec<String> = (1..=3).map(|number| format!("/documents/{number}.bin")).collect(),
}

/// One visitor for each document.
pub struct Session<R: Runtime> {
    index: u32,
    visitors: Visitors<R>,
}

impl Workload for Download {
    const ABOUT: About = About {
        name: "download",
        class: "web",
        operation: "fetch documents concurrently, save each to a file",
        targets: &[TARGET],
        needs: &[],
    };
    type Params = Params;
    type Shared<R: Runtime> = Vec<SiteDocument>;
    type Session<R: Runtime> = Session<R>;

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        require_some_paths("documents", &params.documents)?;
        Ok(Self {
            params,
            saved: Mutex::default(),
        })
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<Vec<SiteDocument>, Failure> {
        std::fs::create_dir_all(&env.work_dir)?;
        let paths = Endpoint::of(env)?.paths(&self.params.documents);
        let documents = match SiteReport::fetch(env).await? {
            Some(report) => reported_by(&report, &paths),
            None => fetched_before(env, paths, &self.params.expectation()).await,
        };
        documents.map_err(|failure| not_there(failure, "documents"))
    }

    async fn open<R: Runtime>(
        &self,
        env: &Env<R, Vec<SiteDocument>>,
        index: u32,
    ) -> Result<Session<R>, Failure> {
        let name = format!("download-{index}");
        let visitors = Visitors::connect(env, self.params.documents.len(), &name).await?;
        Ok(Session { index, visitors })
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R, Vec<SiteDocument>>,
        session: &mut Session<R>,
        _: u64,
    ) -> Result<(), Failure> {
        let documents = &env.shared;
        let save = |mut visitor, (number, document): (usize, &SiteDocument)| {
            let path = saved_path(&env.work_dir, session.index, number);
            let (runtime, document) = (env.runtime.clone(), document.clone());
            let expectation = self.params.expectation();
            async move {
                let saved =
                    fetch_and_save(&runtime, &mut visitor, &document, &path, &expectation).await;
                (visitor, saved)
            }
        };
        let numbered = documents.iter().enumerate();
        let done = session.visitors.each(env, numbered, save).await?;
        exactly(documents.len(), done.len(), "saved documents")?;
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        saved.insert(session.index);
        Ok(())
    }

    fn violations(&self, totals: &Totals) -> Vec<String> {
        wrong_requests(totals, TARGET, self.params.documents.len() as u64)
    }

    async fn finish<R: Runtime>(
        &self,
        env: &Env<R, Vec<SiteDocument>>,
        _: &Totals,
    ) -> Result<Vec<String>, Failure> {
        let documents = &env.shared;
        let saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        let mut broken = Vec::new();
        for session in saved.iter() {
            for (number, document) in documents.iter().enumerate() {
                let path = saved_path(&env.work_dir, *session, number);
                if self.params.content == Content::Same {
                    broken.extend(check_file(&path, document).err());
                }
                // A leftover is overwritten by the next round.
                let _ = std::fs::remove_file(path);
            }
        }
        Ok(broken)
    }
}

/// The documents in the site's own report.
fn reported_by(report: &SiteReport, paths: &[String]) -> Result<Vec<SiteDocument>, Failure> {
    let document = |path: &String| report.document(path).cloned();
    paths.iter().map(document).collect()
}

/// The documents of a site without a report.
async fn fetched_before<R: Runtime>(
    env: &RoundEnv<R>,
    paths: Vec<String>,
    expectation: &Expectation,
) -> Result<Vec<SiteDocument>, Failure> {
    let mut visitor = Visitor::limited(env, "before")?;
    let mut documents = Vec::with_capacity(paths.len());
    for path in paths {
        visitor.get_expected(&path, expectation).await?;
        let document = SiteDocument {
            length_bytes: visitor.body().len() as u64,
            sha256: digest(visitor.body()),
            path,
        };
        if expectation.compares_content() {
            visitor.get_expected(&document.path, expectation).await?;
            ensure(digest(visitor.body()) == document.sha256, || {
                let path = &document.path;
                format!(
                    "GET {path} differs between two responses; --set content=any checks only status and framing"
                )
            })?;
        }
        documents.push(document);
    }
    Ok(documents)
}

/// The SHA-256 of a document, in hexadecimal.
fn digest(contents: &[u8]) -> String {
    hex(Sha256::digest(contents))
}

/// The file of a session's document of this number.
fn saved_path(directory: &Path, session: u32, number: usize) -> PathBuf {
    directory.join(format!("downloaded-{session}-{number}.bin"))
}

async fn fetch_and_save<R: Runtime>(
    runtime: &R,
    visitor: &mut Visitor<R>,
    document: &SiteDocument,
    path: &Path,
    expectation: &Expectation,
) -> Result<(), Failure> {
    visitor.get_expected(&document.path, expectation).await?;
    if expectation.compares_content() {
        let (expected, seen) = (document.length_bytes, visitor.body().len() as u64);
        exactly(expected, seen, &format!("bytes of {}", document.path))?;
    }
    let mut file = runtime.open(path, OpenMode::Create).await?;
    file.write_all(visitor.body_mut()).await?;
    Ok(())
}

/// Checks that the file holds what the site serves; the error describes its actual contents.
fn check_file(path: &Path, document: &SiteDocument) -> Result<(), String> {
    let served = &document.path;
    let contents =
        std::fs::read(path).map_err(|error| format!("{served} was not saved: {error}"))?;
    if contents.len() as u64 == document.length_bytes && digest(&contents) == document.sha256 {
        return Ok(());
    }
    let (length, expected) = (contents.len(), document.length_bytes);
    Err(format!(
        "the file of {served} holds {length} bytes that are not the {expected} served"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_short_and_changed_files_are_caught() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = saved_path(directory.path(), 0, 1);
        let document = SiteDocument {
            path: "/documents/2.bin".to_owned(),
            length_bytes: 3,
            sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned(),
        };
        let message = |contents: &[u8]| {
            std::fs::write(&path, contents).expect("written");
            check_file(&path, &document).err().unwrap_or_default()
        };
        assert_eq!(message(b"abc"), "");
        assert!(message(b"abd").contains("3 bytes that are not the 3 served"));
        assert!(message(b"ab").contains("2 bytes that are not the 3 served"));
        std::fs::remove_file(&path).expect("there");
        let missing = check_file(&path, &document).unwrap_err();
        assert!(
            missing.starts_with("/documents/2.bin was not saved"),
            "{missing}"
        );
    }
}
