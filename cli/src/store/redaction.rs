//! Removal of secrets from everything that leaves the process: records, reports, exports, errors, process lists.
//!
//! Texts are redacted where they enter a record or an error: the plan and the command line, the replies of workers, and
//! every `Failure`. The original plan stays in memory and goes to workers through a pipe. `docs/METHOD.md` lists what
//! counts as a secret; keep it current. `places` finds them by their position in a
//! text, `forms` by their form.

mod forms;
mod places;

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use photofinish_record::intervals;
use photofinish_scenarios::import;
use photofinish_workloads::secret_names::Key;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use url::Url;

/// Replacement for a secret.
const REDACTED: &str = "***";

/// The text without its secrets.
pub fn text(text: &str) -> String {
    places::without(&forms::without(text))
}

/// A URL without its secrets.
pub fn url(url: &Url) -> String {
    text(url.as_str())
}

/// A command line without its secrets.
pub fn command_line(arguments: impl Iterator<Item = String>) -> Vec<String> {
    let mut follows = false;
    let safe = |argument: String| {
        let is_secret = std::mem::replace(&mut follows, places::is_secret_option(&argument));
        if is_secret {
            REDACTED.to_owned()
        } else {
            text(&argument)
        }
    };
    arguments.map(safe).collect()
}

/// A value with every text changed by `safe`, keys too. `None` if the result no longer has the value's type.
pub fn all_texts<T: Serialize + DeserializeOwned>(
    value: &T,
    safe: &dyn Fn(&str) -> String,
) -> Option<T> {
    // By way of bytes, for which the types of records are compiled anyway.
    let mut json = serde_json::from_slice(&serde_json::to_vec(value).ok()?).ok()?;
    in_json(&mut json, safe);
    serde_json::from_slice(&serde_json::to_vec(&json).ok()?).ok()
}

/// True if a value in a request is a secret, by its name or by its form.
pub fn is_secret(key: import::Key<'_>, value: &str) -> bool {
    let by_name = match key {
        import::Key::Header(name) => {
            let key = Key::of(name);
            key.is_header() || key.is_cookie() || key.is_secret()
        }
        import::Key::Field(name) => Key::of(name).is_secret() || Key::of(name).is_short(),
        import::Key::Member(name) => Key::of(name).is_secret(),
    };
    by_name || forms::without(value) != value
}

/// Changes every text in `value` with `safe`, keys too; different keys stay different.
fn in_json(value: &mut Value, safe: &dyn Fn(&str) -> String) {
    match value {
        Value::String(text) if is_histogram(text) => {}
        Value::String(text) => *text = safe(text),
        Value::Array(items) => items.iter_mut().for_each(|item| in_json(item, safe)),
        Value::Object(entries) => {
            let changed = std::mem::take(entries).into_iter().map(|(key, mut value)| {
                match &mut value {
                    Value::String(text) if Key::of(&key).is_secret() => REDACTED.clone_into(text),
                    value => in_json(value, safe),
                }
                (self::key(key, safe), value)
            });
            *entries = Map::from_iter(changed);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// True for an HdrHistogram or for intervals in base64: the longest texts by far, with no secret in them.
fn is_histogram(text: &str) -> bool {
    let is_known = ["HISTF", intervals::PREFIX]
        .iter()
        .any(|prefix| text.starts_with(prefix));
    is_known && !text.trim_end_matches('=').contains([':', '=', '-'])
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(given: &str, expected: &str) {
        assert_eq!(text(given), expected);
    }

    #[test]
    fn passwords_are_redacted_in_urls() {
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
    fn secrets_are_redacted_in_queries() {
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
    fn secrets_are_redacted_in_commands() {
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
    fn bare_arguments_and_sentences_are_redacted() {
        for (given, expected) in [
            ("mysql -p s3cret -h db", "mysql -p *** -h db"),
            ("curl -u ann:s3cret h", "curl -u ann:*** h"),
            ("curl --user 'ann:s3cret' h", "curl --user 'ann:***' h"),
            (
                "login failed, password: s3cret",
                "login failed, password: ***",
            ),
            ("client secret: s3cret.", "client secret: ***"),
            ("GET /cb?code=s3cret&state=1", "GET /cb?code=***&state=1"),
            (
                "a=1; session=s3cret; sid=s3cret;",
                "a=1; session=*** sid=***",
            ),
            ("PHPSESSID=s3cret", "PHPSESSID=***"),
            // Values that only look like the name of a variable.
            ("PWD={s3cret}", "PWD=***"),
            ("token=$s3cret", "token=***"),
            ("token=$SECRET1", "token=***"),
            ("password={hunter}", "password=***"),
            ("password=FILES", "password=***"),
            ("key={token", "key=***"),
            ("key={token=s3cret,a=1}", "key={token=***"),
            ("auth={a=s3cret}", "auth=***"),
            ("password={a=s3cret}", "password=***"),
            ("key=\"{a=s3cret}\"", "key=\"***\""),
            ("GET /cb?code=0.s3cret", "GET /cb?code=***"),
            ("code=.s3cret", "code=***"),
            ("otp_code=123;s3cret", "otp_code=***"),
            ("code=12,s3cret", "code=***"),
            ("key={token}s3cret", "key=***"),
            (
                "curl -H 'Cookie: a=s3cret; b=s3cret' h",
                "curl -H 'Cookie: ***' h",
            ),
        ] {
            check(given, expected);
        }
        let arguments = ["run", "--token", "s3cret", "-p", "s3cret", "x"].map(str::to_owned);
        let expected = ["run", "--token", "***", "-p", "***", "x"];
        assert_eq!(command_line(arguments.into_iter()), expected);
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
            "export API_TOKEN=…",
            "max_tokens=5 and monkey=1 and --keyspace x",
            "--set 'server.http.status=[{code=503,share=0.2},{code=404}]'",
            "--set 'draw={key={from=1,to=5},id={uuid=true}}' --set 'draw.token={ uuid = true }'",
            "invalid value 'tokio,' for '--twin <RUNTIME[,KEY=VALUE]...>'",
            "a=b==&c",
            "token=",
            "serve -p 8080 -u 1000:1000 && mkdir -p /tmp/x && docker run -p 127.0.0.1:80:80 x",
            "serve -p {port} --user ann",
            "name yours with --target http-key=FILE, or sslkey=FILE in the URL, http-key=FILE.",
            "curl -H 'Authorization: Bearer $API_TOKEN' -H 'X-Api-Key: ${API_KEY}' h?token={{env.API_TOKEN}}",
            "no step before `GET /x?token={token}` captures it, and `key={{api_key}}` neither",
            "ended with exit code=3, status_code=404",
            "server.db.password: expected a string, got 5",
            "SELECT password::text",
            "é=ü:ö://",
        ] {
            check(given, given);
        }
    }

    /// Goal: no text ends the program, and none around a secret hides it. Method: random pieces that mean something
    /// here.
    #[test]
    fn secrets_are_found_in_any_surroundings() {
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
            "service": "HISTFAAA+sig==", "counts": "INTVAAA+sig==",
        });
        let redacted: Value = all_texts(&value, &text).expect("JSON");
        let expected = json!({
            "GET /?key=***": "one", "GET /?key=*** (2)": "two", "password": "***", "auth": "md5", "n": [1, "sig=***"],
            "service": "HISTFAAA+sig==", "counts": "INTVAAA+sig==",
        });
        assert_eq!(redacted, expected);
        let alone: Value = all_texts(&json!({ "GET /?key=b2": "two" }), &text).expect("JSON");
        assert_eq!(alone, json!({ "GET /?key=*** (2)": "two" }));
    }
}
