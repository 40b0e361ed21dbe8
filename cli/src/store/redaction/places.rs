//! Secrets by their position in a text: after a key, in a URL, as the argument of an option.

use std::ops::Range;

use super::REDACTED;
use photofinish_workloads::secret_names::{Key, is_of_key};

/// Maximum length of a key, and of the part of a URL before its query, in bytes.
const LONGEST: usize = 1024;

/// Placeholder values in messages, which are not secrets.
const PLACEHOLDERS: [&str; 6] = [REDACTED, "…", "PASSWORD", "VALUE", "value", "FILE"];

/// Words before the secret of an `Authorization` header.
const SCHEMES: [&str; 4] = ["basic", "bearer", "digest", "token"];

/// Options that take a password, or a user with one, as the next argument.
const BARE: [&str; 4] = ["-p", "-u", "--user", "--proxy-user"];

/// Words after a colon that continue a sentence.
const WORDS: [&str; 20] = [
    "a", "an", "and", "are", "be", "cannot", "expected", "for", "got", "in", "invalid", "is", "it",
    "must", "no", "not", "of", "the", "this", "was",
];

struct Secret {
    range: Range<usize>,
    replacement: &'static str,
}

/// The text without its secrets.
pub fn without(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut end = 0;
    for secret in secrets(text) {
        safe.push_str(&text[end..secret.range.start]);
        safe.push_str(secret.replacement);
        end = secret.range.end;
    }
    safe + &text[end..]
}

/// True if the argument after this one is a secret.
pub fn is_secret_option(argument: &str) -> bool {
    let key = argument.strip_prefix("--").map(Key::of);
    argument == "-p" || key.is_some_and(|key| key.is_secret() || key.is_short())
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
            .or_else(|| of_option(text, start))
            .or_else(|| of_bare_option(text, start));
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
    // A password may contain an unencoded `/`: then what looks like a port is not one.
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
    let name = &near[near.trim_end_matches(is_of_key).len()..];
    let key = Key::of(name);
    let is_colon = *separator == ":";
    if is_colon && key.is_cookie() {
        return line(text, at + 1);
    }
    let counts = if !is_colon {
        key.is_secret() || key.is_short()
    } else {
        let is_quoted = unquoted.len() < unspaced.len();
        key.is_header() || key.is_secret() && (is_quoted || !is_of_sentence(after))
    };
    // `token= x` has no value, other than `token = "x"`.
    let value_at = after.trim_start_matches(' ');
    let may_be_spaced = is_colon || unspaced != before || value_at.starts_with(['"', '\'']);
    let spaces = if may_be_spaced {
        after.len() - value_at.len()
    } else {
        0
    };
    if !counts {
        return None;
    }
    let value = value(text, at + separator.len() + spaces)?;
    let given = &text[value.range.clone()];
    // Names of draws in a scenario, whose tables have members of their own.
    let is_quoted = text[..value.range.start].ends_with(['"', '\'']);
    let is_draw = !is_quoted && (name == "key" || name.starts_with("draw."));
    let is_public = is_draw && is_table(given) || key.is_code() && is_status(given);
    (!is_public).then_some(value)
}

/// True for a status or an exit code, with the punctuation of its sentence or the rest of its table: `{code=503,share=0.2}`.
fn is_status(value: &str) -> bool {
    let rest = value.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let is_number = (1..=3).contains(&(value.len() - rest.len()));
    let is_punctuation = rest.trim_end_matches([',', ';', '.', ')']).is_empty();
    let is_next = || rest.strip_prefix(',').is_some_and(is_member);
    is_number && (is_punctuation || rest.starts_with('}') || is_next())
}

/// True for the beginning of a table in TOML: `{` in `{ from = 1 }`, or `{uuid=true}`.
fn is_table(value: &str) -> bool {
    let inside = value.strip_prefix('{');
    inside.is_some_and(|inside| inside.is_empty() || is_member(inside))
}

/// True for `name=…`.
fn is_member(text: &str) -> bool {
    let name = before_first(text, |letter| !is_of_key(letter));
    !name.is_empty() && text[name.len()..].starts_with('=')
}

