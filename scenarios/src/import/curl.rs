//! A command line of curl, as written by hand or copied from a browser.
//!
//! [`OPTIONS`] lists every option that is understood. Any other one is an error, since it may change the request.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::requests::{Body, Order, Request, Requests};
use super::{Context, Import, ImportError, quoted};

/// Redirects that curl follows by default.
const REDIRECTS: &str = "50";

/// The boundary of `multipart/form-data`.
const BOUNDARY: &str = "------------------------photofinish";

/// All but the unreserved characters (RFC 3986).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// An option of curl.
struct CurlOption {
    /// Its letter and its name, or one of them.
    names: &'static [&'static str],
    meaning: Meaning,
}

/// The effect of an option.
#[derive(Clone, Copy)]
enum Meaning {
    Flag(fn(&mut Command)),
    Value(fn(&mut Command, &str, &Context<'_>) -> Result<(), ImportError>),
    /// Means nothing for a scenario.
    Ignored,
    /// Likewise, with a value.
    IgnoredValue,
}

use Meaning::{Flag, Ignored, IgnoredValue, Value};

const OPTIONS: &[CurlOption] = &[
    option(
        &["-X", "--request"],
        Value(|it, value, _| it.set(|it| it.method = Some(value.to_owned()))),
    ),
    option(&["-H", "--header"], Value(|it, value, _| it.header(value))),
    option(&["-d", "--data", "--data-ascii"], Value(Command::data)),
    option(
        &["--data-raw"],
        Value(|it, value, _| it.set(|it| it.add_data(value))),
    ),
    option(&["--data-binary"], Value(Command::data_binary)),
    option(&["--data-urlencode"], Value(Command::data_urlencode)),
    option(&["--json"], Value(Command::json)),
    option(&["-F", "--form"], Value(|it, value, _| it.form(value))),
    option(
        &["--form-string"],
        Value(|it, value, _| it.form_field(value)),
    ),
    option(
        &["-u", "--user"],
        Value(|it, value, _| it.set(|it| it.user = Some(value.to_owned()))),
    ),
    option(
        &["--oauth2-bearer"],
        Value(|it, value, _| it.set(|it| it.bearer = Some(value.to_owned()))),
    ),
    option(&["-b", "--cookie"], Value(|it, value, _| it.cookie(value))),
    option(
        &["-A", "--user-agent"],
        Value(|it, value, _| it.header(&format!("user-agent: {value}"))),
    ),
    option(
        &["-e", "--referer"],
        Value(|it, value, _| it.header(&format!("referer: {value}"))),
    ),
    option(
        &["--url"],
        Value(|it, value, _| it.set(|it| it.urls.push(value.to_owned()))),
    ),
    option(
        &["--unix-socket"],
        Value(|it, value, _| it.set(|it| it.socket = Some(value.to_owned()))),
    ),
    option(
        &["-m", "--max-time"],
        Value(|it, value, _| it.max_time(value)),
    ),
    option(
        &["--max-redirs"],
        Value(|it, value, _| it.max_redirects(value)),
    ),
    option(&["-L", "--location"], Flag(|it| it.follows = true)),
    option(&["-k", "--insecure"], Flag(|it| it.insecure = true)),
    option(&["-G", "--get"], Flag(|it| it.data_in_query = true)),
    option(&["-I", "--head"], Flag(|it| it.head = true)),
    option(&["-g", "--globoff"], Flag(|it| it.literal_url = true)),
    option(&["--compressed"], Flag(|it| it.compressed = true)),
    option(&["--http1.1"], Flag(|it| it.version = Version::Http1)),
    option(&["--http2"], Flag(|it| it.version = Version::Http2)),
    option(
        &["--http2-prior-knowledge"],
        Flag(|it| it.version = Version::Http2WithoutUpgrade),
    ),
    option(&["-s", "--silent"], Ignored),
    option(&["-S", "--show-error"], Ignored),
    option(&["-i", "--include", "--show-headers"], Ignored),
    option(&["-v", "--verbose"], Ignored),
    option(&["-f", "--fail", "--fail-with-body"], Ignored),
    option(&["-N", "--no-buffer"], Ignored),
    option(&["-#", "--progress-bar"], Ignored),
    option(&["-o", "--output"], IgnoredValue),
    option(&["-w", "--write-out"], IgnoredValue),
];

const fn option(names: &'static [&'static str], meaning: Meaning) -> CurlOption {
    CurlOption { names, meaning }
}

/// The HTTP version of a command; the last option decides.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Version {
    #[default]
    Http1,
    /// Negotiated over TLS, an upgrade request otherwise.
    Http2,
    Http2WithoutUpgrade,
}

