//! Doc comments: a noun phrase or an imperative that says more than the name.

use std::fs;

use super::{EDGES, collect, root, shown};

/// A doc comment that begins with one of these makes the reader answer a question.
const QUESTIONS: [&str; 9] = [
    "What", "Whether", "Where", "Why", "How", "When", "Which", "Who", "Whose",
];

/// The share of a crate's doc comments that may begin with a question word, in percent.
const QUESTIONS_PERCENT: usize = 5;

/// The doc comments of one file, each as one line.
fn doc_comments(text: &str) -> Vec<String> {
    let mut comments: Vec<String> = Vec::new();
    let mut continues = false;
    for line in text.lines() {
        let comment = line.trim_start().strip_prefix("///").map(str::trim);
        match (comment, comments.last_mut()) {
            (Some(comment), Some(last)) if continues => *last += &format!(" {comment}"),
            (Some(comment), _) => comments.push(comment.to_owned()),
            (None, _) => {}
        }
        continues = comment.is_some();
    }
    comments
}

fn is_question(comment: &str) -> bool {
    let mut words = comment.split(|c: char| !c.is_alphanumeric());
    QUESTIONS.contains(&words.find(|word| !word.is_empty()).unwrap_or_default())
}

/// True for `The workload.`, `Its parameters.` and `What it is.`: the name said that already.
fn only_names_its_kind(comment: &str) -> bool {
    let words: Vec<&str> = comment.trim_end_matches('.').split(' ').collect();
    match words[..] {
        [first, _] => ["The", "Its", "Their", "A", "An", "This"].contains(&first),
        _ => words == ["What", "it", "is"] || words == ["What", "it", "does"],
    }
}

#[test]
fn doc_comments_are_noun_phrases_or_imperatives() {
    for (crate_name, _) in EDGES {
        let mut files = Vec::new();
        collect(&root().join(crate_name).join("src"), &mut files);
        let (mut count, mut questions) = (0, Vec::new());
        for file in files {
            let comments = doc_comments(&fs::read_to_string(&file).expect("a source"));
            let empty = comments.iter().find(|comment| only_names_its_kind(comment));
            assert_eq!(
                empty,
                None,
                "{}: a doc comment only repeats a name",
                shown(&file)
            );
            count += comments.len();
            questions.extend(comments.into_iter().filter(|comment| is_question(comment)));
        }
        assert!(
            questions.len() * 100 <= count * QUESTIONS_PERCENT,
            "{crate_name}: {questions:#?}"
        );
    }
}

#[test]
fn the_checks_of_doc_comments_can_fail() {
    let text = "/// Whether it\n    /// is so.\n fn a() {}\n/// The workload.\n fn b() {}\n/// The workload of a cell.";
    let comments = doc_comments(text);
    assert_eq!(
        comments,
        [
            "Whether it is so.",
            "The workload.",
            "The workload of a cell."
        ]
    );
    assert_eq!(
        comments
            .iter()
            .filter(|comment| is_question(comment))
            .count(),
        1
    );
    assert_eq!(
        comments
            .iter()
            .filter(|comment| only_names_its_kind(comment))
            .count(),
        1
    );
}
