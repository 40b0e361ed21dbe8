//! A HAR file, as browsers save it: the requests to one server, in order, as one flow.
//!
//! Only the parts that every tool writes are needed: `pages` and fields that begin with `_` are optional. Everything left
//! out is counted in a note: requests to other servers, `data:` URLs, WebSockets, and requests without a response.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use photofinish_record::Part;
use serde::Deserialize;
use url::form_urlencoded;

use super::requests::{Body, Order, Request, Requests};
use super::{Context, Import, ImportError};

#[derive(Deserialize)]
struct Har {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    request: EntryRequest,
    #[serde(default)]
    response: EntryResponse,
    #[serde(default, rename = "_webSocketMessages")]
    web_socket_messages: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EntryRequest {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<Field>,
    post_data: Option<PostData>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EntryResponse {
    status: Option<i64>,
    headers: Vec<Field>,
}

/// A name with a value.
#[derive(Deserialize)]
struct Field {
    name: String,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PostData {
    #[serde(default)]
    mime_type: String,
    text: Option<String>,
    encoding: Option<String>,
    #[serde(default)]
    params: Vec<Field>,
}

/// Reads a file.
pub(super) fn import(text: &str, context: &Context<'_>) -> Result<Import, ImportError> {
    let har: Har = serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| {
        ImportError::new(format!("expected a HAR, got an error in its JSON: {error}"))
            .hint("in the browser's list of requests, choose `Save all as HAR`")
    })?;
    let mut all = Requests::new("har", Order::Flow);
    let mut left_out = BTreeMap::new();
    let mut entries = Vec::new();
    for (number, entry) in har.log.entries.iter().enumerate() {
        match entry.reason_to_leave_out() {
            Some(reason) => *left_out.entry(reason).or_insert(0_u32) += 1,
            None => entries.push((entry, entry.read().map_err(|error| located(error, number))?)),
        }
    }
    let origin = busiest(entries.iter().map(|(_, request)| request.origin()));
    let origin = origin.unwrap_or_default().to_owned();
    entries.retain(|(_, request)| {
        let keep = request.origin() == origin;
        if !keep {
            *left_out
                .entry(format!("to {}", request.origin()))
                .or_insert(0) += 1;
        }
        keep
    });
    check_count(&origin, entries.len())?;
    if brings_its_cookies(entries.iter().map(|(entry, _)| *entry)) {
        all.settings.push("cookies = true".to_owned());
        for (_, request) in &mut entries {
            request
                .headers
                .retain(|(name, _)| !name.eq_ignore_ascii_case("cookie"));
        }
    }
    all.requests = entries
        .into_iter()
        .map(|(_, request)| (1, request))
        .collect();
    let notes = left_out.iter().map(|(reason, count)| match count {
        1 => format!("Left out: 1 request {reason}."),
        count => format!("Left out: {count} requests {reason}."),
    });
    all.notes.extend(notes);
    all.write(context)
}

fn located(error: ImportError, number: usize) -> ImportError {
    ImportError {
        message: format!("entry {}: {}", number + 1, error.message),
        ..error
    }
}

fn check_count(origin: &str, count: usize) -> Result<(), ImportError> {
    match count {
        0 => Err(ImportError::new(
            "expected a request over HTTP with its response, got none",
        )),
        count if count > Part::MOST => Err(ImportError::new(format!(
            "expected at most {} requests to one server, got {count} to {origin}",
            Part::MOST
        ))
        .hint("in the browser, filter the list of requests, then choose `Copy all listed as HAR`")),
        _ => Ok(()),
    }
}

/// The most frequent origin; of two, the first.
fn busiest<'a>(origins: impl Iterator<Item = &'a str> + Clone) -> Option<&'a str> {
    let mut counts = BTreeMap::new();
    for origin in origins.clone() {
        *counts.entry(origin).or_insert(0_u32) += 1;
    }
    let most = counts.values().max().copied();
    let mut origins = origins;
    origins.find(|origin| counts.get(origin).copied() == most)
}

/// True if responses set all cookies that later requests send, so that a jar brings them.
fn brings_its_cookies<'a>(entries: impl Iterator<Item = &'a Entry>) -> bool {
    let mut jar = BTreeSet::new();
    for entry in entries {
        let sent = values(&entry.request.headers, "cookie").flat_map(|value| value.split(';'));
        if sent
            .map(cookie_name)
            .any(|name| !name.is_empty() && !jar.contains(name))
        {
            return false;
        }
        // Firefox joins several fields with line breaks.
        let set = values(&entry.response.headers, "set-cookie").flat_map(str::lines);
        jar.extend(set.map(cookie_name));
    }
    !jar.is_empty()
}

fn values<'a>(headers: &'a [Field], name: &str) -> impl Iterator<Item = &'a str> {
    let same = headers
        .iter()
        .filter(move |field| field.name.eq_ignore_ascii_case(name));
    same.map(|field| field.value.as_str())
}

fn cookie_name(cookie: &str) -> &str {
    cookie.split('=').next().unwrap_or_default().trim()
}

