//! Secrets by their form: tokens with a distinctive prefix, private keys, and values of environment variables.

use std::borrow::Cow;
use std::sync::LazyLock;

use super::REDACTED;
use photofinish_workloads::secret_names::Key;

/// Prefixes of tokens, and the minimum number of characters after them.
const TOKENS: [(&str, usize); 11] = [
    ("AKIA", 16),
    ("ASIA", 16),
    ("ghp_", 16),
    ("gho_", 16),
    ("ghs_", 16),
    ("github_pat_", 16),
    ("glpat-", 16),
    ("xoxb-", 16),
    ("xoxp-", 16),
    ("sk_live_", 16),
    ("AIza", 30),
];

/// Beginning of a JSON Web Token: `{"` in base64.
const WEB_TOKEN: &str = "eyJ";

/// Around a private key.
const PEM: (&str, &str, &str) = ("-----BEGIN ", "PRIVATE KEY-----", "-----END ");

/// Minimum length of a secret value of an environment variable: shorter ones occur in other texts by chance.
const ENVIRONMENT_LENGTH: usize = 8;

/// The values of this process's environment variables with names of secrets.
static ENVIRONMENT: LazyLock<Vec<String>> = LazyLock::new(|| {
    let all = std::env::vars_os();
    let texts =
        all.filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)));
    texts
        .filter(|(key, value)| is_secret(key, value))
        .map(|(_, value)| value)
        .collect()
});

/// The text without the secrets recognised by their form.
pub fn without(text: &str) -> Cow<'_, str> {
    let mut safe = Cow::Borrowed(text);
    for value in ENVIRONMENT
        .iter()
        .filter(|value| text.contains(value.as_str()))
    {
        safe = Cow::Owned(safe.replace(value.as_str(), REDACTED));
    }
    if TOKENS.iter().any(|(begin, _)| safe.contains(begin))
        || safe.contains(WEB_TOKEN)
        || safe.contains(PEM.0)
    {
        safe = Cow::Owned(without_tokens(&safe));
    }
    safe
}

/// True for a variable with a secret: it has the name of one, and its value is not a word, a number or a path, which
/// other texts contain too.
fn is_secret(key: &str, value: &str) -> bool {
    let name = Key::of(key);
    let is_named = name.is_secret() || name.is_password();
    let is_word = value.bytes().all(|byte| byte.is_ascii_lowercase())
        || value.bytes().all(|byte| byte.is_ascii_uppercase())
        || value.bytes().all(|byte| byte.is_ascii_digit());
    is_named && value.len() >= ENVIRONMENT_LENGTH && !is_word && !value.starts_with('/')
}

fn without_tokens(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    let mut is_inside = false;
    while let Some(first) = rest.chars().next() {
        // Only at the start of a word: in the middle of one it is a coincidence.
        let length = if is_inside { 0 } else { token(rest) };
        let taken = if length > 0 {
            safe.push_str(REDACTED);
            length
        } else {
            safe.push(first);
            first.len_utf8()
        };
        is_inside = first.is_alphanumeric();
        rest = &rest[taken..];
    }
    safe
}

/// The length of the token or key at the beginning of `text`; 0 without one.
fn token(text: &str) -> usize {
    let token = TOKENS.iter().find_map(|(begin, least)| {
        let length = word(text.strip_prefix(begin)?);
        (length >= *least).then_some(begin.len() + length)
    });
    token
        .or_else(|| web_token(text))
        .or_else(|| private_key(text))
        .unwrap_or(0)
}

fn web_token(text: &str) -> Option<usize> {
    text.strip_prefix(WEB_TOKEN)?;
    let head = word(text);
    let body = word(text[head..].strip_prefix('.')?);
    let signature = word(text[head + 1 + body..].strip_prefix('.')?);
    (head > 8 && body > 8).then_some(head + body + signature + 2)
}

/// Up to the end of the block, or of the text.
fn private_key(text: &str) -> Option<usize> {
    let (begin, middle, end) = PEM;
    let label = text.strip_prefix(begin)?;
    let opening = label.find(middle).filter(|at| *at < 40)? + begin.len() + middle.len();
    let Some(at) = text[opening..].find(end) else {
        return Some(text.len());
    };
    let closing = opening + at + end.len();
    let dashes = text[closing..]
        .find("-----")
        .map_or(text.len(), |at| closing + at + 5);
    Some(dashes)
}

/// The number of characters of base64 or of a name at the beginning of `text`.
fn word(text: &str) -> usize {
    let is_of_word = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
    text.find(|letter| !is_of_word(letter))
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_private_keys_are_redacted_everywhere() {
        let check = |given: &str, expected: &str| assert_eq!(without(given), expected);
        check(
            "see eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.s3cret-_x, then",
            "see ***, then",
        );
        check("/x/AKIAIOSFODNN7EXAMPLE/y", "/x/***/y");
        check("ghp_0123456789abcdefghij", "***");
        check(
            "k: -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- after",
            "k: *** after",
        );
        check("-----BEGIN PRIVATE KEY----- MIIE", "***");
        for text in [
            "eyJ.a.b",
            "AKIA",
            "HYAKIAIOSFODNN7EXAMPLE",
            "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
        ] {
            check(text, text);
        }
    }

    #[test]
    fn variables_with_secrets_are_known_by_name_and_value() {
        for (key, value, expected) in [
            ("PGPASSWORD", "hunter2-and-more", true),
            ("MY_API_KEY", "abcDEF12", true),
            ("GITHUB_TOKEN", "abcDEF12", true),
            ("PGPASSWORD", "postgres", false),
            ("PGPASSWORD", "s3cret", false),
            ("SSH_KEY", "/home/ann/.ssh/id", false),
            ("DESKTOP_SESSION", "gnome-40", false),
            ("PATH", "abcDEF12", false),
        ] {
            assert_eq!(is_secret(key, value), expected, "{key}={value}");
        }
    }
}
