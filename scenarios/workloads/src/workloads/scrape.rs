//! `scrape`: several HTML pages concurrently; the title of each, or that it has none.
//!
//! `html_page.rs` reads the title within the part that fetched the page: parsing is a share of the work, and runs
//! concurrently if fetching does. The expected titles come from the site's report, or from requests before the clock
//! starts.

use std::time::Duration;

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, RoundEnv, Totals, Workload};

use super::expectation::{Content, Expectation};
use super::html_page::{HtmlPage, NO_TITLE};
use super::http_connection::{Endpoint, TARGET};
use super::params::{params, require_some_paths};
use super::request_count::wrong_requests;
use super::site::{SiteReport, Visitor, Visitors, not_there};
use super::tallies::exactly;

#[derive(Debug)]
pub struct Scrape {
    params: Params,
}

params! {
    fetches;
    /// The pages to be fetched at once, each over a connection of its own.
    pages: Vec<String> = ["/", "/pages/7", "/pages/5"].map(str::to_owned).to_vec(),
}

/// One visitor for each page.
pub struct Session<R: Runtime>(Visitors<R>);

impl Workload for Scrape {
    const ABOUT: About = About {
        name: "scrape",
        class: "web",
        operation: "concurrent HTML pages; title of each checked, or its absence",
        targets: &[TARGET],
        needs: &[],
    };
    type Params = Params;
    /// The pages, and the title of each.
    type Shared<R: Runtime> = Vec<(String, String)>;
    type Session<R: Runtime> = Session<R>;

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        require_some_paths("pages", &params.pages)?;
        Ok(Self { params })
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<Vec<(String, String)>, Failure> {
        let pages = Endpoint::of(env)?.paths(&self.params.pages);
        let titles = match SiteReport::fetch(env).await? {
            Some(report) => reported_by(&report, &pages),
            None => read_before(env, &pages, &self.params.expectation()).await,
        };
        let titles = titles.map_err(|failure| not_there(failure, "pages"))?;
        Ok(pages.into_iter().zip(titles).collect())
    }

    async fn open<R: Runtime>(
        &self,
        env: &Env<R, Vec<(String, String)>>,
        index: u32,
    ) -> Result<Session<R>, Failure> {
        let name = format!("scrape-{index}");
        let visitors = Visitors::connect(env, self.params.pages.len(), &name).await?;
        Ok(Session(visitors))
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R, Vec<(String, String)>>,
        session: &mut Session<R>,
        _: u64,
    ) -> Result<(), Failure> {
        let expected = &env.shared;
        let pages = expected.iter().map(|(page, _)| page.clone());
        let part = |mut visitor, page: String| {
            let expectation = self.params.expectation();
            async move {
                let title = read_title(&mut visitor, &page, &expectation).await;
                (visitor, title)
            }
        };
        let titles = session.0.each(env, pages, part).await?;
        if self.params.content == Content::Any {
            return exactly(expected.len(), titles.len(), "titles");
        }
        check(expected, &titles)
    }

    fn violations(&self, totals: &Totals) -> Vec<String> {
        wrong_requests(totals, TARGET, self.params.pages.len() as u64)
    }
}

/// The titles in the site's own report.
fn reported_by(report: &SiteReport, pages: &[String]) -> Result<Vec<String>, Failure> {
    let title = |path: &String| {
        let page = report.page(path)?;
        Ok(page.title.clone().unwrap_or_else(|| NO_TITLE.to_owned()))
    };
    pages.iter().map(title).collect()
}

/// The titles of a site without a report.
async fn read_before<R: Runtime>(
    env: &RoundEnv<R>,
    pages: &[String],
    expectation: &Expectation,
) -> Result<Vec<String>, Failure> {
    let mut visitor = Visitor::limited(env, "before")?;
    let mut titles = Vec::with_capacity(pages.len());
    for path in pages {
        titles.push(read_title(&mut visitor, path, expectation).await?);
    }
    Ok(titles)
}

async fn read_title<R: Runtime>(
    visitor: &mut Visitor<R>,
    path: &str,
    expectation: &Expectation,
) -> Result<String, Failure> {
    visitor.get_expected(path, expectation).await?;
    Ok(HtmlPage::read(visitor.body()).title_or_none().to_owned())
}

/// Checks that every title is the expected one, in the requested order.
fn check(expected: &[(String, String)], seen: &[String]) -> Result<(), Failure> {
    exactly(expected.len(), seen.len(), "titles")?;
    for ((page, expected), seen) in expected.iter().zip(seen) {
        if seen != expected {
            return Err(Failure::wrong_content(format!(
                "expected `{expected}` as the title of {page}, got `{seen}`"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tallies::detail;
    use super::*;

    #[test]
    fn a_wrong_title_and_titles_in_a_wrong_order_are_caught() {
        let pages = Params::default().pages;
        let titles = |titles: [&str; 3]| titles.map(str::to_owned);
        let expected = titles(["Page 0", "Page 7 & more", NO_TITLE]);
        let expected: Vec<_> = pages.into_iter().zip(expected).collect();
        let message = |seen: [&str; 3]| detail(check(&expected, &titles(seen)));
        assert_eq!(message(["Page 0", "Page 7 & more", NO_TITLE]), "");
        assert_eq!(
            message(["Page 0", "Page 7 &amp; more", NO_TITLE]),
            "expected `Page 7 & more` as the title of /pages/7, got `Page 7 &amp; more`"
        );
        assert!(message(["Page 0", NO_TITLE, "Page 7 & more"]).contains("/pages/7"));
        assert!(message(["Page 0", "Page 7 & more", "A picture"]).contains("expected `no title`"));
    }
}
