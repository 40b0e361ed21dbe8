//! `photofinish report --serve`: all runs of a directory in the browser, any two of them compared.
//!
//! Pages are rendered from the records when they are asked for. Only directories named by the id of a run are looked at, so
//! no path leads elsewhere.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use maud::{DOCTYPE, Markup, PreEscaped, html};
use photofinish_record::Record;
use photofinish_reports::compare::RecordComparison;
use photofinish_reports::report::Report;
use photofinish_reports::{comparison_page, describe, units};

use crate::commands::runs::result;
use crate::exit::{Exit, Failure, OrFail};
use crate::interrupt::Interrupt;
use crate::output;
use crate::store::artifacts::HISTOGRAM_LOG;
use crate::store::past_runs::{self, PastRun};
use crate::store::run_directory::{RECORD, load};
use crate::store::run_id;
use crate::web::{self, Request, Response, Status};

/// Headings of the table of runs.
const HEADINGS: [&str; 8] = [
    "base",
    "head",
    "started (UTC)",
    "run",
    "result",
    "scenarios",
    "size",
    "record",
];

const STYLE: &str = "\
:root { color-scheme: light dark } body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; \
padding: 0 1rem } table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .3rem .8rem .3rem 0; \
border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); vertical-align: top } pre { overflow-x: auto } \
button { font: inherit; padding: .3rem 1rem; margin: 1rem 0 } div { overflow-x: auto }";

/// Forbids scripts and external resources, whatever is on the page.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'";

/// Serves the runs in `parent` until Ctrl-C.
pub fn serve(parent: PathBuf, address: SocketAddr) -> Result<Exit, Failure> {
    let listener = TcpListener::bind(address).map_err(|error| {
        Failure::could_not_run(format!("cannot listen on {address}"))
            .caused_by(error)
            .hint("leave out the address for any free port, or name another one: --serve 127.0.0.1:8080")
    })?;
    let bound = listener.local_addr().or_fail("cannot tell the port")?;
    let interrupt = Interrupt::on_signals()?;
    output::say(&format!("http://{bound}/"))?;
    output::inform(&format!("Runs in {}; Ctrl-C ends it.", parent.display()));
    let site = Site { parent };
    web::serve(&listener, &interrupt, &|request| site.answer(request))
        .or_fail("cannot serve the page")?;
    Ok(Exit::Done)
}

struct Site {
    parent: PathBuf,
}

impl Site {
    fn answer(&self, request: &Request) -> Response {
        let path = request.path.trim_start_matches('/');
        let answer = match *path.split('/').collect::<Vec<_>>() {
            [""] => self.index(),
            ["compare"] => self.comparison(request),
            // With a slash, so that the page finds the record beside it.
            ["runs", id] | ["runs", id, ""] => self.report(id),
            ["runs", id, RECORD] => self.file(id, RECORD, "application/json"),
            ["runs", id, HISTOGRAM_LOG] => self.file(id, HISTOGRAM_LOG, "text/plain"),
            _ => Ok(not_found()),
        };
        answer.unwrap_or_else(|failure| {
            let body = html! { h1 { "This cannot be shown" } pre { (failure.to_string()) } };
            page(Status::Error, "cannot be shown", body)
        })
    }

    /// All runs, newest first.
    fn index(&self) -> Result<Response, Failure> {
        let message = format!("cannot read {}", self.parent.display());
        let runs = past_runs::list(&self.parent).or_fail(message)?;
        let runs: Vec<_> = runs
            .iter()
            .rev()
            .filter(|run| self.directory(&run.id).is_some())
            .collect();
        let body = html! {
            h1 { "Runs" }
            @if runs.is_empty() {
                p { "There are no runs in " (self.parent.display()) "; " code { "photofinish run" } " makes one." }
            } @else {
                form action="/compare" method="get" {
                    div {
                        table {
                            thead {
                                tr { @for heading in HEADINGS { th { (heading) } } }
                            }
                            tbody { @for (index, run) in runs.iter().enumerate() { (row(index, run)) } }
                        }
                    }
                    button { "Compare head with base" }
                }
                p { "▲ faster than the reference, ▼ slower, = tie, ? inconclusive" }
            }
        };
        Ok(page(Status::Ok, "runs", body))
    }

    fn report(&self, id: &str) -> Result<Response, Failure> {
        let Some(directory) = self.directory(id) else {
            return Ok(not_found());
        };
        let record = load(&directory)?;
        Ok(whole(photofinish_reports::page(&Report::of(&record))))
    }

    /// A file of a run, under the run's name.
    fn file(&self, id: &str, name: &str, kind: &'static str) -> Result<Response, Failure> {
        let Some(directory) = self.directory(id) else {
            return Ok(not_found());
        };
        let body = fs::read(directory.join(name)).or_fail(format!("cannot read {name}"))?;
        let (_, extension) = name.split_once('.').unwrap_or_default();
        Ok(Response {
            status: Status::Ok,
            kind,
            body,
            file_name: Some(format!("{id}.{extension}")),
        })
    }

    fn comparison(&self, request: &Request) -> Result<Response, Failure> {
        let run = |name| -> Result<Option<Record>, Failure> {
            let id = request.parameter(name);
            let directory = id.and_then(|id| self.directory(id));
            directory.map(|it| load(&it)).transpose()
        };
        let (Some(base), Some(head)) = (run("a")?, run("b")?) else {
            return Ok(not_found());
        };
        let comparison = RecordComparison::of(&base, &head);
        Ok(whole(comparison_page(&comparison)))
    }

    /// The directory of the run, if the text is an id and there is such a run; links are not followed.
    fn directory(&self, id: &str) -> Option<PathBuf> {
        if !run_id::is_one(id) {
            return None;
        }
        let directory = self.parent.join(id);
        let is_run = is_directory(&directory) && is_file(&directory.join(RECORD));
        is_run.then_some(directory)
    }
}

fn is_directory(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_dir())
}

fn is_file(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_file())
}

const HTML: &str = "text/html; charset=utf-8";

fn row(index: usize, run: &PastRun) -> Markup {
    let started = describe::time(&run.started_utc);
    let started = started.get(..16).unwrap_or(&started);
    let choice = |name: &str, is_chosen: bool| {
        let label = format!("{name} {}", run.id);
        let name = if name == "base" { "a" } else { "b" };
        html! { input type="radio" name=(name) value=(run.id) checked[is_chosen] aria-label=(label); }
    };
    html! {
        tr {
            td { (choice("base", index == 1)) }
            td { (choice("head", index == 0)) }
            td { (started) }
            td { (link(&run.id)) }
            td { (result(run)) }
            td { (run.scenarios.join(", ")) }
            td { (units::bytes(run.size_bytes as f64)) }
            td { a href=(format!("/runs/{}/{RECORD}", run.id)) { "JSON" } }
        }
    }
}

fn link(id: &str) -> Markup {
    html! { a href=(format!("/runs/{id}/")) { (id) } }
}

fn not_found() -> Response {
    let body = html! {
        h1 { "No such run" }
        p { a href="/" { "All runs" } }
    };
    page(Status::NotFound, "not found", body)
}

/// A document of the reports.
fn whole(document: String) -> Response {
    Response {
        status: Status::Ok,
        kind: HTML,
        body: document.into_bytes(),
        file_name: None,
    }
}

fn page(status: Status, title: &str, body: Markup) -> Response {
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Photofinish: " (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { (body) } }
        }
    };
    Response {
        status,
        ..whole(document.into_string())
    }
}
