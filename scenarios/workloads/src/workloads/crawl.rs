//! `crawl`: a whole site from its root, obeying robots.txt, a limited number of requests at once, each page once.
//!
//! Parts take addresses from a shared frontier until it is empty, and all are joined before the next turn: no part
//! waits for another one, so a crawl ends under every runtime. This file has the life of a round and of each crawl.
//! `crawl/part.rs` has a part, `crawl/expectations.rs` the checks, `crawl/survey.rs` the expected pages of a site
//! without a report, `frontier.rs` the rules for addresses.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use photofinish_harness::runtime::{OpenMode, Runtime};
use photofinish_harness::workload::{About, Env, Failure, ParamError, RoundEnv, Totals, Workload};

use self::expectations::{check_results, check_visits, expected};
use self::part::{CrawlState, visit_pages};
use self::survey::survey;
use super::frontier::Frontier;
use super::http_connection::TARGET;
use super::params::{count, params, require, require_at_most};
use super::robots::Robots;
use super::site::{SiteReport, Visitor, Visitors};

mod part;

mod expectations;
mod survey;

#[derive(Debug)]
pub struct Crawl {
    params: Params,
    /// Time before the first retry.
    backoff: Duration,
}

params! {
    /// Requests of one crawl in flight at once, 1,000 at most.
    limit: NonZeroU32 = count(10),
    /// Requests for a page that answers with 5xx, 10 at most.
    tries: NonZeroU32 = count(3),
    /// Wait before the second request for such a page, in units; it doubles before each further one.
    backoff: f64 = 0.25,
}

/// The expected pages, and the number of requests made earlier by other crawls.
pub struct Shared {
    /// The title of each allowed page, by its address.
    expected: BTreeMap<String, String>,
    /// The site's report before the first crawl, since it may have run for longer; `None` if the site has none.
    before: Option<SiteReport>,
}

/// The crawls of one session, one after another.
pub struct Session<R: Runtime> {
    index: u32,
    crawls: u64,
    visitors: Visitors<R>,
    /// Addresses and titles, a line for each page.
    results: PathBuf,
    read: Vec<u8>,
}

impl Workload for Crawl {
    const ABOUT: About = About {
        name: "crawl",
        class: "web",
        operation: "crawl a site, a limited number of requests at a time, obeying robots.txt; each allowed page once",
        targets: &[TARGET],
        needs: &[],
    };
    type Params = Params;
    type Shared<R: Runtime> = Shared;
    type Session<R: Runtime> = Session<R>;

    fn new(params: Params, unit: Duration) -> Result<Self, ParamError> {
        require_at_most("limit", params.limit.get(), 1_000)?;
        require_at_most("tries", params.tries.get(), 10)?;
        require((0.0..=1_000.0).contains(&params.backoff), "backoff", || {
            "a back-off lasts from 0 to 1,000 units".to_owned()
        })?;
        let backoff = unit.mul_f64(params.backoff);
        Ok(Self { params, backoff })
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<Shared, Failure> {
        std::fs::create_dir_all(&env.work_dir)?;
        let report = SiteReport::fetch(env).await?;
        let mut visitor = Visitor::limited(env, "survey")?;
        let expected = match &report {
            Some(report) => expected(report, &visitor.root()?),
            None => {
                let crawl = self.start(env, &mut visitor, PathBuf::new()).await?;
                survey(&env.runtime, &mut visitor, &crawl).await?
            }
        };
        Ok(Shared {
            expected,
            before: report,
        })
    }

    async fn open<R: Runtime>(
        &self,
        env: &Env<R, Shared>,
        index: u32,
    ) -> Result<Session<R>, Failure> {
        Ok(Session {
            index,
            crawls: 0,
            visitors: Visitors::connect(env, self.params.limit.get() as usize, "").await?,
            results: env.work_dir.join(format!("crawled-{index}.tsv")),
            read: Vec::new(),
        })
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R, Shared>,
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
            .at_most(self.params.limit.get(), "requests in flight")?;
        let Session { results, read, .. } = session;
        env.runtime.read_file(results, read).await?;
        check_results(&env.shared.expected, &String::from_utf8_lossy(read))
    }

    async fn close<R: Runtime>(&self, _: &Env<R, Shared>, session: &mut Session<R>) {
        // No longer needed; a leftover is emptied by the next round.
        let _ = std::fs::remove_file(&session.results);
    }

    async fn finish<R: Runtime>(
        &self,
        env: &Env<R, Shared>,
        totals: &Totals,
    ) -> Result<Vec<String>, Failure> {
        let Some(before) = &env.shared.before else {
            return Ok(Vec::new());
        };
        let Some(report) = SiteReport::fetch(env).await? else {
            let message = "the site no longer serves the report of its requests";
            return Err(Failure::new(Failure::STATUS, message));
        };
        let report = report.since(before);
        let mut broken = check_visits(&report, totals);
        let most = u64::from(self.params.limit.get()) * u64::from(totals.sessions);
        let seen = report.peak_in_flight;
        if seen > most {
            broken.push(format!(
                "expected at most {most} requests in flight at the site, got {seen}"
            ));
        }
        Ok(broken)
    }
}

impl Crawl {
    /// The initial state: an empty result file, the site's rules, and the root in the frontier.
    async fn begin<R: Runtime>(
        &self,
        env: &RoundEnv<R>,
        session: &mut Session<R>,
    ) -> Result<Arc<CrawlState<R>>, Failure> {
        session.crawls += 1;
        drop(env.runtime.open(&session.results, OpenMode::Create).await?);
        // On a site that runs for several rounds, crawls of different workers must differ.
        let worker = std::process::id();
        let name = format!("crawl-{worker}-{}-{}", session.index, session.crawls);
        session.visitors.rename(&name);
        let visitor = session.visitors.first(env)?;
        let crawl = self.start(env, visitor, session.results.clone()).await?;
        Ok(Arc::new(crawl))
    }

    /// A crawl that is about to visit the root, by the rules of the site.
    async fn start<R: Runtime>(
        &self,
        env: &RoundEnv<R>,
        visitor: &mut Visitor<R>,
        results: PathBuf,
    ) -> Result<CrawlState<R>, Failure> {
        let root = visitor.root()?;
        let mut crawl = CrawlState {
            frontier: Mutex::new(Frontier::new(root.clone(), Robots::nothing())),
            under_way: Arc::default(),
            results,
            writing: env.runtime.semaphore(NonZeroU32::MIN),
            tries: self.params.tries.get(),
            backoff: self.backoff,
        };
        let robots = crawl.robots(&env.runtime, visitor, &root).await?;
        crawl.frontier = Mutex::new(Frontier::new(root, robots));
        Ok(crawl)
    }

    /// Spawns a part for each waiting address, at most one per visitor, and joins all of them.
    async fn round<R: Runtime>(
        &self,
        env: &RoundEnv<R>,
        session: &mut Session<R>,
        crawl: &Arc<CrawlState<R>>,
        waiting: usize,
    ) -> Result<(), Failure> {
        // With a part for every visitor, parts go on until the frontier is empty. With fewer, each visits a single page, so
        // that the next turn can have more parts.
        let until_empty = waiting >= session.visitors.count();
        let part = |mut visitor, crawl: Arc<_>| {
            let runtime = env.runtime.clone();
            async move {
                let visited = visit_pages(&runtime, &mut visitor, &crawl, until_empty).await;
                (visitor, visited)
            }
        };
        let crawls = std::iter::repeat_n(Arc::clone(crawl), waiting);
        session.visitors.each(env, crawls, part).await.map(drop)
    }
}
