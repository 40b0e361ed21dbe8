//! vegeta target lists: `METHOD URL`, header lines and a body, or a line of JSON for each.
//!
//! vegeta takes its targets in turns, a scenario draws them with equal weights. Equal ones become one request.

use std::collections::BTreeMap;
use std::iter::Peekable;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use super::requests::{Body, Order, Request, Requests};
use super::{Context, Import, ImportError};

/// A target as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonTarget {
    method: String,
    url: String,
    #[serde(default)]
    header: BTreeMap<String, Vec<String>>,
    /// In base64.
    #[serde(default)]
    body: String,
}

/// Lines with their numbers, from 1.
type Lines<'a> = Peekable<Box<dyn Iterator<Item = (usize, &'a str)> + 'a>>;

/// Reads a file.
pub(super) fn import(text: &str, context: &Context<'_>) -> Result<Import, ImportError> {
    let numbered = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line));
    let numbered: Box<dyn Iterator<Item = (usize, &str)>> = Box::new(numbered);
    let mut lines = numbered.peekable();
    let mut all = Requests::new("vegeta", Order::Mix);
    while let Some((number, line)) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let request = if line.starts_with('{') {
            json_target(line)
        } else {
            target(line, &mut lines)
        };
        let request = request.map_err(|error| ImportError {
            message: format!("line {number}: {}", error.message),
            ..error
        })?;
        match all.requests.iter_mut().find(|(_, other)| *other == request) {
            Some((weight, _)) => *weight += 1,
            None => all.requests.push((1, request)),
        }
    }
    all.write(context)
}

fn json_target(line: &str) -> Result<Request, ImportError> {
    let target: JsonTarget = serde_json::from_str(line)
        .map_err(|error| ImportError::new(format!("expected a target as JSON: {error}")))?;
    let mut request = Request::new(&target.method, &target.url)?;
    for (name, values) in &target.header {
        for value in values {
            request.add_header(name, value)?;
        }
    }
    let body = BASE64_STANDARD
        .decode(&target.body)
        .map_err(|error| ImportError::new(format!("expected `body` in base64: {error}")))?;
    request.body = (!body.is_empty()).then_some(Body::Bytes(body));
    Ok(request)
}

/// A target whose first line is `line`.
fn target(line: &str, lines: &mut Lines<'_>) -> Result<Request, ImportError> {
    let mut words = line.split_whitespace();
    let (Some(method), Some(url), None) = (words.next(), words.next(), words.next()) else {
        return Err(ImportError::new(format!(
            "expected `METHOD URL`, got `{line}`"
        )));
    };
    let mut request = Request::new(method, url)?;
    while let Some((_, line)) =
        lines.next_if(|(_, line)| !line.trim().is_empty() && !begins_target(line))
    {
        let line = line.trim();
        if line.starts_with('#') {
            continue;
        }
        if let Some(tag) = line.strip_prefix("@<<") {
            request.body = Some(Body::Bytes(lines_before(tag.trim(), lines)?));
            break;
        }
        if let Some(file) = line.strip_prefix('@') {
            request.body = Some(Body::File(file.to_owned()));
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| {
            ImportError::new(format!("expected `name: value` or `@file`, got `{line}`"))
        })?;
        request.add_header(name.trim(), value.trim())?;
    }
    Ok(request)
}

/// True for a method and a URL.
fn begins_target(line: &str) -> bool {
    let (method, url) = line.trim().split_once(' ').unwrap_or_default();
    !method.is_empty() && method.bytes().all(|it| it.is_ascii_uppercase()) && url.contains("://")
}

/// The lines up to the one that is `tag`.
fn lines_before(tag: &str, lines: &mut Lines<'_>) -> Result<Vec<u8>, ImportError> {
    let mut body = Vec::new();
    for (_, line) in lines {
        if line.trim() == tag {
            return Ok(body.join("\n").into_bytes());
        }
        body.push(line);
    }
    Err(ImportError::new(format!(
        "expected a line `{tag}` at the end of the body"
    )))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{context, without_comments};
    use super::*;

    #[test]
    fn targets_have_headers_and_bodies_and_equal_ones_have_weight() {
        let text = "# a comment\nGET http://h:81/a?token=s3cret\nGET http://h:81/b\nX-Id: 1\nX-Id: 2\n\nGET http://h:81/b\nX-Id: 1\nX-Id: 2\n\n\
            POST http://h:81/c\nContent-Type: application/json\n@order.json\nPUT http://h:81/d\n@<<END\n{\"a\":\n1}\nEND\n\
            {\"method\":\"DELETE\",\"url\":\"http://h:81/e\",\"header\":{\"Authorization\":[\"s3cret\"]},\"body\":\"aGk=\"}\n";
        let it = import(text, &context()).expect("imported");
        assert_eq!(it.target, "http=http://h:81");
        assert_eq!(it.variables, ["TOKEN", "AUTHORIZATION"]);
        assert_eq!(
            without_comments(&it.scenario),
            r#"
[[request]]
send = "GET /a?token={{env.TOKEN}}"

[[request]]
weight = 2
send = "GET /b"
headers.X-Id = "1, 2"

[[request]]
send = "POST /c"
headers.Content-Type = "application/json"
body.file = "order.json"
body.raw = true

[[request]]
send = "PUT /d"
body.text = """
{"a":
1}"""

[[request]]
send = "DELETE /e"
headers.Authorization = "{{env.AUTHORIZATION}}"
body.text = "hi"
"#
        );
    }

    #[test]
    fn errors_name_the_line() {
        for (text, expected) in [
            ("GET http://h/\n\nget http://h/", "line 3: expected GET"),
            ("GET", "line 1: expected `METHOD URL`"),
            ("GET /a", "line 1: expected an http:// or https:// URL"),
            ("GET http://h/\nno header", "line 1: expected `name: value`"),
            ("PUT http://h/\n@<<END\nx", "line 1: expected a line `END`"),
            ("{\"method\":\"GET\"}", "line 1: expected a target as JSON"),
            (
                "GET http://h/\nGET http://i/",
                "expected requests to one server, got http://h and http://i",
            ),
            ("\n", "expected a request, got none"),
        ] {
            let error = import(text, &context()).expect_err(text);
            assert!(error.message.starts_with(expected), "{error}");
        }
    }
}
