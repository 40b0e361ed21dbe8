//! Functions on texts, with PostgreSQL's idea of positions, patterns and padding.
//!
//! Positions count characters from 1. Patterns of LIKE are matched here, since the engine's are blind to case and know
//! no default escape.

use rusqlite::types::Value;

use super::super::error::{SqlError, SqlResult};
use super::super::value::from_hex;
use super::{Registry, boolean, integer_at, text_at};

/// The longest text that padding or repeating may make, as a bound for memory.
const LONGEST: usize = 64 << 20;

pub(super) fn register(registry: &mut Registry<'_>) {
    // The engine's own know ASCII only.
    registry.strict("lower", 1, |context| {
        Ok(Value::Text(text_at(context, 0)?.to_lowercase()))
    });
    registry.strict("upper", 1, |context| {
        Ok(Value::Text(text_at(context, 0)?.to_uppercase()))
    });
    registry.strict("pf_initcap", 1, |context| {
        Ok(Value::Text(initcap(&text_at(context, 0)?)))
    });
    registry.strict("pf_reverse", 1, |context| {
        Ok(Value::Text(text_at(context, 0)?.chars().rev().collect()))
    });
    registry.strict("pf_left", 2, |context| {
        let (text, count) = (text_at(context, 0)?, integer_at(context, 1)?);
        let kept = kept(&text, count);
        Ok(Value::Text(text.chars().take(kept).collect()))
    });
    registry.strict("pf_right", 2, |context| {
        let (text, count) = (text_at(context, 0)?, integer_at(context, 1)?);
        let skipped = text.chars().count() - kept(&text, count);
        Ok(Value::Text(text.chars().skip(skipped).collect()))
    });
    for arguments in [2, 3] {
        registry.strict("pf_substr", arguments, |context| {
            let length = if context.len() > 2 {
                Some(integer_at(context, 2)?)
            } else {
                None
            };
            substring(&text_at(context, 0)?, integer_at(context, 1)?, length).map(Value::Text)
        });
        for (name, at_start) in [("pf_lpad", true), ("pf_rpad", false)] {
            registry.strict(name, arguments, move |context| {
                let fill = if context.len() > 2 {
                    text_at(context, 2)?
                } else {
                    " ".into()
                };
                pad(
                    &text_at(context, 0)?,
                    integer_at(context, 1)?,
                    &fill,
                    at_start,
                )
                .map(Value::Text)
            });
        }
    }
    registry.strict("pf_repeat", 2, |context| {
        let (text, count) = (
            text_at(context, 0)?,
            integer_at(context, 1)?.max(0) as usize,
        );
        refuse_longer(text.len().saturating_mul(count))?;
        Ok(Value::Text(text.repeat(count)))
    });
    registry.strict("pf_split_part", 3, |context| {
        split_part(
            &text_at(context, 0)?,
            &text_at(context, 1)?,
            integer_at(context, 2)?,
        )
        .map(Value::Text)
    });
    registry.strict("pf_starts_with", 2, |context| {
        Ok(boolean(
            text_at(context, 0)?.starts_with(&text_at(context, 1)?),
        ))
    });
    registry.strict("pf_to_hex", 1, |context| {
        Ok(Value::Text(format!("{:x}", integer_at(context, 0)?)))
    });
    registry.strict("pf_quote_ident", 1, |context| {
        let name = text_at(context, 0)?;
        let plain = name
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || letter == '_' || letter.is_ascii_digit());
        let plain =
            plain && !name.starts_with(|first: char| first.is_ascii_digit()) && !name.is_empty();
        Ok(Value::Text(if plain {
            name
        } else {
            super::super::translate::quote_name(&name)
        }))
    });
    registry.strict("pf_encode", 2, encode);
    registry.strict("pf_decode", 2, |context| {
        decode(&text_at(context, 0)?, &text_at(context, 1)?).map(Value::Blob)
    });
    registry.strict("pf_md5", 1, |context| {
        // The verifier of an empty user is `md5` and the hash of the password alone.
        let verifier = postgres_protocol::password::md5(text_at(context, 0)?.as_bytes(), "");
        Ok(Value::Text(verifier.trim_start_matches("md5").to_owned()))
    });
    registry.strict("pf_like", 3, |context| {
        like(
            &text_at(context, 0)?,
            &text_at(context, 1)?,
            &text_at(context, 2)?,
        )
        .map(boolean)
    });
    registry.strict("pf_ilike", 3, |context| {
        let (text, pattern) = (
            text_at(context, 0)?.to_lowercase(),
            text_at(context, 1)?.to_lowercase(),
        );
        like(&text, &pattern, &text_at(context, 2)?).map(boolean)
    });
    registry.strict("pf_regex", 3, |context| {
        let pattern = text_at(context, 1)?;
        let pattern = if integer_at(context, 2)? != 0 {
            format!("(?i){pattern}")
        } else {
            pattern
        };
        let regex = regex_lite::Regex::new(&pattern).map_err(|error| {
            SqlError::new("2201B", format!("invalid regular expression: {error}"))
        })?;
        Ok(boolean(regex.is_match(&text_at(context, 0)?)))
    });
    registry.strict("pf_string_to_array", 2, |context| {
        let (text, separator) = (text_at(context, 0)?, text_at(context, 1)?);
        let parts: Vec<&str> = match () {
            () if text.is_empty() => Vec::new(),
            () if separator.is_empty() => vec![&text],
            () => text.split(&separator).collect(),
        };
        Ok(Value::Text(serde_json::Value::from(parts).to_string()))
    });
}

