//! Names of types: a type is a thing, so its name is a noun.

use std::fs;

use super::cycles::tokens;
use super::{EDGES, collect, root, shown};

/// Retired names of types. Each was a bare participle, a preposition, or one word for several things.
const RETIRED: [&str; 50] = [
    "Admitted",
    "Against",
    "Answered",
    "Answers",
    "Asked",
    "Beyond",
    "Both",
    "Broken",
    "Chosen",
    "Decided",
    "Declared",
    "Done",
    "Ended",
    "Found",
    "Handshaken",
    "Heard",
    "Held",
    "Home",
    "House",
    "How",
    "Inside",
    "Judged",
    "Lent",
    "Located",
    "Made",
    "Manner",
    "Ordered",
    "Place",
    "Presence",
    "Processed",
    "Queried",
    "Ran",
    "Redone",
    "Said",
    "Seen",
    "Sketch",
    "SoFar",
    "Standing",
    "Stretch",
    "Surroundings",
    "Told",
    "Trouble",
    "Uncollected",
    "Under",
    "UnderWay",
    "Wanted",
    "Watched",
    "Way",
    "What",
    "Wish",
];

#[test]
fn no_type_has_a_retired_name() {
    for (crate_name, _) in EDGES {
        let mut files = Vec::new();
        collect(&root().join(crate_name).join("src"), &mut files);
        for file in files {
            let words = tokens(&fs::read_to_string(&file).expect("a source"));
            let retired = words.windows(2).find(|pair| {
                ["struct", "enum", "trait", "type", "union"].contains(&&*pair[0])
                    && RETIRED.contains(&&*pair[1])
            });
            assert_eq!(
                retired,
                None,
                "{} defines a type with a retired name",
                shown(&file)
            );
        }
    }
}
