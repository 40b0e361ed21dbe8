//! Module cycles. Within a crate, modules form a DAG once each module's uses of its own parent are set aside.
//!
//! A module is a file. Module `a` uses module `b` if a `use` or a path in its code names something in `b`; comments, strings,
//! visibilities and `#[cfg(test)]` items do not count. A re-exported name counts for the module that re-exports it, unless that module is
//! an ancestor of the user: such a name is followed to its definition. Uses of a parent are set aside because a
//! parent and its children are one unit; siblings, grandparents and other subtrees are not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::slice;

use super::{EDGES, collect, root};

/// The path of a module or of an item, from the crate's root: `["charts", "canvas"]`.
type Name = Vec<String>;

/// A path in the source, and the module that it stands in.
struct Mention {
    within: Name,
    path: Name,
    /// For an import, the name that it brings into scope; `*` for a glob.
    import: Option<String>,
}

/// A module that is a file.
#[derive(Default)]
struct Module {
    mentions: Vec<Mention>,
    children: Vec<String>,
    /// Children that exist in tests only.
    tests: Vec<String>,
    /// Children with a `#[path]`: name and file.
    placed: Vec<(String, String)>,
    /// Names in scope at the top of the file, and where they lead.
    scope: BTreeMap<String, Name>,
}

struct Graph {
    modules: BTreeMap<Name, Module>,
}

impl Graph {
    /// Reads the modules of a crate from pairs of a file's path below `src/` and its text.
    fn of(files: &[(&str, &str)]) -> Graph {
        let mut names: BTreeMap<String, Name> = files
            .iter()
            .map(|(file, _)| ((*file).to_owned(), name_of(file)))
            .collect();
        // Twice, because a `#[path]` may stand in a file that has one itself.
        for _ in 0..2 {
            for (file, text) in files {
                let name = names[*file].clone();
                for (child, place) in parse(&name, text).placed {
                    let place = Path::new(file).with_file_name(place);
                    names.insert(place.display().to_string(), joined(&name, &[child]));
                }
            }
        }
        let mut modules: BTreeMap<Name, Module> = BTreeMap::new();
        for (file, text) in files {
            let name = &names[*file];
            let parsed = parse(name, text);
            let module = modules.entry(name.clone()).or_default();
            module.mentions.extend(parsed.mentions);
            module.children.extend(parsed.children);
            module.tests.extend(parsed.tests);
        }
        let tests: Vec<Name> = modules
            .iter()
            .flat_map(|(name, module)| {
                module
                    .tests
                    .iter()
                    .map(|test| joined(name, slice::from_ref(test)))
            })
            .collect();
        modules.retain(|name, _| !tests.iter().any(|test| name.starts_with(test)));
        for (name, module) in &mut modules {
            module.scope = module
                .children
                .iter()
                .map(|child| (child.clone(), joined(name, slice::from_ref(child))))
                .collect();
            for mention in &module.mentions {
                let Some(import) = &mention.import else {
                    continue;
                };
                if import == "*" || mention.within != *name {
                    continue;
                }
                if let Some(target) = absolute(mention, name, module) {
                    module.scope.insert(import.clone(), target);
                }
            }
        }
        Graph { modules }
    }

    /// The module that `path` names for a user, re-exports by the user's ancestors followed.
    fn resolve(&self, user: &Name, path: &Name) -> Name {
        let mut path = path.clone();
        for _ in 0..8 {
            let known = (0..=path.len())
                .rev()
                .find(|length| self.modules.contains_key(&path[..*length]));
            let (owner, rest) = path.split_at(known.expect("the crate's root is a module"));
            let exported = rest
                .first()
                .and_then(|name| self.modules[owner].scope.get(name));
            match exported {
                Some(target) if user.starts_with(owner) => path = joined(target, &rest[1..]),
                _ => return owner.to_vec(),
            }
        }
        path
    }

    /// For each module, the modules it uses beside its parent, each with a path that says so.
    fn uses(&self) -> BTreeMap<&Name, BTreeMap<Name, String>> {
        let mut uses: BTreeMap<&Name, BTreeMap<Name, String>> = BTreeMap::new();
        for (name, module) in &self.modules {
            let found = uses.entry(name).or_default();
            for mention in &module.mentions {
                let Some(target) = absolute(mention, name, module) else {
                    continue;
                };
                // Importing a module is no use of it yet; the paths that begin with its name are.
                if mention.import.as_ref().is_some_and(|name| name != "*")
                    && self.modules.contains_key(&target)
                {
                    continue;
                }
                let used = self.resolve(name, &target);
                let is_parent = name.split_last().is_some_and(|(_, parent)| parent == used);
                if used != *name && !is_parent {
                    found.entry(used).or_insert_with(|| mention.path.join("::"));
                }
            }
        }
        uses
    }