fn initcap(text: &str) -> String {
    let mut in_word = false;
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if in_word {
            out.extend(letter.to_lowercase())
        } else {
            out.extend(letter.to_uppercase())
        }
        in_word = letter.is_alphanumeric();
    }
    out
}

/// How many characters `left` and `right` keep; a negative count says how many they drop.
fn kept(text: &str, count: i64) -> usize {
    let length = text.chars().count() as i64;
    let kept = if count < 0 { length + count } else { count };
    kept.clamp(0, length) as usize
}

fn substring(text: &str, from: i64, length: Option<i64>) -> SqlResult<String> {
    let end = match length {
        Some(length) if length < 0 => {
            return Err(SqlError::new(
                "22011",
                "negative substring length not allowed",
            ));
        }
        Some(length) => from.saturating_add(length),
        None => i64::MAX,
    };
    let inside = |at: i64| at >= from && at < end;
    Ok(text
        .chars()
        .zip(1..)
        .filter(|(_, at)| inside(*at))
        .map(|(letter, _)| letter)
        .collect())
}

fn refuse_longer(bytes: usize) -> SqlResult<()> {
    if bytes > LONGEST {
        Err(SqlError::new("54000", "requested length too large"))
    } else {
        Ok(())
    }
}

fn pad(text: &str, length: i64, fill: &str, at_start: bool) -> SqlResult<String> {
    let length = length.max(0) as usize;
    refuse_longer(length)?;
    let have = text.chars().count();
    if have >= length || fill.is_empty() {
        return Ok(text.chars().take(length).collect());
    }
    let padding: String = fill.chars().cycle().take(length - have).collect();
    Ok(if at_start {
        format!("{padding}{text}")
    } else {
        format!("{text}{padding}")
    })
}

fn split_part(text: &str, separator: &str, number: i64) -> SqlResult<String> {
    let parts: Vec<&str> = if separator.is_empty() {
        vec![text]
    } else {
        text.split(separator).collect()
    };
    let at = match number {
        0 => return Err(SqlError::new("22023", "field position must not be zero")),
        number if number < 0 => parts.len() as i64 + number,
        number => number - 1,
    };
    Ok(usize::try_from(at)
        .ok()
        .and_then(|at| parts.get(at))
        .copied()
        .unwrap_or_default()
        .to_owned())
}

