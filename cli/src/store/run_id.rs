//! The start of a run, and the id derived from it.

use photofinish_record::{UtcTime, hex};

use crate::exit::Failure;

pub struct RunId {
    /// UTC start time and a short random suffix: `20261120T183000Z-3fa9c1`. Sorts by time.
    pub id: String,
    /// The start, RFC 3339, UTC.
    pub started_utc: String,
}

impl RunId {
    /// The id of a run that starts now.
    pub fn now() -> Result<Self, Failure> {
        let now = UtcTime::now();
        let mut random = [0_u8; 3];
        getrandom::fill(&mut random).map_err(|error| {
            Failure::could_not_run("cannot name the run").caused_by(error.to_string())
        })?;
        Ok(Self {
            id: format!("{}-{}", now.compact(), hex(random)),
            started_utc: now.to_string(),
        })
    }
}

/// True for text of the form of a [`RunId::id`].
pub fn is_one(text: &str) -> bool {
    let form = "00000000T000000Z-xxxxxx";
    let fits = |(form, letter): (char, char)| match form {
        '0' => letter.is_ascii_digit(),
        'x' => letter.is_ascii_hexdigit(),
        _ => letter == form,
    };
    text.len() == form.len() && form.chars().zip(text.chars()).all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_named_by_its_start_and_unlike_any_other() {
        let [a, b] = [(); 2].map(|()| RunId::now().expect("a name"));
        assert_ne!(a.id, b.id);
        assert!(is_one(&a.id), "{}", a.id);
        assert!(!is_one("latest") && !is_one(&a.id.replace('T', "é")));
        assert!(a.started_utc.ends_with('Z'), "{}", a.started_utc);
    }
}