    /// Every use that lies on a cycle: `a -> b (super::b::Thing)`.
    fn cycles(&self) -> Vec<String> {
        let uses = self.uses();
        let reachable = |from: &Name| {
            let mut reached = BTreeSet::new();
            let mut open = vec![from.clone()];
            while let Some(module) = open.pop() {
                let next = uses[&module]
                    .keys()
                    .filter(|next| !reached.contains(*next))
                    .cloned();
                let next: Vec<Name> = next.collect();
                reached.extend(next.iter().cloned());
                open.extend(next);
            }
            reached
        };
        let reached: BTreeMap<&Name, BTreeSet<Name>> =
            uses.keys().map(|name| (*name, reachable(name))).collect();
        let all = uses
            .iter()
            .flat_map(|(user, found)| found.iter().map(move |(used, path)| (user, used, path)));
        all.filter(|(user, used, _)| reached[used].contains(**user))
            .map(|(user, used, path)| {
                format!("{} -> {} ({path})", user.join("::"), used.join("::"))
            })
            .collect()
    }
}

/// The module of a file below `src/`: `a/b.rs` and `a/b/mod.rs` are `a::b`, `lib.rs` is the root.
fn name_of(file: &str) -> Name {
    let file = file.trim_end_matches(".rs");
    let file = file.strip_suffix("/mod").unwrap_or(file);
    let parts = file.split('/').filter(|part| *part != "lib");
    parts.map(str::to_owned).collect()
}

fn joined(start: &[String], rest: &[String]) -> Name {
    [start, rest].concat()
}

/// A mention's path from the crate's root, or `None` for paths into other crates and for local names.
fn absolute(mention: &Mention, name: &Name, module: &Module) -> Option<Name> {
    let (first, rest) = mention.path.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" | "super" => {
            let mut within = mention.within.clone();
            let mut rest = mention.path.as_slice();
            while let Some((step, further)) = rest
                .split_first()
                .filter(|(step, _)| ["self", "super"].contains(&step.as_str()))
            {
                if step == "super" {
                    within.pop();
                }
                rest = further;
            }
            Some(joined(&within, rest))
        }
        _ if mention.within == *name || mention.import.is_none() => {
            let target = module.scope.get(first)?;
            Some(joined(target, rest))
        }
        _ => None,
    }
}

/// Identifiers and punctuation, `::` as one, without comments, literals and lifetimes. The text behind `path =` stays.
pub(super) fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found: Vec<String> = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        at += match *rest {
            ['/', '/', ..] => length_until(rest, "\n"),
            ['/', '*', ..] => length_until(rest, "*/"),
            ['"', ..] => {
                let length = string_length(rest);
                if found.ends_with(&["path".to_owned(), "=".to_owned()]) {
                    found.push(rest[1..length - 1].iter().collect());
                }
                length
            }
            ['b', '"', ..] => 1 + string_length(&rest[1..]),
            ['r', '"' | '#', ..] if raw_length(rest).is_some() => raw_length(rest).unwrap_or(1),
            ['b', 'r', '"' | '#', ..] if raw_length(&rest[1..]).is_some() => {
                1 + raw_length(&rest[1..]).unwrap_or(1)
            }
            ['\'', '\\', ..] => 3 + rest[3..].iter().take_while(|c| **c != '\'').count() + 1,
            ['\'', _, '\'', ..] => 3,
            ['\'', ..] => 1 + rest[1..].iter().take_while(|c| is_word(**c)).count(),
            [':', ':', ..] => {
                found.push("::".to_owned());
                2
            }
            [first, ..] if is_word(first) => {
                let word: String = rest.iter().take_while(|c| is_word(**c)).collect();
                let length = word.chars().count();
                if !first.is_numeric() {
                    found.push(word);
                }
                length
            }
            [first, ..] => {
                if !first.is_whitespace() {
                    found.push(first.to_string());
                }
                1
            }
            [] => 1,
        };
    }
    found
}

/// The length of what ends with `end`, or of everything.
fn length_until(chars: &[char], end: &str) -> usize {
    let end: Vec<char> = end.chars().collect();
    let place = chars.windows(end.len()).position(|window| window == end);
    place.map_or(chars.len(), |place| place + end.len())
}

