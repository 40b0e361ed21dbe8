//! `crawl`: a whole site from its root, obeying robots.txt, a limited number of requests at once, each page once.
//!
//! Parts take addresses from a common frontier until none waits, and all of them are joined before the next round: no part
//! ever waits for another one, so that a crawl ends under every runtime, whatever "at once" means there. Where a crawl may
//! go is decided in `frontier.rs`. What must be in the result file, and what may have been asked for, the site tells.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use photofinish_harness::runtime::{File as _, OpenMode, Runtime, Semaphore as _, Task as _};
use photofinish_harness::workload::{About, Env, Failure, ParamError, Totals, Workload};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::{Position, Url};

use super::frontier::{Frontier, Robots};
use super::html_page::{HtmlPage, NO_TITLE};
use super::http_connection::TARGET;
use super::params::require;
use super::site::{SiteReport, Visitor};
use super::tallies::Peak;

/// The workload.
#[derive(Debug)]
pub struct Crawl {
    params: Params,
    /// Time before the first retry.
    backoff: Duration,
    /// The title of each allowed page, by its address.
    expected: OnceLock<BTreeMap<String, String>>,
}

/// Its parameters.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Params {
    /// The most requests of one crawl that are under way at the same time, up to 1,000.
    pub limit: NonZeroU32,
    /// How often a page is asked for that answers with 5xx, up to 10.
    pub tries: NonZeroU32,
    /// How long to wait before the second try, in units; twice as long before each further one.
    pub backoff: f64,
}

impl Default for Params {
    fn default() -> Self {
        let count = |count| NonZeroU32::new(count).expect("not zero");
        Self {
            limit: count(10),
            tries: count(3),
            backoff: 0.25,
        }
    }
}

/// The crawls of one session, one after another.
pub struct Session<R: Runtime> {
    index: u32,
    crawls: u64,
    /// `None` only while a part is under way, and after one panicked.
    visitors: Vec<Option<Visitor<R>>>,
    /// Addresses and titles, a line for each page.
    results: PathBuf,
    read: Vec<u8>,
}

impl Workload for Crawl {
    const ABOUT: About = About {
        name: "crawl",
        class: "web",
        operation: "a site of 200 linked pages, 10 requests at once, robots.txt obeyed; each allowed page once",
        targets: &[TARGET],
        needs: &[],
    };
    type Params = Params;
    type Session<R: Runtime> = Session<R>;

