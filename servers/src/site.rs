//! The server `site`: a web site drawn from a seed, for crawling, scraping and downloading.
//!
//! The content of the site is chosen once at the start (`site/plan.rs`, `site/html.rs`); requests are answered and
//! counted per path in `site/answers.rs`. `/site-report` reports as JSON what the site contains and what was requested
//! (`site/report.rs`), so that a crawler can be checked. Framing is hyper's; accepting is in `connections.rs`.

mod answers;
mod html;
mod plan;
mod report;

use std::num::NonZeroU32;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    BehaviourError, Count, CountedStream, Duration, Running, ServeError, ServerKind, Startup,
    read_behaviour, serve_connections,
};
use answers::SiteService;
use plan::Site;

/// The entry in the list of servers.
pub(crate) static KIND: ServerKind = ServerKind {
    name: "site",
    summary: "A web site generated from a seed: linked pages, redirects, broken links, robots.txt, documents",
    counted: &[
        Count::Requests,
        Count::BytesIn,
        Count::BytesOut,
        Count::Connections,
        Count::OpenConnections,
        Count::PeakInFlight,
        Count::Faults,
    ],
    most_threads: None,
    alpn: Some(&["http/1.1"]),
    check_behaviour,
    behaviour_schema: || schemars::schema_for!(SiteBehaviour),
    start,
};

/// The behaviour of the server `site`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct SiteBehaviour {
    /// Seed of the links and all other random choices.
    seed: u64,
    /// Number of pages that robots.txt allows, up to 10,000; disallowed ones are added to them.
    #[schemars(range(max = 10_000))]
    pages: NonZeroU32,
    /// Delay of the slow page.
    slow: Duration,
}

impl Default for SiteBehaviour {
    fn default() -> Self {
        SiteBehaviour {
            seed: 1,
            pages: NonZeroU32::new(200).expect("not zero"),
            slow: std::time::Duration::from_millis(20).into(),
        }
    }
}

const MOST_PAGES: u32 = 10_000;

fn read(behaviour: &serde_json::Value) -> Result<SiteBehaviour, BehaviourError> {
    let behaviour: SiteBehaviour = read_behaviour(behaviour)?;
    let pages = behaviour.pages;
    if pages.get() > MOST_PAGES {
        let message = format!("{pages} pages are more than {MOST_PAGES}");
        return Err(BehaviourError::at(["pages"], message));
    }
    Ok(behaviour)
}

fn check_behaviour(behaviour: &serde_json::Value) -> Result<(), BehaviourError> {
    read(behaviour).map(drop)
}

fn start(startup: Startup) -> Result<Running, ServeError> {
    let behaviour = read(&startup.behaviour)?;
    let site = Site::draw(behaviour.seed, behaviour.pages.get());
    let answers = Arc::new(SiteService::new(
        site,
        behaviour.slow.get(),
        startup.counts.clone(),
    ));
    serve_connections(KIND.name, startup, move |stream| {
        serve_connection(answers.clone(), stream)
    })
}

async fn serve_connection(answers: Arc<SiteService>, stream: CountedStream) {
    let service = service_fn(move |request| {
        let answers = answers.clone();
        async move { Ok::<_, std::convert::Infallible>(answers.answer(request).await) }
    });
    // An error is caused by the client: a reset, or a broken request, to which hyper has answered 400.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
