//! Output: results on stdout, progress and errors on stderr. A reader that goes away is not an error.

use std::io::{self, Write as _};

pub(crate) fn say(text: &str) {
    let mut stdout = io::stdout().lock();
    // Fails only if nobody reads any more.
    let _ = writeln!(stdout, "{}", text.trim_end()).and_then(|()| stdout.flush());
}

pub(crate) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}