/// A command as far as it is read.
#[derive(Default)]
struct Command {
    method: Option<String>,
    urls: Vec<String>,
    headers: Vec<(String, String)>,
    /// Headers that curl is told to leave out, in lower case.
    removed: Vec<String>,
    data: Option<String>,
    file: Option<String>,
    is_json: bool,
    parts: Vec<(String, String)>,
    user: Option<String>,
    bearer: Option<String>,
    version: Version,
    cookies: Vec<String>,
    socket: Option<String>,
    timeout: Option<String>,
    redirects: Option<String>,
    follows: bool,
    insecure: bool,
    data_in_query: bool,
    head: bool,
    literal_url: bool,
    compressed: bool,
    ignored: Vec<String>,
}

/// Reads the words of a command.
pub(super) fn import(words: &[String], context: &Context<'_>) -> Result<Import, ImportError> {
    let mut command = Command::default();
    command.read(words, context)?;
    command.requests()?.write(context)
}

impl Command {
    fn read(&mut self, words: &[String], context: &Context<'_>) -> Result<(), ImportError> {
        let mut words = words.iter().map(String::as_str).peekable();
        match words.peek().copied() {
            Some("curl") => drop(words.next()),
            Some(name)
                if name.starts_with('-')
                    || name.contains(['.', ':', '/'])
                    || name == "localhost" => {}
            name => {
                let name = name.unwrap_or_default();
                return Err(ImportError::new(format!(
                    "expected a command that begins with `curl`, got `{name}`"
                ))
                .hint("in the browser's menu, choose `Copy as cURL (bash)` or `(POSIX)`"));
            }
        }
        let mut only_urls = false;
        while let Some(word) = words.next() {
            match word {
                "--" if !only_urls => only_urls = true,
                word if only_urls || !word.starts_with('-') || word == "-" => {
                    self.urls.push(word.to_owned())
                }
                word if word.starts_with("--") => {
                    self.apply(word, &mut || words.next(), context)?;
                }
                word => self.short(&word[1..], &mut || words.next(), context)?,
            }
        }
        Ok(())
    }