/// The length of a string literal that begins here, quotes included.
fn string_length(chars: &[char]) -> usize {
    let mut at = 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// The length of a raw string literal, or `None` for a raw identifier.
fn raw_length(chars: &[char]) -> Option<usize> {
    let hashes = chars[1..].iter().take_while(|c| **c == '#').count();
    let opening = hashes + 2;
    (chars.get(opening - 1) == Some(&'"')).then(|| {
        let end = format!("\"{}", "#".repeat(hashes));
        opening + length_until(&chars[opening..], &end)
    })
}

/// The tokens outside of `#[cfg(test)]` items, and the names of the test modules that are files.
fn without_tests(words: &[String]) -> (Vec<String>, Vec<String>) {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut kept, mut tests) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < words.len() {
        if !words[at..].iter().take(MARK.len()).eq(MARK.iter()) {
            kept.push(words[at].clone());
            at += 1;
            continue;
        }
        at += MARK.len();
        let start = at;
        let mut depth = 0;
        while at < words.len() {
            let word = words[at].as_str();
            at += 1;
            match word {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth -= 1,
                _ => {}
            }
            let is_use = words[start..at].iter().take(2).any(|word| word == "use");
            if depth == 0 && (word == ";" || word == "}" && !is_use) {
                break;
            }
        }
        if let [.., keyword, name, end] = &words[start..at]
            && (keyword.as_str(), end.as_str()) == ("mod", ";")
        {
            tests.push(name.clone());
        }
    }
    (kept, tests)
}

/// The leaves of a `use` tree at the front of `words`, each with the name it imports, and the number of words it takes.
fn use_tree(words: &[String], start: &[String]) -> (Vec<(Name, String)>, usize) {
    let mut path = start.to_vec();
    let mut at = 0;
    loop {
        match words[at].as_str() {
            "{" => {
                let mut leaves = Vec::new();
                at += 1;
                while words[at] != "}" {
                    let (more, length) = use_tree(&words[at..], &path);
                    leaves.extend(more);
                    at += length + usize::from(words[at + length] == ",");
                }
                return (leaves, at + 1);
            }
            "*" => return (vec![(path, "*".to_owned())], at + 1),
            "::" => at += 1,
            word => {
                if word != "self" || path.is_empty() {
                    path.push(word.to_owned());
                }
                at += 1;
                if words[at] == "as" {
                    return (vec![(path, words[at + 1].clone())], at + 2);
                }
                if words[at] != "::" {
                    let import = path[path.len() - 1].clone();
                    return (vec![(path, import)], at);
                }
            }
        }
    }
}

fn parse(name: &Name, text: &str) -> Module {
    let (words, tests) = without_tests(&tokens(text));
    let mut module = Module {
        tests,
        ..Module::default()
    };
    let is_name = |word: &String| word.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let (mut at, mut depth) = (0, 0);
    let mut within = name.clone();
    let mut opened = Vec::new();
    let mut places = Vec::new();
    while at < words.len() {
        let before = at
            .checked_sub(1)
            .map_or("", |before| words[before].as_str());
        let after = |steps: usize| words.get(at + steps).map_or("", String::as_str);
        match (words[at].as_str(), after(1), after(2)) {
            ("{", ..) => depth += 1,
            ("}", ..) => {
                depth -= 1;
                if opened.last() == Some(&depth) {
                    opened.pop();
                    within.pop();
                }
            }
            ("pub", "(", "in") => {
                let end = words[at..].iter().position(|word| word == ")");
                at += end.expect("a visibility ends");
            }
            ("path", "=", place) => places.push(place.to_owned()),
            ("mod", child, "{") => {
                opened.push(depth);
                within.push(child.to_owned());
                depth += 1;
                at += 2;
            }
            ("mod", child, ";") => {
                let placed = places.drain(..).map(|place| (child.to_owned(), place));
                module.placed.extend(placed);
                module.children.push(child.to_owned());
                at += 2;
            }
            ("use", ..) if ["", ";", "{", "}", "pub", ")", "]"].contains(&before) => {
                let (leaves, length) = use_tree(&words[at + 1..], &[]);
                module
                    .mentions
                    .extend(leaves.into_iter().map(|(path, import)| Mention {
                        within: within.clone(),
                        path,
                        import: Some(import),
                    }));
                at += length;
            }
            (_, "::", _) if is_name(&words[at]) && before != "::" && before != "." => {
                let mut path = vec![words[at].clone()];
                while words.get(at + 1).is_some_and(|word| word == "::")
                    && words.get(at + 2).is_some_and(is_name)
                {
                    at += 2;
                    path.push(words[at].clone());
                }
                module.mentions.push(Mention {
                    within: within.clone(),
                    path,
                    import: None,
                });
            }
            _ => {}
        }
        at += 1;
    }
    module
}

