//! A part of a crawl: addresses taken from what all parts share, pages visited, lines written, until nothing waits.
//!
//! A page may lead to others and is tried again while it answers with 5xx; a redirect leads on; a broken link is part
//! of the web and no failure. Which addresses may be visited is decided in `frontier.rs`. How many parts there are and
//! when they begin is said in `crawl.rs`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use photofinish_harness::runtime::{File as _, OpenMode, Runtime, Semaphore as _};
use photofinish_harness::workload::Failure;
use url::{Position, Url};

use super::super::frontier::Frontier;
use super::super::html_page::HtmlPage;
use super::super::site::Visitor;
use super::super::tallies::Peak;

/// What the parts of one crawl share.
pub(super) struct Crawling<R: Runtime> {
    pub(super) frontier: Mutex<Frontier>,
    pub(super) under_way: Arc<Peak>,
    pub(super) results: PathBuf,
    /// One permit: a line may take several writes, and those of two parts must not mix.
    pub(super) writing: R::Semaphore,
    pub(super) tries: u32,
    pub(super) backoff: Duration,
}

impl<R: Runtime> Crawling<R> {
    pub(super) fn frontier(&self) -> MutexGuard<'_, Frontier> {
        self.frontier.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Url> {
        self.frontier().take()
    }

    /// Asks for a path, and again while the site answers with 5xx and there are tries left; gives the last status.
    pub(super) async fn get(
        &self,
        runtime: &R,
        visitor: &mut Visitor<R>,
        path: &str,
    ) -> Result<u16, Failure> {
        let mut wait = self.backoff;
        for _ in 1..self.tries {
            let status = self.get_once(visitor, path).await?;
            if status < 500 {
                return Ok(status);
            }
            runtime.sleep_until(Instant::now() + wait).await;
            wait *= 2;
        }
        self.get_once(visitor, path).await
    }

    async fn get_once(&self, visitor: &mut Visitor<R>, path: &str) -> Result<u16, Failure> {
        let _under_way = self.under_way.enter();
        visitor.get(path).await
    }

    /// Asks for what is at `address`, takes up where it leads, and gives the line for the result file if it is a page.
    async fn visit(
        &self,
        runtime: &R,
        visitor: &mut Visitor<R>,
        address: &Url,
    ) -> Result<Option<String>, Failure> {
        let path = &address[Position::BeforePath..];
        match self.get(runtime, visitor, path).await? {
            200 if visitor.is_html() => {
                let page = HtmlPage::read(visitor.body());
                let mut frontier = self.frontier();
                page.links_from(address)
                    .for_each(|link| frontier.offer(link));
                Ok(Some(format!("{address}\t{}\n", page.title_or_none())))
            }
            301 | 302 | 303 | 307 | 308 => {
                let to = visitor.location().and_then(|to| address.join(to).ok());
                to.into_iter().for_each(|to| self.frontier().offer(to));
                Ok(None)
            }
            status @ 500.. => {
                let answer = format!(
                    "GET {path} answered {status} to the last of {} tries",
                    self.tries
                );
                Err(Failure::new(Failure::STATUS, answer))
            }
            // A broken link, or something that is no page.
            _ => Ok(None),
        }
    }
}

/// Visits one page after another, or a single one; gives the visitor back.
pub(super) async fn take_part<R: Runtime>(
    runtime: R,
    mut visitor: Visitor<R>,
    crawl: Arc<Crawling<R>>,
    until_empty: bool,
) -> (Visitor<R>, Result<(), Failure>) {
    let visited = visit_pages(&runtime, &mut visitor, &crawl, until_empty).await;
    (visitor, visited)
}

async fn visit_pages<R: Runtime>(
    runtime: &R,
    visitor: &mut Visitor<R>,
    crawl: &Crawling<R>,
    until_empty: bool,
) -> Result<(), Failure> {
    let mut results = runtime.open(&crawl.results, OpenMode::Append).await?;
    while let Some(address) = crawl.next() {
        if let Some(line) = crawl.visit(runtime, visitor, &address).await? {
            let _permit = crawl.writing.acquire().await;
            results.write_all(&mut line.into_bytes()).await?;
        }
        if !until_empty {
            break;
        }
    }
    Ok(())
}