    fn new(params: Params, unit: Duration) -> Result<Self, ParamError> {
        require(params.limit.get() <= 1_000, "limit", || {
            "at most 1,000 requests may be under way at once".to_owned()
        })?;
        require(params.tries.get() <= 10, "tries", || {
            "a page is tried at most 10 times".to_owned()
        })?;
        require((0.0..=1_000.0).contains(&params.backoff), "backoff", || {
            "a back-off lasts from 0 to 1,000 units".to_owned()
        })?;
        let backoff = unit.mul_f64(params.backoff);
        Ok(Self {
            params,
            backoff,
            expected: OnceLock::new(),
        })
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<(), Failure> {
        std::fs::create_dir_all(&env.work_dir)?;
        let report = SiteReport::fetch(env).await?;
        let root = Visitor::new(env, "root")?.root()?;
        self.expected.get_or_init(|| expected(&report, &root));
        Ok(())
    }

    async fn open<R: Runtime>(&self, env: &Env<R>, index: u32) -> Result<Session<R>, Failure> {
        let mut visitors = Vec::with_capacity(self.params.limit.get() as usize);
        for _ in 0..self.params.limit.get() {
            let mut visitor = Visitor::new(env, "")?;
            visitor.connect().await?;
            visitors.push(Some(visitor));
        }
        Ok(Session {
            index,
            crawls: 0,
            visitors,
            results: env.work_dir.join(format!("crawled-{index}.tsv")),
            read: Vec::new(),
        })
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R>,
        session: &mut Session<R>,
        _: u64,
    ) -> Result<(), Failure> {
        let crawl = self.begin(env, session).await?;
        loop {
            let waiting = crawl.frontier().waiting();
            if waiting == 0 {
                break;
            }
            self.round(env, session, &crawl, waiting).await?;
        }
        env.observed
            .number("requests_at_once", crawl.under_way.most() as f64);
        crawl
            .under_way
            .at_most(self.params.limit.get(), "requests were under way")?;
        let Session { results, read, .. } = session;
        env.runtime.read_file(results, read).await?;
        let expected = self.expected.get().expect("prepared before any session");
        check_results(expected, &String::from_utf8_lossy(read))
    }

    async fn close<R: Runtime>(&self, _: &Env<R>, session: Session<R>) {
        // Nobody needs it any more; a leftover is emptied by the next round.
        let _ = std::fs::remove_file(session.results);
    }

    async fn finish<R: Runtime>(
        &self,
        env: &Env<R>,
        totals: Totals,
    ) -> Result<Vec<String>, Failure> {
        let report = SiteReport::fetch(env).await?;
        let mut broken = check_visits(&report, &totals);
        let most = u64::from(self.params.limit.get()) * u64::from(totals.sessions);
        let seen = report.peak_in_flight;
        if seen > most {
            broken.push(format!(
                "the site saw {seen} requests at once, of {most} allowed"
            ));
        }
        Ok(broken)
    }
}

impl Crawl {
    /// An empty result file, the rules of the site, and the root waiting.
    async fn begin<R: Runtime>(
        &self,
        env: &Env<R>,
        session: &mut Session<R>,
    ) -> Result<Arc<Crawling<R>>, Failure> {
        session.crawls += 1;
        drop(env.runtime.open(&session.results, OpenMode::Create).await?);
        let name = format!("crawl-{}-{}", session.index, session.crawls);
        for place in &mut session.visitors {
            match place {
                Some(visitor) => visitor.rename(&name),
                None => *place = Some(Visitor::new(env, &name)?),
            }
        }
        let mut crawl = Crawling {
            frontier: Mutex::new(Frontier::new(session.root()?, Robots::Nothing)),
            under_way: Arc::default(),
            results: session.results.clone(),
            writing: env.runtime.semaphore(NonZeroU32::MIN),
            tries: self.params.tries.get(),
            backoff: self.backoff,
        };
        let visitor = session.first()?;
        let status = crawl.get(&env.runtime, visitor, "/robots.txt").await?;
        let robots = Robots::answered(status, visitor.body());
        crawl.frontier = Mutex::new(Frontier::new(session.root()?, robots));
        Ok(Arc::new(crawl))
    }

    /// Spawns parts for those that wait, and joins all of them.
    async fn round<R: Runtime>(
        &self,
        env: &Env<R>,
        session: &mut Session<R>,
        crawl: &Arc<Crawling<R>>,
        waiting: usize,
    ) -> Result<(), Failure> {
        // Only when all are at work do they go on with what they find: a round of few would go on being few.
        let until_empty = waiting >= session.visitors.len();
        let mut tasks = Vec::new();
        for place in session.visitors.iter_mut().take(waiting) {
            let visitor = match place.take() {
                Some(visitor) => visitor,
                None => continue,
            };
            let part = take_part(env.runtime.clone(), visitor, Arc::clone(crawl), until_empty);
            tasks.push((place, env.runtime.spawn(part)));
        }
        let mut outcome = Ok(());
        for (place, task) in tasks {
            let part = task.join().await.map_err(Failure::from);
            let visited = part.and_then(|(visitor, visited)| {
                *place = Some(visitor);
                visited
            });
            outcome = outcome.and(visited);
        }
        outcome
    }
}

impl<R: Runtime> Session<R> {
    fn first(&mut self) -> Result<&mut Visitor<R>, Failure> {
        let first = self.visitors.first_mut().and_then(Option::as_mut);
        first.ok_or_else(|| Failure::new(Failure::PANIC, "no visitor is left"))
    }

