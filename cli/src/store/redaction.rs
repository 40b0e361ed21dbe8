//! Removal of secrets from everything that leaves the process: records, reports, exports, errors, process lists.
//!
//! Texts are redacted where they enter a record or an error: the plan and the command line, the replies of workers, and
//! every `Failure`. The original plan stays in memory and goes to workers through a pipe. `docs/METHOD.md` lists what
//! counts as a secret; keep it current.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{LazyLock, Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use url::{Url, form_urlencoded};

/// Replacement for a secret.
const REDACTED: &str = "***";

/// Ends of keys whose values are secrets, without separators: `PGPASSWORD`, `access_token`, `X-Amz-Signature`.
const SECRET: [&str; 13] = [
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "credential",
    "authorization",
    "signature",
];

/// Last words of keys whose values are secrets in `KEY=VALUE` and `--KEY VALUE`, but not in the JSON of a plan, where
/// `auth` names a method.
const SHORT: [&str; 7] = ["key", "auth", "sig", "pass", "pat", "jwt", "otp"];

/// Maximum length of a key, and of the part of a URL before its query, in bytes.
const LONGEST: usize = 1024;

/// Placeholder values in messages, which are not secrets.
const PLACEHOLDERS: [&str; 5] = [REDACTED, "…", "PASSWORD", "VALUE", "value"];

/// Words before the secret of an `Authorization` header.
const SCHEMES: [&str; 4] = ["basic", "bearer", "digest", "token"];

/// Text without its secrets.
pub fn text(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut end = 0;
    for secret in secrets(text) {
        safe.push_str(&text[end..secret.range.start]);
        safe.push_str(secret.replacement);
        end = secret.range.end;
    }
    safe + &text[end..]
}

/// A URL without its secrets.
pub fn url(url: &Url) -> String {
    text(url.as_str())
}

/// A command line without its secrets.
pub fn command_line(arguments: impl Iterator<Item = String>) -> Vec<String> {
    arguments.map(|argument| text(&argument)).collect()
}

/// A value with all of its text redacted. `None` if the result no longer has the value's type.
pub fn all_texts<T: Serialize + DeserializeOwned>(value: &T) -> Option<T> {
    let mut value = serde_json::to_value(value).ok()?;
    json(&mut value, &|text| self::text(text));
    serde_json::from_value(value).ok()
}

