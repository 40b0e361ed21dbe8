//! Removal of passwords from records, reports, errors and process lists.
//!
//! A URL with a password is needed in only two places: the worker's plan, which travels through a pipe, and the
//! orchestrator's memory. Everything else gets the result of these functions.

use url::Url;

/// The URL without its password, both in the authority and as a `password` parameter.
pub fn url(url: &Url) -> String {
    let mut safe = url.clone();
    // Fails only for URLs without an authority, which have no password either.
    let _ = safe.set_password(None);
    if url.query().is_some() {
        let kept = url.query_pairs().filter(|(key, _)| key != "password");
        let kept: Vec<_> = kept
            .map(|(key, value)| (key.into_owned(), value.into_owned()))
            .collect();
        safe.query_pairs_mut().clear().extend_pairs(kept);
        if safe.query() == Some("") {
            safe.set_query(None);
        }
    }
    safe.into()
}

/// A command line without the passwords of its URLs.
pub fn command_line(arguments: impl Iterator<Item = String>) -> Vec<String> {
    arguments
        .map(|argument| self::argument(&argument))
        .collect()
}

fn argument(text: &str) -> String {
    let Some(scheme_end) = text.find("://") else {
        return text.to_owned();
    };
    // Before the scheme there may be `db=` or `--target=db=`.
    let start = text[..scheme_end].rfind('=').map_or(0, |equals| equals + 1);
    let (prefix, rest) = text.split_at(start);
    match Url::parse(rest) {
        Ok(parsed) if !is_secret_free(&parsed) => format!("{prefix}{}", url(&parsed)),
        Ok(_) => text.to_owned(),
        // It may contain a password, so only the scheme is kept.
        Err(_) => format!("{prefix}{}://…", &text[start..scheme_end]),
    }
}

fn is_secret_free(url: &Url) -> bool {
    url.password().is_none() && !url.query_pairs().any(|(key, _)| key == "password")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: &str, expected: &str) {
        assert_eq!(command_line(std::iter::once(given.to_owned())), [expected]);
    }

    #[test]
    fn passwords_vanish_from_arguments() {
        check(
            "db=postgres://ann:s3cret@127.0.0.1:5432/shop",
            "db=postgres://ann@127.0.0.1:5432/shop",
        );
        check(
            "--target=db=postgres://ann:s%40c@[::1]/shop",
            "--target=db=postgres://ann@[::1]/shop",
        );
        check(
            "db=postgres://h/d?user=ann&password=s3cret",
            "db=postgres://h/d?user=ann",
        );
        check("db=postgres://h/d?password=s3cret", "db=postgres://h/d");
        check(
            "http=http://ann:s3cret@localhost/a?b=c",
            "http=http://ann@localhost/a?b=c",
        );
        check(
            "db=postgres://ann:s3/cret@127.0.0.1/shop",
            "db=postgres://…",
        );
    }

    #[test]
    fn arguments_without_a_password_stay_as_they_are() {
        check("http-get", "http-get");
        check("http=http://127.0.0.1:8080", "http=http://127.0.0.1:8080");
        check(
            "--set=url=http://127.0.0.1/x",
            "--set=url=http://127.0.0.1/x",
        );
    }
}
