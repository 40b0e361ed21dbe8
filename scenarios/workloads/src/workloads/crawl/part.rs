//! A part of a crawl: it takes addresses, visits pages and writes lines until no address is left.
//!
//! A page may link to others, and is requested again while it answers with 5xx; redirects are followed; a broken link
//! is not a failure. `frontier.rs` decides which addresses may be visited, `crawl.rs` starts the parts.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use photofinish_harness::runtime::{File as _, OpenMode, Runtime, Semaphore as _};
use photofinish_harness::workload::Failure;
use url::{Position, Url};

use super::super::frontier::Frontier;
use super::super::html_page::HtmlPage;
use super::super::robots::Robots;
use super::super::site::Visitor;
use super::super::tallies::Peak;

/// Maximum number of redirects to the rules of a site (RFC 9309, section 2.3.1.2).
const ROBOTS_REDIRECTS: u32 = 5;

/// State shared by the parts of one crawl.
pub(super) struct CrawlState<R: Runtime> {
    pub(super) frontier: Mutex<Frontier>,
    pub(super) under_way: Arc<Peak>,
    pub(super) results: PathBuf,
    /// A single permit: a line may take several writes, and lines of two parts must not mix.
    pub(super) writing: R::Semaphore,
    pub(super) tries: u32,
    pub(super) backoff: Duration,
}

impl<R: Runtime> CrawlState<R> {
    pub(super) fn frontier(&self) -> MutexGuard<'_, Frontier> {
        self.frontier.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn next(&self) -> Result<Option<Url>, Failure> {
        self.frontier().take()
    }

    /// Requests a path, again if the site answers with 5xx and there are tries left; returns the last status.
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

    /// The rules of the site, following redirects within it.
    pub(super) async fn robots(
        &self,
        runtime: &R,
        visitor: &mut Visitor<R>,
        root: &Url,
    ) -> Result<Robots, Failure> {
        let mut address = root.clone();
        address.set_path("/robots.txt");
        address.set_query(None);
        for _ in 0..=ROBOTS_REDIRECTS {
            let path = &address[Position::BeforePath..];
            let status = self.get(runtime, visitor, path).await?;
            let to = visitor.leads_to(&address);
            // Another site's rules cannot be fetched from here.
            match to.filter(|to| is_redirect(status) && to.origin() == root.origin()) {
                Some(to) => address = to,
                None => return Ok(Robots::answered(status, visitor.body())),
            }
        }
        Ok(Robots::nothing())
    }

    /// Requests `address`, offers its links to the frontier, and returns its title if it is a page.
    pub(super) async fn visit(
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
                Ok(Some(page.title_or_none().to_owned()))
            }
            status if is_redirect(status) => {
                let to = visitor.leads_to(address);
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
            // A broken link, or a resource that is not a page.
            _ => Ok(None),
        }
    }
}

fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// Visits one page after another, or a single one.
pub(super) async fn visit_pages<R: Runtime>(
    runtime: &R,
    visitor: &mut Visitor<R>,
    crawl: &CrawlState<R>,
    until_empty: bool,
) -> Result<(), Failure> {
    let mut results = runtime.open(&crawl.results, OpenMode::Append).await?;
    while let Some(address) = crawl.next()? {
        if let Some(title) = crawl.visit(runtime, visitor, &address).await? {
            let line = format!("{address}\t{title}\n");
            let _permit = crawl.writing.acquire().await;
            results.write_all(&mut line.into_bytes()).await?;
        }
        if !until_empty {
            break;
        }
    }
    Ok(())
}