    fn root(&mut self) -> Result<Url, Failure> {
        self.first()?.root()
    }
}

/// What the parts of one crawl share.
struct Crawling<R: Runtime> {
    frontier: Mutex<Frontier>,
    under_way: Arc<Peak>,
    results: PathBuf,
    /// One permit: a line may take several writes, and those of two parts must not mix.
    writing: R::Semaphore,
    tries: u32,
    backoff: Duration,
}

impl<R: Runtime> Crawling<R> {
    fn frontier(&self) -> MutexGuard<'_, Frontier> {
        self.frontier.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Url> {
        self.frontier().take()
    }

    /// Asks for a path, and again while the site answers with 5xx and there are tries left; gives the last status.
    async fn get(&self, runtime: &R, visitor: &mut Visitor<R>, path: &str) -> Result<u16, Failure> {
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
async fn take_part<R: Runtime>(
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

/// What a crawl of the site must find.
fn expected(report: &SiteReport, root: &Url) -> BTreeMap<String, String> {
    let allowed = report.pages.iter().filter(|page| page.allowed);
    let entry = |page: &super::site::SitePage| {
        let address = root.join(&page.path).ok()?;
        let title = page.title.as_deref().unwrap_or(NO_TITLE);
        Some((address.into(), title.to_owned()))
    };
    allowed.filter_map(entry).collect()
}

/// Exactly the expected pages, each once and with its title.
fn check_results(expected: &BTreeMap<String, String>, results: &str) -> Result<(), Failure> {
    let mut missing = expected.clone();
    for line in results.lines() {
        let (address, title) = line.split_once('\t').unwrap_or((line, ""));
        let wrong = match (expected.get(address), missing.remove(address)) {
            (None, _) => format!("{address} is in the results, and is no page to be visited"),
            (Some(_), None) => format!("{address} is in the results twice"),
            (Some(right), _) if right != title => {
                format!("the title of {address} was read as `{title}`, not `{right}`")
            }
            _ => continue,
        };
        return Err(Failure::wrong_content(wrong));
    }
    match missing.keys().next() {
        None => Ok(()),
        Some(address) => Err(Failure::wrong_content(format!(
            "{address} is not in the results, and {} more are not",
            missing.len() - 1
        ))),
    }
}

/// What the site saw: nothing disallowed, and where no crawl failed everything once for each crawl.
fn check_visits(report: &SiteReport, totals: &Totals) -> Vec<String> {
    let mut broken = Vec::new();
    if report.disallowed_requests > 0 {
        broken.push(format!(
            "{} requests of pages that robots.txt disallows",
            report.disallowed_requests
        ));
    }
    let Some(mut seen) = report.requests.clone().filter(|_| totals.failed == 0) else {
        return broken;
    };
    let crawls = totals.succeeded;
    let mut exactly = |path: &str, times: u64| {
        let requests = seen.remove(path).unwrap_or(0);
        (requests != times)
            .then(|| format!("{requests} requests of {path} in {crawls} crawls, not {times}"))
    };
    broken.extend(exactly("/robots.txt", crawls));
    for page in report.pages.iter().filter(|page| page.allowed) {
        let each = if page.fails_once { 2 } else { 1 };
        broken.extend(exactly(&page.path, each * crawls));
    }
    let documents = report.documents.iter().map(|document| &document.path);
    for path in report.redirects.iter().chain(documents) {
        broken.extend(exactly(path, crawls));
    }
    // What is left are broken links: there is no list of them, but none is tried twice.
    let too_often = seen.iter().filter(|(_, requests)| **requests > crawls);
    broken.extend(too_often.map(|(path, requests)| {
        format!("{requests} requests of {path} in {crawls} crawls, not {crawls}")
    }));
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> SiteReport {
        let json = serde_json::json!({
            "pages": [
                {"path": "/", "title": "Root", "allowed": true, "fails_once": false},
                {"path": "/a", "title": null, "allowed": true, "fails_once": true},
                {"path": "/private/x", "title": "X", "allowed": false, "fails_once": false},
            ],
            "redirects": ["/moved"],
            "documents": [{"path": "/d", "length_bytes": 1, "sha256": ""}],
            "requests": {"/robots.txt": 2, "/": 2, "/a": 4, "/moved": 2, "/d": 2, "/missing": 2},
            "disallowed_requests": 0,
            "peak_in_flight": 10,
        });
        serde_json::from_value(json).expect("a report")
    }

    #[test]
    fn a_page_twice_a_page_missing_a_disallowed_page_and_a_wrong_title_are_caught() {
        let root = Url::parse("http://h:1/").expect("a URL");
        let expected = expected(&report(), &root);
        let told = |results: &str| {
            let verdict = check_results(&expected, results);
            verdict.map_or_else(|failure| failure.detail, |()| String::new())
        };
        let (first, second) = ("http://h:1/\tRoot\n", "http://h:1/a\tno title\n");
        assert_eq!(told(&[first, second].concat()), "");
        assert_eq!(told(&[second, first].concat()), "", "in any order");
        assert!(
            told(&[first, second, first].concat()).contains("http://h:1/ is in the results twice")
        );
        assert!(told(first).contains("http://h:1/a is not in the results"));
        assert!(told("http://h:1/private/x\tX\n").contains("no page to be visited"));
        assert!(told("http://h:1/\tRooot\n").contains("read as `Rooot`, not `Root`"));
    }

    #[test]
    fn what_the_site_saw_too_often_too_seldom_or_at_all_is_told() {
        let check = |path: &str, requests: u64, expected: &[&str]| {
            let mut report = report();
            let seen = report.requests.as_mut().expect("it counts");
            seen.insert(path.to_owned(), requests);
            let totals = Totals {
                sessions: 1,
                succeeded: 2,
                failed: 0,
            };
            assert_eq!(check_visits(&report, &totals), expected, "{path}");
        };
        check("/", 2, &[]);
        check("/", 3, &["3 requests of / in 2 crawls, not 2"]);
        check("/a", 2, &["2 requests of /a in 2 crawls, not 4"]);
        check("/moved", 0, &["0 requests of /moved in 2 crawls, not 2"]);
        check(
            "/robots.txt",
            0,
            &["0 requests of /robots.txt in 2 crawls, not 2"],
        );
        check(
            "/missing",
            3,
            &["3 requests of /missing in 2 crawls, not 2"],
        );
    }

    #[test]
    fn a_site_that_does_not_count_is_believed_in_what_it_holds() {
        let mut report = report();
        report.requests = None;
        let totals = Totals {
            sessions: 1,
            succeeded: 2,
            failed: 0,
        };
        assert_eq!(check_visits(&report, &totals), [""; 0]);
    }

    #[test]
    fn a_disallowed_page_is_told_even_where_a_crawl_failed() {
        let mut report = report();
        report.disallowed_requests = 1;
        let totals = Totals {
            sessions: 1,
            succeeded: 0,
            failed: 1,
        };
        let told = check_visits(&report, &totals);
        assert_eq!(told, ["1 requests of pages that robots.txt disallows"]);
    }

    #[test]
    fn parameters_that_make_no_sense_are_refused() {
        let refused = |params| {
            Crawl::new(params, Duration::ZERO)
                .map(drop)
                .unwrap_err()
                .param
        };
        let many = NonZeroU32::MAX;
        let defaults = Params::default;
        assert_eq!(
            refused(Params {
                limit: many,
                ..defaults()
            }),
            "limit"
        );
        assert_eq!(
            refused(Params {
                tries: many,
                ..defaults()
            }),
            "tries"
        );
        assert_eq!(
            refused(Params {
                backoff: -1.0,
                ..defaults()
            }),
            "backoff"
        );
    }
}