    /// Letters behind one dash; the rest of the word is the value of the first that has one.
    fn short<'w>(
        &mut self,
        letters: &'w str,
        next: &mut dyn FnMut() -> Option<&'w str>,
        context: &Context<'_>,
    ) -> Result<(), ImportError> {
        let mut rest = letters;
        while let Some(letter) = rest.chars().next() {
            rest = &rest[letter.len_utf8()..];
            let mut joined = (!rest.is_empty()).then_some(rest);
            let name = format!("-{letter}");
            if self.apply(&name, &mut || joined.take().or_else(&mut *next), context)? {
                break;
            }
        }
        Ok(())
    }

    /// Applies an option. True if it has a value.
    fn apply<'w>(
        &mut self,
        name: &str,
        next: &mut dyn FnMut() -> Option<&'w str>,
        context: &Context<'_>,
    ) -> Result<bool, ImportError> {
        let found = OPTIONS.iter().find(|it| it.names.contains(&name));
        let found = found.ok_or_else(|| unknown(name))?;
        let mut value =
            || next().ok_or_else(|| ImportError::new(format!("expected a value after `{name}`")));
        match found.meaning {
            Flag(set) => set(self),
            Ignored => self.ignored.push(name.to_owned()),
            Value(set) => set(self, value()?, context).map_err(|error| ImportError {
                message: format!("`{name}`: {}", error.message),
                ..error
            })?,
            IgnoredValue => {
                value()?;
                self.ignored.push(name.to_owned());
            }
        }
        Ok(matches!(found.meaning, Value(_) | IgnoredValue))
    }

    fn set(&mut self, set: impl FnOnce(&mut Self)) -> Result<(), ImportError> {
        set(self);
        Ok(())
    }

    fn header(&mut self, text: &str) -> Result<(), ImportError> {
        if text.starts_with('@') {
            return Err(
                ImportError::new("header fields from a file are not supported")
                    .hint("write each as -H 'name: value'"),
            );
        }
        if let Some((name, value)) = text.split_once(':') {
            match value.trim() {
                "" => self.removed.push(name.to_ascii_lowercase()),
                value => self.headers.push((name.to_owned(), value.to_owned())),
            }
        } else if let Some(name) = text.strip_suffix(';') {
            self.headers.push((name.to_owned(), String::new()));
        } else {
            return Err(ImportError::new("expected `name: value`"));
        }
        Ok(())
    }

    fn cookie(&mut self, text: &str) -> Result<(), ImportError> {
        if !text.contains('=') {
            return Err(ImportError::new(
                "expected cookies such as `a=1; b=2`, got the name of a file",
            )
            .hint("write the cookies themselves"));
        }
        self.cookies.push(text.to_owned());
        Ok(())
    }

    fn max_time(&mut self, text: &str) -> Result<(), ImportError> {
        let is_number = text.parse().is_ok_and(|it: f64| it.is_finite() && it > 0.0);
        if !is_number {
            return Err(ImportError::new(format!(
                "expected seconds above 0, got `{text}`"
            )));
        }
        self.timeout = Some(format!("{text}s"));
        Ok(())
    }

    fn max_redirects(&mut self, text: &str) -> Result<(), ImportError> {
        let _: u32 = text
            .parse()
            .map_err(|_| ImportError::new(format!("expected a number from 0, got `{text}`")))?;
        self.redirects = Some(text.to_owned());
        Ok(())
    }

    /// Adds a body, or a part of one behind `&`.
    fn add_data(&mut self, text: &str) {
        match &mut self.data {
            Some(data) => *data += &format!("&{text}"),
            None => self.data = Some(text.to_owned()),
        }
    }

    fn data(&mut self, text: &str, context: &Context<'_>) -> Result<(), ImportError> {
        let Some(file) = text.strip_prefix('@') else {
            return self.set(|it| it.add_data(text));
        };
        // curl leaves them out of files that are not sent as binary.
        let text = read(file, context)?.replace(['\r', '\n', '\0'], "");
        self.set(|it| it.add_data(&text))
    }

    fn data_binary(&mut self, text: &str, _: &Context<'_>) -> Result<(), ImportError> {
        match text.strip_prefix('@') {
            None => self.add_data(text),
            Some("-") => return Err(stdin()),
            Some(file) => self.file = Some(file.to_owned()),
        }
        Ok(())
    }

    fn data_urlencode(&mut self, text: &str, context: &Context<'_>) -> Result<(), ImportError> {
        let (name, content) = match text.find(['=', '@']) {
            None => ("", text.to_owned()),
            Some(at) if text[at..].starts_with('=') => (&text[..at], text[at + 1..].to_owned()),
            Some(at) => (&text[..at], read(&text[at + 1..], context)?),
        };
        let content = utf8_percent_encode(&content, RESERVED);
        self.set(|it| match name {
            "" => it.add_data(&content.to_string()),
            name => it.add_data(&format!("{name}={content}")),
        })
    }

    /// Data without a separator, and two header fields.
    fn json(&mut self, text: &str, context: &Context<'_>) -> Result<(), ImportError> {
        let text = match text.strip_prefix('@') {
            Some(file) => read(file, context)?,
            None => text.to_owned(),
        };
        self.is_json = true;
        self.data.get_or_insert_default().push_str(&text);
        Ok(())
    }

    fn form(&mut self, text: &str) -> Result<(), ImportError> {
        let value = text.split_once('=').map_or("", |(_, value)| value);
        if value.starts_with(['@', '<', '(', ')', '"']) || value.contains(';') {
            return Err(ImportError::new(format!("expected `name=value`, got `{text}`"))
                .hint("only plain fields are supported; save such a body to a file and send it with --data-binary @FILE"));
        }
        self.form_field(text)
    }

    fn form_field(&mut self, text: &str) -> Result<(), ImportError> {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| ImportError::new(format!("expected `name=value`, got `{text}`")))?;
        let name = name.replace('\\', "\\\\").replace('"', "%22");
        self.parts.push((name, value.to_owned()));
        Ok(())
    }

    fn requests(mut self) -> Result<Requests, ImportError> {
        let mut all = Requests::new("curl", Order::Mix);
        for url in std::mem::take(&mut self.urls) {
            all.requests.push((1, self.request(&url)?));
        }
        if all.requests.is_empty() {
            return Err(ImportError::new("expected a URL in the command, got none"));
        }
        let is_secure = all
            .requests
            .iter()
            .any(|(_, it)| it.url.scheme() == "https");
        match self.version {
            Version::Http2 if !is_secure => all.notes.push(
                "`--http2` asks to upgrade without TLS, which no scenario does: HTTP/1.1 is measured. `version = \"2\"` in `[http]` is \
                 curl's --http2-prior-knowledge."
                    .to_owned(),
            ),
            Version::Http1 => {}
            Version::Http2 | Version::Http2WithoutUpgrade => {
                all.settings.push("version = \"2\"".to_owned());
            }
        }
        if self.follows {
            let most = self.redirects.as_deref().unwrap_or(REDIRECTS);
            all.settings.push(format!("redirects = {most}"));
        }
        if let Some(timeout) = &self.timeout {
            all.settings.push(format!("timeout = {}", quoted(timeout)));
        }
        if self.compressed {
            all.notes.push("Responses may be compressed: checks of their text need `accept-encoding = \"identity\"`.".to_owned());
        }
        if self.insecure && !is_secure {
            self.ignored.push("-k".to_owned());
        }
        if !self.ignored.is_empty() {
            all.notes
                .push(format!("Ignored: {}.", self.ignored.join(", ")));
        }
        all.insecure = self.insecure && is_secure;
        all.socket = self.socket;
        Ok(all)
    }

    fn request(&self, url: &str) -> Result<Request, ImportError> {
        let full = if url.contains("://") {
            url.to_owned()
        } else {
            format!("http://{url}")
        };
        let path = full
            .split_once("://")
            .and_then(|(_, rest)| rest.find(['/', '?']).map(|at| &rest[at..]));
        if !self.literal_url && path.is_some_and(|path| path.contains(['{', '}', '[', ']'])) {
            return Err(ImportError::new(format!(
                "expected one URL, got `{url}`, in which curl expands braces and brackets"
            ))
            .hint("add --globoff if they are part of the URL, or write each URL"));
        }
        let body = self.body()?;
        let default = match (&body, self.data_in_query) {
            _ if self.head => "HEAD",
            (Some(_), false) => "POST",
            _ => "GET",
        };
        let mut request = Request::new(self.method.as_deref().unwrap_or(default), &full)?;
        for (name, value) in &self.headers {
            request.add_header(name, value)?;
        }
        if !self.cookies.is_empty() {
            request.add_header("cookie", &self.cookies.join("; "))?;
        }
        if let Some(user) = &self.user {
            request.default_header("authorization", &format!("Basic {user}"))?;
        }
        if let Some(token) = &self.bearer {
            request.default_header("authorization", &format!("Bearer {token}"))?;
        }
        if self.compressed {
            self.unless_removed(&mut request, "accept-encoding", "deflate, gzip")?;
        }
        match body {
            Some(Body::Bytes(data)) if self.data_in_query => {
                let data = String::from_utf8_lossy(&data).into_owned();
                let query = match request.url.query() {
                    Some(query) => format!("{query}&{data}"),
                    None => data,
                };
                request.url.set_query(Some(&query));
            }
            Some(Body::File(_)) if self.data_in_query => {
                return Err(ImportError::new("`--get` with a file is not supported"));
            }
            Some(_) if self.head => {
                return Err(ImportError::new(
                    "expected a request without a body for `--head`",
                ));
            }
            body => {
                if body.is_some() {
                    self.content_type(&mut request)?;
                }
                request.body = body;
            }
        }
        Ok(request)
    }

    fn unless_removed(
        &self,
        request: &mut Request,
        name: &str,
        value: &str,
    ) -> Result<(), ImportError> {
        if self.removed.iter().any(|it| it == name) {
            return Ok(());
        }
        request.default_header(name, value)
    }

    fn content_type(&self, request: &mut Request) -> Result<(), ImportError> {
        if self.is_json {
            self.unless_removed(request, "accept", "application/json")?;
        }
        let multipart = format!("multipart/form-data; boundary={BOUNDARY}");
        let content_type = match self {
            it if it.is_json => "application/json",
            it if !it.parts.is_empty() => &multipart,
            _ => "application/x-www-form-urlencoded",
        };
        self.unless_removed(request, "content-type", content_type)
    }

    fn body(&self) -> Result<Option<Body>, ImportError> {
        let kinds = [
            self.data.is_some(),
            self.file.is_some(),
            !self.parts.is_empty(),
        ];
        if kinds.iter().filter(|given| **given).count() > 1 {
            return Err(ImportError::new("expected one kind of body, got several")
                .hint("join them in one file, and send it with --data-binary @FILE"));
        }
        if let Some(file) = &self.file {
            return Ok(Some(Body::File(file.clone())));
        }
        if self.parts.is_empty() {
            return Ok(self
                .data
                .as_ref()
                .map(|data| Body::Bytes(data.clone().into_bytes())));
        }
        let mut text = String::new();
        for (name, value) in &self.parts {
            let _ = write!(
                text,
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            );
        }
        text += &format!("--{BOUNDARY}--\r\n");
        Ok(Some(Body::Bytes(text.into_bytes())))
    }
}

