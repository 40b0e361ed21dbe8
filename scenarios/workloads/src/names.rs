//! Names in messages: the nearest to a misspelt one, and lists of them.

/// The candidate most similar to `name`, if any is similar enough.
pub fn did_you_mean<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let name = folded(name);
    // A third of the letters may be wrong: of one or two letters, none.
    let tolerance = name.chars().count() / 3;
    let distance_to = |candidate: &str| {
        let last_key = candidate.rsplit('.').next().unwrap_or(candidate);
        let whole = strsim::damerau_levenshtein(&name, &folded(candidate));
        whole.min(strsim::damerau_levenshtein(&name, &folded(last_key)))
    };
    candidates
        .into_iter()
        .map(|candidate| (distance_to(candidate), candidate))
        .filter(|(distance, _)| *distance <= tolerance)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Ignores case, quotes, and the kind of dash.
fn folded(name: &str) -> String {
    name.to_lowercase()
        .replace(['-', ' '], "_")
        .replace('"', "")
}

/// Lists names as text: `` `a`, `b` or `c` ``.
pub fn listed<S: AsRef<str>>(names: &[S]) -> String {
    let quoted: Vec<_> = names
        .iter()
        .map(|name| format!("`{}`", name.as_ref()))
        .collect();
    match quoted.as_slice() {
        [] => "nothing".to_owned(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_the_nearest_and_an_unrelated_one_nothing() {
        let check = |name, expected| {
            let candidates = ["tokio", "tokio-current-thread", "load.duration", "ops"];
            assert_eq!(did_you_mean(name, candidates), expected, "{name}");
        };
        check("tokyo", Some("tokio"));
        check("TOKIO", Some("tokio"));
        check("tokio_current_thread", Some("tokio-current-thread"));
        check("durration", Some("load.duration"));
        check("postgres", None);
        check("op", None);
        check("", None);
    }
}
