//! `photofinish open`: shows the report of a past run in the browser.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use photofinish_reports::report::Report;

use super::show::RunArgument;
use crate::exit::{Exit, Failure, OrFail};
use crate::output;
use crate::store::artifacts;
use crate::store::files::write_user_files;
use crate::store::run_directory;

/// A browser that has not failed by then is taken to have started.
const START: Duration = Duration::from_secs(2);

/// Open the report of a past run in the browser
///
/// Prints the path of the report, and starts the program that BROWSER names, or the system's own. A report that is
/// missing is made from the record.
#[derive(Args)]
#[command(after_help = "\
Examples:
  photofinish open
  photofinish open 20261120T183000Z-3fa9c1
  BROWSER=firefox photofinish open")]
pub struct Open {
    #[command(flatten)]
    run: RunArgument,
}

impl Open {
    pub fn execute(self) -> Result<Exit, Failure> {
        let run = self.run.path();
        let page = run_directory::page_of(&run);
        let directory = page.parent().unwrap_or(Path::new(""));
        if !run.exists() || !page.is_file() {
            let record = run_directory::load(&run)?;
            let report = Report::of(&record);
            let files = artifacts::page_and_pictures(&report, artifacts::Pictures::Png);
            write_user_files(directory, files)?;
        }
        output::say(&page.display().to_string())?;
        let page = std::path::absolute(&page).or_fail("cannot tell the working directory")?;
        if !browsers().iter().any(|browser| starts(browser, &page)) {
            output::advise(
                "no browser could be started here: open the file above yourself, or set BROWSER to a program",
            );
        }
        Ok(Exit::Done)
    }
}

/// The commands to try: those of `BROWSER`, separated by colons, then the system's.
fn browsers() -> Vec<String> {
    let own = env::var("BROWSER").unwrap_or_default();
    let own = own.split(':').map(str::to_owned);
    let has_screen = ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| env::var_os(name).is_some_and(|screen| !screen.is_empty()));
    let system = match cfg!(target_os = "macos") {
        true => Some("open"),
        // Without a screen it would look for a browser in the terminal.
        false => has_screen.then_some("xdg-open"),
    };
    own.chain(system.map(str::to_owned)).collect()
}

/// Starts a browser with the page in place of `%s`, or as its last argument. False if it ends with a failure at once.
fn starts(browser: &str, page: &Path) -> bool {
    let mut words = browser.split_whitespace();
    let Some(program) = words.next() else {
        return false;
    };
    let mut command = Command::new(program);
    let mut is_named = false;
    for word in words {
        is_named |= word == "%s";
        match word {
            "%s" => command.arg(page),
            word => command.arg(word),
        };
    }
    if !is_named {
        command.arg(page);
    }
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null());
    let Ok(mut browser) = silent.stderr(Stdio::null()).spawn() else {
        return false;
    };
    let started = Instant::now();
    while started.elapsed() < START {
        match browser.try_wait() {
            Ok(None) => thread::sleep(Duration::from_millis(20)),
            ended => return ended.is_ok_and(|status| status.is_some_and(|it| it.success())),
        }
    }
    true
}