/// Changes every text in `value` with `safe`, keys too; different keys stay different.
pub fn json(value: &mut Value, safe: &dyn Fn(&str) -> String) {
    match value {
        Value::String(text) if is_histogram(text) => {}
        Value::String(text) => *text = safe(text),
        Value::Array(items) => items.iter_mut().for_each(|item| json(item, safe)),
        Value::Object(entries) => {
            let changed = std::mem::take(entries).into_iter().map(|(key, mut value)| {
                match &mut value {
                    Value::String(text) if Key::of(&key).is_secret() => REDACTED.clone_into(text),
                    value => json(value, safe),
                }
                (self::key(key, safe), value)
            });
            *entries = Map::from_iter(changed);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// True for an HdrHistogram in base64: the longest texts by far, with no secret in them.
fn is_histogram(text: &str) -> bool {
    text.starts_with("HISTF") && !text.trim_end_matches('=').contains([':', '=', '-'])
}

/// Keys that became equal, with numbers for their originals. The numbers are stable over all rounds of a run, whose
/// answers are compared by key.
static NUMBERS: LazyLock<Mutex<HashMap<String, HashMap<String, usize>>>> =
    LazyLock::new(Mutex::default);

fn key(key: String, safe: &dyn Fn(&str) -> String) -> String {
    let changed = safe(&key);
    if changed == key {
        return key;
    }
    let mut numbers = NUMBERS.lock().unwrap_or_else(PoisonError::into_inner);
    let originals = numbers.entry(changed.clone()).or_default();
    let next = originals.len() + 1;
    match *originals.entry(key).or_insert(next) {
        1 => changed,
        number => format!("{changed} ({number})"),
    }
}

struct Secret {
    range: Range<usize>,
    replacement: &'static str,
}

/// The secrets in `text`, in order and without overlaps.
fn secrets(text: &str) -> Vec<Secret> {
    let mut all: Vec<Secret> = Vec::new();
    let starts = text
        .char_indices()
        .filter(|(_, letter)| ":=-%".contains(*letter));
    for (start, _) in starts {
        let free = all.last().map_or(0, |secret| secret.range.end);
        if start < free {
            continue;
        }
        let found = of_url(text, start)
            .or_else(|| of_assignment(text, start))
            .or_else(|| of_option(text, start));
        all.extend(found.filter(|secret| secret.range.start >= free));
    }
    all
}

/// The password in the URL whose `://` is at `start`; with HTTP and WebSocket, where a user may be a token, both.
fn of_url(text: &str, start: usize) -> Option<Secret> {
    let rest = text[start..].strip_prefix("://")?;
    let begin = start + "://".len();
    let span = before_first(rest, ends_word);
    let authority = before_first(span, |letter| "/?#".contains(letter));
    // A password may hold `/`, unencoded: then an apparent port is not one.
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let strange = authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| !is_port(port) && !port.starts_with('{') && !port.contains(']'));
    let user = match (authority.rfind('@'), strange) {
        (Some(at), _) => &span[..at],
        (None, true) => &span[..span.rfind('@')?],
        (None, false) => return None,
    };
    if ["http", "https", "ws", "wss"]
        .iter()
        .any(|scheme| text[..start].ends_with(scheme))
    {
        return Some(Secret {
            range: begin..begin + user.len(),
            replacement: REDACTED,
        });
    }
    let (name, password) = user.split_once(':')?;
    (!PLACEHOLDERS.contains(&password)).then_some(Secret {
        range: begin + name.len()..begin + user.len(),
        replacement: "",
    })
}

/// The value after the `=`, `:` or encoded `=` at `at`, if the key before it is that of a secret.
fn of_assignment(text: &str, at: usize) -> Option<Secret> {
    let separators = ["=", ":", "%3D", "%3d"];
    let separator = separators.iter().find(|it| text[at..].starts_with(**it))?;
    let (before, after) = (&text[..at], &text[at + separator.len()..]);
    let unspaced = before.trim_end_matches(' ');
    let unquoted = unspaced.trim_end_matches(['"', '\'', '\\']);
    let near = &unquoted[unquoted.ceil_char_boundary(unquoted.len().saturating_sub(LONGEST))..];
    let key = Key::of(&near[near.trim_end_matches(is_of_key).len()..]);
    let is_colon = *separator == ":";
    let counts = if !is_colon {
        key.is_secret() || key.is_short()
    } else if unquoted.len() < unspaced.len() {
        key.is_secret()
    } else {
        // In a sentence a colon says nothing; in a header it does.
        key.is_header()
    };
    // `token= x` has no value, other than `token = "x"`.
    let value_at = after.trim_start_matches(' ');
    let may_be_spaced = is_colon || unspaced != before || value_at.starts_with(['"', '\'']);
    let spaces = if may_be_spaced {
        after.len() - value_at.len()
    } else {
        0
    };
    counts
        .then(|| value(text, at + separator.len() + spaces))
        .flatten()
}

/// The value of the option `--KEY VALUE` that begins at `start`, if the key is that of a secret.
fn of_option(text: &str, start: usize) -> Option<Secret> {
    let rest = text[start..].strip_prefix("--")?;
    let key = before_first(rest, |letter| !is_of_key(letter));
    let after = &rest[key.len()..];
    let given = after.trim_start_matches(' ');
    if given.len() == after.len() || given.starts_with('-') {
        return None;
    }
    let begin = start + 2 + key.len() + (after.len() - given.len());
    let key = Key::of(key);
    (key.is_secret() || key.is_short())
        .then(|| value(text, begin))
        .flatten()
}

/// The secret at `begin`: a quoted text or a word, without the scheme before it.
fn value(text: &str, begin: usize) -> Option<Secret> {
    let rest = &text[begin..];
    if let Some((word, _)) = rest.split_once(' ')
        && SCHEMES
            .iter()
            .any(|scheme| word.eq_ignore_ascii_case(scheme))
    {
        return value(text, begin + word.len() + 1);
    }
    let quote = rest
        .trim_start_matches('\\')
        .chars()
        .next()
        .filter(|first| "\"'".contains(*first));
    let inside = match quote {
        Some(quote) => {
            let open = rest.find(quote)? + 1;
            let end = rest[open..]
                .find([quote, '\\'])
                .unwrap_or(rest.len() - open);
            open..open + end
        }
        None => {
            0..rest
                .find(|letter| ends_word(letter) || letter == '&')
                .unwrap_or(rest.len())
        }
    };
    let secret = rest[inside.clone()].trim_end_matches('\\');
    let range = begin + inside.start..begin + inside.start + secret.len();
    (!secret.is_empty() && !PLACEHOLDERS.contains(&secret)).then_some(Secret {
        range,
        replacement: REDACTED,
    })
}

/// Text up to the first such character, at most [`LONGEST`]: hostile text must not cost quadratic time.
fn before_first(text: &str, ends: impl Fn(char) -> bool) -> &str {
    let near = &text[..text.floor_char_boundary(LONGEST)];
    &near[..near.find(ends).unwrap_or(near.len())]
}

fn ends_word(letter: char) -> bool {
    letter.is_whitespace() || "\"'`<>".contains(letter)
}

fn is_of_key(letter: char) -> bool {
    letter.is_alphanumeric() || "_-.%[]".contains(letter)
}

/// A key, decoded and in lower case.
struct Key(String);

impl Key {
    fn of(key: &str) -> Self {
        let decoded = form_urlencoded::parse(key.as_bytes()).next();
        let decoded = decoded.map_or_else(String::new, |(key, _)| key.to_lowercase());
        // In an encoded URL, a whole query may stand before the key.
        let last = decoded.rsplit(|letter| !is_of_key(letter)).next();
        Self(last.unwrap_or_default().to_owned())
    }

    fn is_secret(&self) -> bool {
        let joined = self.0.replace(|letter: char| !letter.is_alphanumeric(), "");
        SECRET.iter().any(|end| joined.ends_with(end))
    }

    fn is_short(&self) -> bool {
        let last = self.0.trim_end_matches(']').rsplit(['-', '_', '[']).next();
        last.is_some_and(|last| SHORT.contains(&last))
    }

    fn is_header(&self) -> bool {
        let is_own = self.0.starts_with("x-") && (self.is_secret() || self.is_short());
        is_own || self.0.ends_with("authorization")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(given: &str, expected: &str) {
        assert_eq!(text(given), expected);
    }

    #[test]
    fn passwords_vanish_from_urls() {
        let database = "db=postgres://ann@127.0.0.1:5432/shop";
        check("db=postgres://ann:s3cret@127.0.0.1:5432/shop", database);
        check(
            "--target=db=postgres://ann:s%40c@[::1]/shop",
            "--target=db=postgres://ann@[::1]/shop",
        );
        check(
            "postgres://ann:s3/c?r#et@127.0.0.1/shop",
            "postgres://ann@127.0.0.1/shop",
        );
        check(
            "postgres://h/d?user=ann&password=s3cret",
            "postgres://h/d?user=ann&password=***",
        );
        check(
            "http=http://ann:s3cret@localhost/a?b=c",
            "http=http://***@localhost/a?b=c",
        );
        check("clone https://s3cret@h/r.git", "clone https://***@h/r.git");
        check(
            "from http://a:s3cret@h/ to postgres://u:s3cret@h/d",
            "from http://***@h/ to postgres://u@h/d",
        );
    }

    #[test]
    fn secrets_vanish_from_queries() {
        for key in [
            "token",
            "access_token",
            "key",
            "api_key",
            "apikey",
            "secret",
            "client_secret",
            "sig",
            "signature",
            "X-Amz-Signature",
            "X-Amz-Credential",
            "auth",
            "authorization",
            "password",
            "passwd",
            "pwd",
            "pass",
            "PassWord",
            "%70assword",
            "pass%77ord",
            "user[password]",
            "accessToken",
        ] {
            check(
                &format!("error: `GET /x?a=1&{key}=s3cret&b=2` must answer 200"),
                &format!("error: `GET /x?a=1&{key}=***&b=2` must answer 200"),
            );
        }
    }

    #[test]
    fn secrets_vanish_from_commands() {
        check(
            "env DBURL=postgres://u:s3cret@h/d serve",
            "env DBURL=postgres://u@h/d serve",
        );
        check(
            "TOKEN=s3cret PGPASSWORD='s3 cret' ./serve",
            "TOKEN=*** PGPASSWORD='***' ./serve",
        );
        check(
            "./serve --token=s3cret --api-key s3cret -v",
            "./serve --token=*** --api-key *** -v",
        );
        check(
            "./serve --password \"s3 cret\" x",
            "./serve --password \"***\" x",
        );
        check(
            "curl -H 'Authorization: Bearer s3cret' h",
            "curl -H 'Authorization: Bearer ***' h",
        );
        check(
            "curl -H 'X-Api-Key: s3cret' h",
            "curl -H 'X-Api-Key: ***' h",
        );
        check(
            "/login?next=%2Fx%3Ftoken%3Ds3cret&a=1",
            "/login?next=%2Fx%3Ftoken%3D***&a=1",
        );
        check(
            "host=h password=s3cret user=u",
            "host=h password=*** user=u",
        );
        check(
            "serve --behaviour '{\"password\": \"s3cret\"}'",
            "serve --behaviour '{\"password\": \"***\"}'",
        );
        check(
            "{\\\"password\\\":\\\"s3cret\\\",\\\"a\\\":1}",
            "{\\\"password\\\":\\\"***\\\",\\\"a\\\":1}",
        );
        check(
            "--set=server.db.password=s3cret",
            "--set=server.db.password=***",
        );
        check("password = \"s3cret\"", "password = \"***\"");
    }

    #[test]
    fn texts_without_a_secret_stay_as_they_are() {
        for given in [
            "http-get",
            "http=http://127.0.0.1:8080",
            "http://127.0.0.1:{port}/x?mail=a@b",
            "http://[::1]:80/a@b",
            "--set=server.db.auth=scram-sha-256",
            "write db=postgres://USER:PASSWORD@HOST:PORT/DATABASE, or --set KEY=VALUE",
            "expected `key=value`",
            "wrong password: the server refused it",
            "primary key: none",
            "max_tokens=5 and monkey=1 and --keyspace x",
            "a=b==&c",
            "token=",
            "é=ü:ö://",
        ] {
            check(given, given);
        }
    }

    /// Goal: no text ends the program, and none around a secret hides it. Method: random pieces that mean something
    /// here.
    #[test]
    fn no_surroundings_hide_a_secret() {
        let pieces = [
            "=", ":", "-", "--", "%3D", "%", "'", "\"", "\\", " ", "&", "?", "é", "://", "@", "/",
            "token", "key", "Bearer ", "[", "]", "`", "a", "1", "HISTF", ";",
        ];
        let mut state = 1_u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            pieces[(state >> 16) as usize % pieces.len()]
        };
        for _ in 0..20_000 {
            let before = String::from_iter((0..6).map(|_| random()));
            let after = String::from_iter((0..6).map(|_| random()));
            let secret = format!("{before} token=s3cret {after}");
            assert!(!text(&secret).contains("s3cret"), "{secret:?}");
        }
        for long in ["://", "=", "--", "%3D", "a", "token='", "é:"] {
            text(&long.repeat(10_000));
        }
    }

    #[test]
    fn texts_of_json_are_redacted_and_different_keys_stay_different() {
        let value = json!({
            "GET /?key=a1": "one", "GET /?key=b2": "two", "password": "s3cret", "auth": "md5", "n": [1, "sig=x"],
            "service": "HISTFAAA+sig==",
        });
        let redacted: Value = all_texts(&value).expect("JSON");
        let expected = json!({
            "GET /?key=***": "one", "GET /?key=*** (2)": "two", "password": "***", "auth": "md5", "n": [1, "sig=***"],
            "service": "HISTFAAA+sig==",
        });
        assert_eq!(redacted, expected);
        let alone: Value = all_texts(&json!({ "GET /?key=b2": "two" })).expect("JSON");
        assert_eq!(alone, json!({ "GET /?key=*** (2)": "two" }));
    }
}
