//! Redirects: the next path and method after a response with a Location (RFC 9110, section 15.4).

use photofinish_harness::workload::Failure;
use url::{Position, Url};

use crate::protocol::http::Method;

/// The statuses that redirect.
pub(super) fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// The method of the next request: 303 always asks for a GET, as browsers do after a POST with 301 or 302.
pub(super) fn next_method(method: Method, status: u16) -> Method {
    match (status, method) {
        (303, Method::Head) => Method::Head,
        (303, _) | (301 | 302, Method::Post) => Method::Get,
        _ => method,
    }
}

/// The path of the next request, after one of `path` by `scheme` to the server that the request called `host`; by its
/// address it is `authority`. Another server is not asked, and neither is the same one by another scheme.
pub(super) fn next_path(
    scheme: &str,
    [host, authority]: [&str; 2],
    path: &str,
    location: &[u8],
) -> Result<String, Failure> {
    let failure = |detail: String| Failure::new(Failure::STATUS, detail);
    let quoted = || String::from_utf8_lossy(&location[..location.len().min(200)]).into_owned();
    let server = |name: &str| {
        Url::parse(&format!("{scheme}://{name}{path}")).map_err(|error| failure(error.to_string()))
    };
    let here = server(host)?;
    let text = std::str::from_utf8(location)
        .map_err(|_| failure(format!("redirected to `{}`, which is no URL", quoted())))?;
    let next = here.join(text).map_err(|error| {
        failure(format!(
            "redirected to `{}`, which is no URL: {error}",
            quoted()
        ))
    })?;
    let is_at = |url: &Url| (next.scheme(), next.authority()) == (url.scheme(), url.authority());
    if !is_at(&here) && !is_at(&server(authority)?) {
        return Err(failure(format!(
            "redirected to `{}`, which is another server; only `{scheme}://{host}` is measured",
            quoted()
        )));
    }
    Ok(next[Position::BeforePath..Position::AfterQuery].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_resolved_against_the_path_and_stays_on_its_server() {
        let next = |location: &str| {
            next_path(
                "http",
                ["shop.test", "h:81"],
                "/a/b?q=1",
                location.as_bytes(),
            )
        };
        for (location, expected) in [
            ("/x?y=1#z", "/x?y=1"),
            ("c", "/a/c"),
            ("?r=2", "/a/b?r=2"),
            ("http://h:81/d", "/d"),
            ("../e f", "/e%20f"),
            ("http://shop.test/f", "/f"),
            ("http://shop.test:80/g", "/g"),
        ] {
            assert_eq!(next(location).as_deref(), Ok(expected));
        }
        for other in [
            "http://h:82/d",
            "http://other/d",
            "//other/d",
            "https://shop.test/d",
            "https://h:81/d",
            "http://me:secret@shop.test/d",
        ] {
            let failure = next(other).unwrap_err();
            assert_eq!(failure.kind, Failure::STATUS);
            assert!(failure.detail.contains("is another server"), "{failure}");
        }
        assert!(next_path("http", ["h", "h"], "/", b"\xff").is_err());
    }

    #[test]
    fn only_a_post_and_what_follows_303_become_a_get() {
        for (method, status, next) in [
            (Method::Post, 302, Method::Get),
            (Method::Post, 301, Method::Get),
            (Method::Put, 302, Method::Put),
            (Method::Put, 303, Method::Get),
            (Method::Head, 303, Method::Head),
            (Method::Post, 307, Method::Post),
            (Method::Get, 308, Method::Get),
        ] {
            assert_eq!(next_method(method, status), next, "{method:?} {status}");
        }
        assert!(is_redirect(303) && !is_redirect(304) && !is_redirect(300));
    }
}