/// The text of a file.
fn read(file: &str, context: &Context<'_>) -> Result<String, ImportError> {
    if file == "-" {
        return Err(stdin());
    }
    let bytes = (context.read)(file).map_err(ImportError::new)?;
    String::from_utf8(bytes).map_err(|_| {
        ImportError::new(format!("expected UTF-8 in `{file}`")).hint("send it with --data-binary")
    })
}

fn stdin() -> ImportError {
    ImportError::new("expected a body or a file, got stdin")
        .hint("save the body to a file and name it")
}

fn unknown(name: &str) -> ImportError {
    if let Some((name, _)) = name.split_once('=') {
        return ImportError::new(format!("curl's option `{name}` takes no value after `=`")).hint(
            format!("write the value as a word of its own: `{name} VALUE`"),
        );
    }
    let all = OPTIONS.iter().flat_map(|it| it.names).copied();
    let similar =
        photofinish_workloads::names::did_you_mean(name, all.filter(|it| it.starts_with("--")));
    let error = ImportError::new(format!("curl's option `{name}` is not understood"));
    error.hint(match similar {
        Some(similar) if name.starts_with("--") => {
            format!("did you mean `{similar}`? Otherwise, leave it out")
        }
        _ => "leave it out, and set the same in the scenario if it matters".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{context, without_comments};
    use super::super::words;
    use super::*;

    fn imported(command: &str) -> Import {
        import(&words(command).expect("words"), &context()).expect("imported")
    }

    #[track_caller]
    fn check(command: &str, expected: &str) {
        let scenario = without_comments(&imported(command).scenario);
        assert_eq!(scenario.trim(), expected.trim(), "{command}");
    }

    /// Chrome, "Copy as cURL (bash)".
    #[test]
    fn a_curl_command_copied_from_chrome_is_read() {
        let it = imported(
            r#"curl 'https://shop.test/api/cart?limit=20' \
  -H 'accept: application/json, text/plain, */*' \
  -H 'accept-language: en-GB,en;q=0.9' \
  -H 'authorization: Bearer s3cret' \
  -H 'content-type: application/json' \
  -b 'sid=s3cret; lang=en' \
  -H 'sec-ch-ua: "Chromium";v="142", "Not_A Brand";v="99"' \
  --data-raw $'{"note":"it\'s {{x}}\u0021"}' \
  --compressed"#,
        );
        assert_eq!(it.target, "http=https://shop.test");
        assert_eq!(it.variables, ["AUTHORIZATION", "COOKIE"]);
        assert!(!it.scenario.contains("s3cret"), "{}", it.scenario);
        assert_eq!(
            without_comments(&it.scenario),
            r#"
[[request]]
send = "POST /api/cart?limit=20"
headers.accept = "application/json, text/plain, */*"
headers.accept-language = "en-GB,en;q=0.9"
headers.authorization = "Bearer {{env.AUTHORIZATION}}"
headers.content-type = "application/json"
headers.sec-ch-ua = '"Chromium";v="142", "Not_A Brand";v="99"'
headers.cookie = "{{env.COOKIE}}"
headers.accept-encoding = "deflate, gzip"
body.text = """{"note":"it's {{x}}!"}"""
body.raw = true
"#
        );
    }

    /// Firefox, "Copy as cURL (POSIX)".
    #[test]
    fn a_curl_command_copied_from_firefox_is_read() {
        check(
            r"curl 'http://127.0.0.1:8080/login' -X POST -H 'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0' -H 'Accept-Encoding: gzip, deflate, br, zstd' -H 'Content-Type: application/x-www-form-urlencoded' -H 'Connection: keep-alive' -H 'Upgrade-Insecure-Requests: 1' --data-raw 'user=ann&password=s3cret'",
            r#"
[[request]]
send = "POST /login"
headers.User-Agent = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
headers.Accept-Encoding = "gzip, deflate, br, zstd"
headers.Content-Type = "application/x-www-form-urlencoded"
headers.Upgrade-Insecure-Requests = "1"
body.text = "user=ann&password={{env.PASSWORD}}"
"#,
        );
    }

    #[test]
    fn each_option_has_an_effect() {
        let form = "headers.content-type = \"application/x-www-form-urlencoded\"";
        for (command, expected) in [
            ("h:81", "[[request]]\nsend = \"GET /\"".to_owned()),
            ("-XDELETE h/a", "[[request]]\nsend = \"DELETE /a\"".to_owned()),
            ("-k http://h", "[[request]]\nsend = \"GET /\"".to_owned()),
            ("-sIk https://h", "[tls]\ninsecure = true\n\n[[request]]\nsend = \"HEAD /\"".to_owned()),
            ("-L -m 2.5 h", "[http]\nredirects = 50\ntimeout = \"2.5s\"\n\n[[request]]\nsend = \"GET /\"".to_owned()),
            ("-L --max-redirs 3 h", "[http]\nredirects = 3\n\n[[request]]\nsend = \"GET /\"".to_owned()),
            ("-d a=1 -d b=2 h", format!("[[request]]\nsend = \"POST /\"\n{form}\nbody.text = \"a=1&b=2\"")),
            ("-d @file h", format!("[[request]]\nsend = \"POST /\"\n{form}\nbody.text = \"ab\"")),
            ("--data-raw @file h", format!("[[request]]\nsend = \"POST /\"\n{form}\nbody.text = \"@file\"")),
            ("--data-binary @x.bin h", format!("[[request]]\nsend = \"POST /\"\n{form}\nbody.file = \"x.bin\"\nbody.raw = true")),
            ("--data-urlencode 'a=b &' --data-urlencode '=\u{e9}' -H content-type: h", "[[request]]\nsend = \"POST /\"\nbody.text = \"a=b%20%26&%C3%A9\"".to_owned()),
            ("-G -d a=1 'h/?b=2'", "[[request]]\nsend = \"GET /?b=2&a=1\"".to_owned()),
            ("--json '[1]' h", "[[request]]\nsend = \"POST /\"\nheaders.accept = \"application/json\"\nheaders.content-type = \"application/json\"\nbody.text = \"[1]\"".to_owned()),
            ("-u ann:s3cret h", "[[request]]\nsend = \"GET /\"\nheaders.authorization = \"Basic {{env.AUTHORIZATION}}\"".to_owned()),
            ("--oauth2-bearer s3cret h", "[[request]]\nsend = \"GET /\"\nheaders.authorization = \"Bearer {{env.AUTHORIZATION}}\"".to_owned()),
            ("--http2 https://h", "[http]\nversion = \"2\"\n\n[[request]]\nsend = \"GET /\"".to_owned()),
            ("--http2-prior-knowledge -L h", "[http]\nversion = \"2\"\nredirects = 50\n\n[[request]]\nsend = \"GET /\"".to_owned()),
            ("--http2 --http1.1 https://h", "[[request]]\nsend = \"GET /\"".to_owned()),
            ("--http2 h", "[[request]]\nsend = \"GET /\"".to_owned()),
            ("-e http://r/ -H 'X-Empty;' h", "[[request]]\nsend = \"GET /\"\nheaders.referer = \"http://r/\"\nheaders.X-Empty = \"\"".to_owned()),
            ("--unix-socket /run/a.sock http://app/x", "[[request]]\nsend = \"GET /x\"\nheaders.host = \"app\"".to_owned()),
            ("-g 'h/{a}' --url h/b", "[[request]]\nsend = \"GET /%7Ba%7D\"\n\n[[request]]\nsend = \"GET /b\"".to_owned()),
        ] {
            check(&format!("curl {command}"), &expected);
        }
        assert_eq!(
            imported("curl --unix-socket /run/a.sock http://app/x").target,
            "http=unix:/run/a.sock"
        );
        assert_eq!(
            imported("curl -sS -o /dev/null h").notes,
            ["Ignored: -s, -S, -o."]
        );
        assert_eq!(imported("curl -k h").notes, ["Ignored: -k."]);
        let notes = imported("curl --http2 h").notes;
        assert!(notes[0].contains("HTTP/1.1 is measured"), "{notes:?}");
        let parts = imported("curl -F a=1 -F password=s3cret h").scenario;
        assert!(
            parts.contains("name=\"a\"")
                && parts.contains("{{env.PASSWORD}}")
                && !parts.contains("s3cret"),
            "{parts}"
        );
    }

    #[test]
    fn every_unsupported_option_is_named() {
        for (command, expected) in [
            ("curl --proxy p h", "`--proxy`"),
            ("curl -Z h", "`-Z`"),
            ("curl -sx p h", "`-x`"),
            ("curl --request=POST h", "`--request` takes no value"),
            ("curl --user=ann:s3cret h", "`--user` takes no value"),
            ("curl --http3 https://h", "`--http3`"),
            ("curl --proxy-user a:s3cret h", "`--proxy-user`"),
            ("curl -H", "`-H`"),
            ("curl -H x h", "`-H`: expected `name: value`"),
            ("curl -H @f h", "`-H`: header fields from a file"),
            ("curl -b jar.txt h", "`-b`"),
            ("curl -F a=@x h", "`-F`"),
            ("curl -F 'a=x;type=text/html' h", "`-F`"),
            ("curl -d @- h", "stdin"),
            ("curl -d @nowhere h", "cannot read nowhere"),
            ("curl -m soon h", "`-m`"),
            ("curl -d a -F b=c h", "one kind of body"),
            ("curl h/[1-3]", "braces and brackets"),
            ("curl -X CONNECT h", "`CONNECT`"),
            ("curl ftp://h/", "`ftp`"),
            ("curl -H 'a: {{b}}' h", "begins a slot"),
            ("curl", "URL"),
            ("wget h", "`wget`"),
            ("curl h i", "one server"),
        ] {
            let error = import(&words(command).expect("words"), &context()).expect_err(command);
            assert!(error.message.contains(expected), "{command}: {error}");
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        }
    }
}