impl Entry {
    /// The end of a sentence about why the entry cannot be part of a flow.
    fn reason_to_leave_out(&self) -> Option<String> {
        let scheme = self.request.url.split(':').next().unwrap_or_default();
        let status = self.response.status;
        if ["ws", "wss"].contains(&scheme)
            || self.web_socket_messages.is_some()
            || status == Some(101)
        {
            return Some("of WebSockets".to_owned());
        }
        if !["http", "https"].contains(&scheme) {
            return Some(format!("of the scheme `{scheme}:`"));
        }
        if ["CONNECT", "TRACE"].contains(&self.request.method.as_str()) {
            return Some(format!("of the method {}", self.request.method));
        }
        let is_answered = status.is_none_or(|status| (200..600).contains(&status));
        (!is_answered).then(|| "without a response (blocked or cancelled)".to_owned())
    }

    fn read(&self) -> Result<Request, ImportError> {
        let mut request = Request::new(&self.request.method, &self.request.url)?;
        for Field { name, value } in &self.request.headers {
            // HTTP/2 pseudo-header fields begin with a colon; the host is that of the URL.
            if !name.starts_with(':') && !name.eq_ignore_ascii_case("host") {
                request.add_header(name, value)?;
            }
        }
        if let Some(data) = &self.request.post_data {
            request.body = data.body()?.map(Body::Bytes);
            if request.body.is_some() && !data.mime_type.is_empty() {
                request.default_header("content-type", &data.mime_type)?;
            }
        }
        request.status = match self.response.status {
            // A browser has a copy; a load test does not.
            Some(304) => Some("[\"2xx\", 304]".to_owned()),
            Some(status @ 300..600) => Some(status.to_string()),
            _ => None,
        };
        Ok(request)
    }
}