/// True if what follows a colon continues a sentence or a path: `wrong password: the server refused it`.
fn is_of_sentence(after: &str) -> bool {
    let given = after.trim_start_matches(' ');
    let word = before_first(given, |letter| !letter.is_alphanumeric());
    let ends = given.len() == after.len() && given.starts_with([':', '/']);
    ends || WORDS.contains(&word.to_lowercase().as_str())
}

/// The rest of a header's line, up to a quote.
fn line(text: &str, begin: usize) -> Option<Secret> {
    let rest = &text[begin..];
    let begin = begin + (rest.len() - rest.trim_start_matches(' ').len());
    let rest = &text[begin..];
    let end = rest
        .find(['\n', '\r', '"', '\'', '`', '\\'])
        .unwrap_or(rest.len());
    (!rest[..end].is_empty()).then_some(Secret {
        range: begin..begin + end,
        replacement: REDACTED,
    })
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

/// The password after `-p`, or in `USER:PASSWORD` after `-u` and `--user`.
fn of_bare_option(text: &str, start: usize) -> Option<Secret> {
    let begins = text[..start].chars().next_back().is_none_or(ends_word);
    let rest = &text[start..];
    let option = BARE.iter().find(|option| {
        rest.strip_prefix(**option)
            .is_some_and(|rest| rest.starts_with(' '))
    });
    // `mkdir -p` takes a directory.
    let option = option.filter(|_| begins && !text[..start].ends_with("mkdir "))?;
    let given = rest[option.len()..].trim_start_matches(' ');
    let mut found = value(text, text.len() - given.len())?;
    let word = &text[found.range.clone()];
    if *option != "-p" {
        let (user, _) = word.split_once(':')?;
        found.range.start += user.len() + 1;
    }
    let word = &text[found.range.clone()];
    // Ports, user ids, directories, other options.
    let is_public = word
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b".:".contains(&byte));
    (!is_public && !word.starts_with(['/', '.', '{', '-', '$'])).then_some(found)
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
    (!secret.is_empty() && !is_public(secret)).then_some(Secret {
        range,
        replacement: REDACTED,
    })
}

/// True for a placeholder, or the name of the variable that holds the secret, with the punctuation of its sentence.
fn is_public(value: &str) -> bool {
    let bare = value.trim_end_matches([',', '.', ';', ')', ']', '…']);
    PLACEHOLDERS.contains(&value) || PLACEHOLDERS.contains(&bare) || is_reference(bare)
}

/// True for `$API_TOKEN`, `${API_TOKEN}`, and slots such as `{token}`, `{{token}}` and `{{env.API_TOKEN}}`. Only names that say that
/// they hold a secret are recognized, since a password may have a dollar sign or braces too.
fn is_reference(value: &str) -> bool {
    let between = |open: &str, close: &str| value.strip_prefix(open)?.strip_suffix(close);
    let is_name = |name: &str, is_letter: fn(&u8) -> bool| {
        let key = Key::of(name);
        name.bytes().all(|byte| is_letter(&byte)) && (key.is_secret() || key.is_password())
    };
    let variable = between("${", "}").or_else(|| value.strip_prefix('$'));
    let slot = between("{{", "}}").or_else(|| between("{", "}"));
    match (variable, slot) {
        (Some(name), _) => is_name(name, |byte| byte.is_ascii_uppercase() || *byte == b'_'),
        (None, Some(name)) => {
            let name = name.trim_matches(' ');
            let name = name.strip_prefix("env.").unwrap_or(name);
            is_name(name, |byte| {
                byte.is_ascii_alphabetic() || b"_.".contains(byte)
            })
        }
        (None, None) => false,
    }
}

/// Text up to the first such character, at most [`LONGEST`]: hostile text must not cost quadratic time.
fn before_first(text: &str, ends: impl Fn(char) -> bool) -> &str {
    let near = &text[..text.floor_char_boundary(LONGEST)];
    &near[..near.find(ends).unwrap_or(near.len())]
}

fn ends_word(letter: char) -> bool {
    letter.is_whitespace() || "\"'`<>".contains(letter)
}