fn encode(context: &rusqlite::functions::Context<'_>) -> SqlResult<Value> {
    use base64::Engine as _;
    let (rusqlite::types::ValueRef::Blob(bytes) | rusqlite::types::ValueRef::Text(bytes)) =
        context.get_raw(0)
    else {
        return Ok(Value::Null);
    };
    match text_at(context, 1)?.as_str() {
        "hex" => Ok(Value::Text(
            bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        )),
        "base64" => Ok(Value::Text(
            base64::engine::general_purpose::STANDARD.encode(bytes),
        )),
        other => Err(SqlError::new(
            "22023",
            format!("unrecognized encoding: \"{other}\""),
        )),
    }
}

fn decode(text: &str, encoding: &str) -> SqlResult<Vec<u8>> {
    use base64::Engine as _;
    let wrong = || SqlError::new("22023", format!("invalid {encoding} data"));
    match encoding {
        "hex" => from_hex(text).ok_or_else(wrong),
        "base64" => base64::engine::general_purpose::STANDARD
            .decode(text)
            .map_err(|_| wrong()),
        other => Err(SqlError::new(
            "22023",
            format!("unrecognized encoding: \"{other}\""),
        )),
    }
}

/// One step of a LIKE pattern.
#[derive(Clone, Copy, PartialEq)]
enum Step {
    AnyRun,
    AnyOne,
    Exactly(char),
}

fn like(text: &str, pattern: &str, escape: &str) -> SqlResult<bool> {
    let escape = escape.chars().next();
    let mut steps = Vec::with_capacity(pattern.len());
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        steps.push(match letter {
            letter if Some(letter) == escape => Step::Exactly(letters.next().ok_or_else(|| {
                SqlError::new("22025", "LIKE pattern must not end with escape character")
            })?),
            '%' => Step::AnyRun,
            '_' => Step::AnyOne,
            letter => Step::Exactly(letter),
        });
    }
    Ok(matches(&text.chars().collect::<Vec<_>>(), &steps))
}

/// Greedy, going back to the last run only, which is enough and keeps the time quadratic.
fn matches(text: &[char], steps: &[Step]) -> bool {
    let (mut at, mut step) = (0, 0);
    let mut last_run: Option<(usize, usize)> = None;
    while at < text.len() {
        match steps.get(step) {
            Some(Step::AnyRun) => {
                last_run = Some((step, at));
                step += 1;
                continue;
            }
            Some(Step::AnyOne) => {
                (at, step) = (at + 1, step + 1);
                continue;
            }
            Some(Step::Exactly(letter)) if *letter == text[at] => {
                (at, step) = (at + 1, step + 1);
                continue;
            }
            _ => (),
        }
        let Some((run, from)) = last_run else {
            return false;
        };
        last_run = Some((run, from + 1));
        (at, step) = (from + 1, run + 1);
    }
    steps[step..].iter().all(|step| *step == Step::AnyRun)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_like(text: &str, pattern: &str, expected: bool) {
        assert_eq!(
            like(text, pattern, "\\"),
            Ok(expected),
            "{text} LIKE {pattern}"
        );
    }

    #[test]
    fn like_follows_its_pattern() {
        check_like("item 10", "item%", true);
        check_like("item 10", "Item%", false);
        check_like("item 10", "%1_", true);
        check_like("abcabd", "%abd", true);
        check_like("100%", "100\\%", true);
        check_like("1000", "100\\%", false);
        check_like("", "%", true);
        check_like("", "_", false);
        check_like("größe", "gr__e", true);
    }

    #[test]
    fn substrings_count_characters_from_one() {
        assert_eq!(substring("größe", 2, Some(3)), Ok("röß".into()));
        assert_eq!(substring("abc", -1, Some(3)), Ok("a".into()));
        assert_eq!(substring("abc", 2, None), Ok("bc".into()));
    }

    #[test]
    fn padding_and_splitting_take_negative_and_short_arguments() {
        assert_eq!(pad("7", 3, "0", true), Ok("007".into()));
        assert_eq!(pad("abcd", 2, "x", false), Ok("ab".into()));
        assert_eq!(split_part("a,b,c", ",", -1), Ok("c".into()));
        assert_eq!(kept("abc", -2), 1);
    }
}