impl PostData {
    fn body(&self) -> Result<Option<Vec<u8>>, ImportError> {
        let is_form = self.mime_type.contains("x-www-form-urlencoded");
        match &self.text {
            Some(text) if self.encoding.as_deref() == Some("base64") => {
                let bytes = BASE64_STANDARD.decode(text.trim());
                let bytes = bytes.map_err(|error| {
                    ImportError::new(format!("expected a body in base64: {error}"))
                })?;
                Ok(Some(bytes))
            }
            Some(text) if !text.is_empty() => Ok(Some(text.clone().into_bytes())),
            _ if self.params.is_empty() => Ok(None),
            _ if is_form => {
                let pairs = self.params.iter().map(|it| (&it.name, &it.value));
                let text = form_urlencoded::Serializer::new(String::new())
                    .extend_pairs(pairs)
                    .finish();
                Ok(Some(text.into_bytes()))
            }
            _ => Err(ImportError::new(format!(
                "the body of type `{}` is not in the HAR",
                self.mime_type
            ))
            .hint("save it again with the content of requests, or remove this entry")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{context, without_comments};
    use super::*;

    fn imported(text: &str) -> Import {
        import(text, &context()).expect("imported")
    }

    /// Shortened from a file that Chrome saved: no cookies in it, a third party, a cached image, a data URL, a WebSocket.
    const CHROME: &str = r#"{"log": {"version": "1.2", "creator": {"name": "WebInspector", "version": "537.36"},
      "pages": [{"startedDateTime": "2025-11-27T10:00:00.000Z", "id": "page_1", "title": "Shop", "pageTimings": {}}],
      "entries": [
        {"_priority": "VeryHigh", "_resourceType": "document", "cache": {}, "pageref": "page_1",
         "request": {"method": "GET", "url": "https://shop.test/?q={{x}}", "httpVersion": "http/2.0",
           "headers": [{"name": ":authority", "value": "shop.test"}, {"name": ":method", "value": "GET"}, {"name": "accept", "value": "text/html"},
             {"name": "sec-ch-ua", "value": "\"Chromium\";v=\"142\", \"Not_A Brand\";v=\"99\""}],
           "queryString": [], "cookies": [], "headersSize": -1, "bodySize": 0},
         "response": {"status": 200, "statusText": "", "headers": [], "content": {"size": 5, "text": "aGVsbG8=", "encoding": "base64"}}},
        {"request": {"method": "GET", "url": "https://cdn.test/a.js", "headers": []}, "response": {"status": 200, "headers": []}},
        {"request": {"method": "GET", "url": "data:image/png;base64,AAAA", "headers": []}, "response": {"status": 200}},
        {"_resourceType": "websocket", "_webSocketMessages": [], "request": {"method": "GET", "url": "wss://shop.test/ws", "headers": []}, "response": {"status": 101}},
        {"request": {"method": "GET", "url": "https://shop.test/logo.png", "headers": [{"name": "if-none-match", "value": "\"1\""}]}, "response": {"status": 304}},
        {"request": {"method": "GET", "url": "https://shop.test/ad.js", "headers": []}, "response": {"status": 0, "_error": "net::ERR_BLOCKED_BY_CLIENT"}},
        {"request": {"method": "POST", "url": "https://shop.test/api/login", "headers": [{"name": "content-type", "value": "application/json"}, {"name": "content-length", "value": "9"}],
           "postData": {"mimeType": "application/json", "text": "{\"user\":\"ann\",\"password\":\"s3cret\"}"}}, "response": {"status": 302, "headers": []}}
      ]}}"#;

    #[test]
    fn a_chrome_har_is_one_flow_of_the_busiest_server() {
        let it = imported(CHROME);
        assert_eq!(it.target, "http=https://shop.test");
        assert_eq!(it.variables, ["PASSWORD"]);
        assert_eq!(
            it.notes,
            [
                "Left out: 1 request of WebSockets.",
                "Left out: 1 request of the scheme `data:`.",
                "Left out: 1 request to https://cdn.test.",
                "Left out: 1 request without a response (blocked or cancelled).",
            ]
        );
        assert_eq!(
            without_comments(&it.scenario),
            r#"
[[flow]]

[[flow.request]]
send = "GET /?q=%7B%7Bx}}"
headers.accept = "text/html"
headers.sec-ch-ua = '"Chromium";v="142", "Not_A Brand";v="99"'

[[flow.request]]
send = "GET /logo.png"
headers.if-none-match = '"1"'
expect.status = ["2xx", 304]

[[flow.request]]
send = "POST /api/login"
headers.content-type = "application/json"
body.text = '{"user":"ann","password":"{{env.PASSWORD}}"}'
expect.status = 302
"#
        );
    }

    /// Firefox: a byte order mark, no pages, cookies in the file, Set-Cookie joined by line breaks, forms as params.
    const FIREFOX: &str = "\u{feff}{\"log\":{\"creator\":{\"name\":\"Firefox\",\"version\":\"145\"},\"entries\":[
      {\"request\":{\"method\":\"POST\",\"url\":\"http://shop.test/login\",\"headers\":[{\"name\":\"Host\",\"value\":\"shop.test\"},{\"name\":\"Connection\",\"value\":\"keep-alive\"}],
        \"postData\":{\"mimeType\":\"application/x-www-form-urlencoded\",\"params\":[{\"name\":\"user\",\"value\":\"ann b\"},{\"name\":\"password\",\"value\":\"s3cret\"}],\"text\":\"\"}},
       \"response\":{\"status\":200,\"headers\":[{\"name\":\"Set-Cookie\",\"value\":\"sid=s3cret; Path=/\\nlang=en\"}]}},
      {\"request\":{\"method\":\"GET\",\"url\":\"http://shop.test/cart\",\"headers\":[{\"name\":\"Cookie\",\"value\":\"sid=s3cret; lang=en\"},{\"name\":\"Authorization\",\"value\":\"Bearer s3cret\"}]},
       \"response\":{\"status\":200,\"headers\":[]}}]}}";

    #[test]
    fn a_firefox_har_keeps_cookies_that_responses_set() {
        let it = imported(FIREFOX);
        assert!(!it.scenario.contains("s3cret"), "{}", it.scenario);
        assert_eq!(
            without_comments(&it.scenario),
            r#"
[http]
cookies = true

[[flow]]

[[flow.request]]
send = "POST /login"
headers.content-type = "application/x-www-form-urlencoded"
body.text = "user=ann+b&password={{env.PASSWORD}}"

[[flow.request]]
send = "GET /cart"
headers.Authorization = "Bearer {{env.AUTHORIZATION}}"
"#
        );
        let it = imported(&FIREFOX.replace("lang=en\"},{", "other=1\"},{"));
        assert!(
            it.scenario.contains("headers.Cookie = \"{{env.COOKIE}}\""),
            "{}",
            it.scenario
        );
        assert!(!it.scenario.contains("cookies = true") && !it.scenario.contains("s3cret"));
    }

    #[test]
    fn bodies_are_text_or_base64_and_binary_ones_become_files() {
        let har = |data: &str| {
            format!(
                r#"{{"log":{{"entries":[{{"request":{{"method":"PUT","url":"http://h/","postData":{data}}}}}]}}}}"#
            )
        };
        let it = imported(&har(
            r#"{"mimeType":"text/plain","text":"aGk=","encoding":"base64"}"#,
        ));
        assert!(
            it.scenario.contains("body.text = \"hi\""),
            "{}",
            it.scenario
        );
        let it = imported(&har(
            r#"{"mimeType":"image/png","text":"/wA=","encoding":"base64"}"#,
        ));
        assert!(
            it.scenario
                .contains("body.file = \"body-1.bin\"\nbody.raw = true"),
            "{}",
            it.scenario
        );
        assert_eq!(it.bodies[0].bytes, [0xff, 0]);
        for (data, expected) in [
            (
                r#"{"text":"%","encoding":"base64"}"#,
                "entry 1: expected a body in base64",
            ),
            (
                r#"{"mimeType":"multipart/form-data","params":[{"name":"a"}]}"#,
                "entry 1: the body of type",
            ),
        ] {
            let error = import(&har(data), &context()).expect_err(data);
            assert!(error.message.starts_with(expected), "{error}");
        }
        let nothing = import(r#"{"log":{"entries":[]}}"#, &context()).expect_err("no requests");
        assert!(nothing.message.contains("got none"), "{nothing}");
        import("{}", &context()).expect_err("no HAR");
    }
}