#[test]
fn modules_form_no_cycles_beyond_parent_and_child() {
    for (crate_name, _) in EDGES {
        let src = root().join(crate_name).join("src");
        let mut paths = Vec::new();
        collect(&src, &mut paths);
        let texts: Vec<(String, String)> = paths
            .iter()
            .map(|path| {
                (
                    path.strip_prefix(&src)
                        .expect("below src")
                        .display()
                        .to_string(),
                    path,
                )
            })
            .filter(|(file, _)| file != "main.rs" && !file.starts_with("bin/"))
            .map(|(file, path)| (file, fs::read_to_string(path).expect("a source")))
            .collect();
        let files: Vec<(&str, &str)> = texts
            .iter()
            .map(|(file, text)| (&**file, &**text))
            .collect();
        let cycles = Graph::of(&files).cycles();
        assert!(
            cycles.is_empty(),
            "{crate_name} has uses on cycles:\n{}",
            cycles.join("\n")
        );
    }
}

/// Checks the uses that lie on cycles in a crate of these files.
fn check(files: &[(&str, &str)], expected: &[&str]) {
    assert_eq!(Graph::of(files).cycles(), expected);
}

#[test]
fn siblings_that_use_each_other_are_a_cycle() {
    check(
        &[
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "use crate::b::{self, B as C}; struct A(C);"),
            ("b.rs", "struct B(u8); fn f() -> super::a::A { panic() }"),
        ],
        &["a -> b (crate::b::B)", "b -> a (super::a::A)"],
    );
}

#[test]
fn a_parent_and_its_own_child_may_use_each_other() {
    check(
        &[
            ("lib.rs", "mod a;"),
            ("a.rs", "mod b; pub use b::B; struct A;"),
            (
                "a/b.rs",
                "use super::A; pub struct B(A, Option<crate::a::A>);",
            ),
        ],
        &[],
    );
}

#[test]
fn a_cycle_through_another_modules_child_is_found() {
    check(
        &[
            ("lib.rs", "mod a; mod c;"),
            ("a.rs", "mod b; pub use b::B;"),
            ("a/b.rs", "pub struct B(crate::c::C);"),
            ("c.rs", "use crate::a::B; pub struct C;"),
        ],
        &[
            "a -> a::b (b::B)",
            "a::b -> c (crate::c::C)",
            "c -> a (crate::a::B)",
        ],
    );
}

#[test]
fn a_name_that_an_ancestor_re_exports_is_followed_to_its_definition() {
    check(
        &[
            ("lib.rs", "mod a; pub use a::{c::C, b::B};"),
            ("a.rs", "pub mod b; pub mod c;"),
            ("a/b.rs", "use crate::C; pub struct B(C);"),
            ("a/c.rs", "pub struct C; fn f() { crate::B::new() }"),
        ],
        &["a::b -> a::c (crate::C)", "a::c -> a::b (crate::B::new)"],
    );
}

#[test]
fn comments_strings_visibilities_tests_and_other_crates_are_no_uses() {
    check(
        &[
            ("lib.rs", "mod a; mod b; #[cfg(test)] mod helpers;"),
            (
                "a.rs",
                "use crate::b::B; use std::fs; const B: &str = r#\"super::b\"#;",
            ),
            (
                "b.rs",
                "// crate::a::A\n/* crate::a::A */ pub struct B<'a>(&'a str, other::a::A);\n\
                 pub(in crate::a) fn f() { (\"crate::a::A\", 'c', '\\'', b\"super::a\", fs::read()) }\n\
                 #[cfg(test)] mod tests { use crate::a::A; }\n#[cfg(test)] use crate::a::{A};",
            ),
            ("helpers.rs", "use crate::a::A;"),
        ],
        &[],
    );
}

#[test]
fn a_module_with_a_path_attribute_is_known_by_its_name() {
    check(
        &[
            ("lib.rs", "mod os;"),
            ("os.rs", "#[path = \"os/linux.rs\"] mod system; mod shared;"),
            ("os/linux.rs", "use super::shared::S; pub struct T(S);"),
            ("os/shared.rs", "pub struct S(super::system::T);"),
        ],
        &[
            "os::shared -> os::system (super::system::T)",
            "os::system -> os::shared (super::shared::S)",
        ],
    );
}
