//! The output of `perf script` as folded stacks, without generic arguments, thread entry points and the like.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use photofinish_record::{KERNEL_SUFFIX, MOST_FUNCTIONS, MOST_STACKS};

use crate::cleaning;

/// Maximum length of a function's name, in bytes.
const LONGEST_NAME: usize = 120;

/// A function whose name is not known.
const UNKNOWN: &str = "[unknown]";

/// Prefixes of entry points and generic call wrappers.
const CALLERS: [&str; 16] = [
    "__clone3",
    "__libc_start",
    "__rust_try",
    "_start",
    "alloc::boxed::",
    "clone3",
    "core::future::",
    "core::ops::function::",
    "core::panic::",
    "core::pin::",
    "start_thread",
    "std::panic",
    "std::rt::",
    "std::sys::backtrace::",
    "std::sys::thread::",
    "std::thread::",
];

/// Prefixes of kernel functions on the way into every system call.
const ENTRIES: [&str; 4] = [
    "do_syscall_64",
    "entry_SYSCALL_64",
    "el0t_64_sync",
    "x64_sys_call",
];

/// Stacks, each with its number of samples.
#[derive(Default)]
pub struct Fold {
    stacks: BTreeMap<String, u32>,
    /// The functions of the current sample, innermost first.
    sample: Vec<String>,
    in_sample: bool,
    is_user_only: bool,
}

impl Fold {
    /// Takes one line: the head of a sample, one of its functions, or the empty line after it.
    pub fn line(&mut self, line: &str) {
        if line.starts_with('\t') {
            self.in_sample = true;
            if let Some(name) = function(line)
                && self.sample.len() < MOST_FUNCTIONS
                && self.sample.last() != Some(&name)
            {
                self.sample.push(name);
            }
        } else if line.is_empty() {
            self.end_sample();
        } else {
            // The event that `perf` falls back to if it may not sample the kernel.
            self.is_user_only |= line.contains(" cpu-clock:u: ");
        }
    }

    fn end_sample(&mut self) {
        if !self.in_sample {
            return;
        }
        self.in_sample = false;
        self.sample.reverse();
        let stack = match self.sample.is_empty() {
            true => UNKNOWN.to_owned(),
            false => self.sample.join(";"),
        };
        self.sample.clear();
        let samples = self.stacks.entry(stack).or_default();
        *samples = samples.saturating_add(1);
    }

    /// True if the kernel was not sampled.
    pub fn is_user_only(&self) -> bool {
        self.is_user_only
    }

    /// The folded stacks, the most frequent first.
    pub fn stacks(mut self) -> Vec<String> {
        self.end_sample();
        let mut stacks: Vec<(String, u32)> = self.stacks.into_iter().collect();
        stacks.sort_by_key(|(_, samples)| Reverse(*samples));
        let rest = stacks.split_off(stacks.len().min(MOST_STACKS - 1));
        let rest: u32 = rest.into_iter().map(|(_, samples)| samples).sum();
        let rest = (rest > 0).then(|| ("[rare stacks]".to_owned(), rest));
        let stacks = stacks.into_iter().chain(rest);
        stacks
            .map(|(functions, samples)| format!("{functions} {samples}"))
            .collect()
    }
}

/// The function of one line, `ffffffff81000130 tcp_sendmsg`; `None` for an entry point or a wrapper.
fn function(line: &str) -> Option<String> {
    let (address, name) = line.trim().split_once(' ')?;
    let is_kernel = address.len() == 16 && address.starts_with("ffff");
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let name = match (is_kernel, name) {
        (true, UNKNOWN) => format!("[kernel]{KERNEL_SUFFIX}"),
        (true, _) if begins(&ENTRIES) => return None,
        (true, _) => format!("{}{KERNEL_SUFFIX}", name.split('.').next().unwrap_or(name)),
        (false, UNKNOWN) => UNKNOWN.to_owned(),
        (false, _) => path(name),
    };
    let is_caller = name == "main" || CALLERS.iter().any(|caller| name.starts_with(caller));
    let named = !name.is_empty() && !is_caller;
    // A semicolon separates functions.
    named.then(|| cleaning::cut(&cleaning::one_line(&name).replace(';', ":"), LONGEST_NAME))
}

/// The path of a function without its generic arguments, traits and closures:
/// `<a::B<C> as d::E>::f::{{closure}}` is `a::B::f`.
fn path(name: &str) -> String {
    // In C++, whose angle brackets may be its own.
    if name.contains("operator") {
        return name.to_owned();
    }
    let implemented = name.strip_prefix('<').and_then(|rest| {
        let (inner, after) = rest.split_at(closing(rest)?);
        let implementor = outside_generics(inner).split(" as ").next()?.to_owned();
        Some(implementor + &outside_generics(&after[1..]))
    });
    let plain = implemented.unwrap_or_else(|| outside_generics(name));
    let parts = plain.split("::");
    let parts = parts.filter(|part| !part.is_empty() && !part.starts_with('{'));
    parts.collect::<Vec<_>>().join("::")
}

/// The index of the bracket that closes one before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut closed = brackets(text).filter(|(_, before, after)| *before == 0 && *after < 0);
    closed.next().map(|(index, _, _)| index)
}

fn outside_generics(text: &str) -> String {
    let outside = brackets(text).filter(|(_, before, after)| (*before, *after) == (0, 0));
    outside
        .filter_map(|(index, _, _)| text[index..].chars().next())
        .collect()
}

/// The index of each letter of `text`, with the number of open angle brackets before and after it.
fn brackets(text: &str) -> impl Iterator<Item = (usize, i32, i32)> {
    let (mut open, mut last) = (0, ' ');
    text.char_indices().map(move |(index, letter)| {
        let before = open;
        match letter {
            '<' => open += 1,
            // Not the end of an arrow.
            '>' if last != '-' => open -= 1,
            _ => {}
        }
        last = letter;
        (index, before, open)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(script: &str) -> Vec<String> {
        let mut fold = Fold::default();
        script.lines().for_each(|line| fold.line(line));
        fold.stacks()
    }

    #[test]
    fn a_function_is_its_path_alone() {
        let check = |name: &str, expected: &str| assert_eq!(path(name), expected);
        check("_PyEval_EvalFrameDefault", "_PyEval_EvalFrameDefault");
        check("a::b::run::Run::conclude", "a::b::run::Run::conclude");
        check("a::b::{{closure}}::{{closure}}", "a::b");
        check("a::Vec<T,A>::push<U>", "a::Vec::push");
        check("a::f::<b::C<D>>", "a::f");
        check("<a::B<C> as d::E<F>>::f::{{closure}}", "a::B::f");
        check("<a::B>::f", "a::B::f");
        check("<fn() -> a::B<C> as d::E>::f", "fn() -> a::B::f");
        check("std::operator<< <char>", "std::operator<< <char>");
    }

    #[test]
    fn samples_of_one_stack_are_one_line() {
        let script = "w cpu-clock: \n\t    55d0 std::panicking::try\n\t    55d1 main\n\n\
                      w cpu-clock: \n\tffffffff81000130 tcp_sendmsg.isra.0\n\tffffffff81000131 do_syscall_64\n\
                      \t    55d2 <a::B<C> as d::E>::f\n\t    55d1 main\n\n\
                      w cpu-clock: \n\tffffffff81000130 tcp_sendmsg\n\t    55d2 a::B::f::{{closure}}\n\t    55d3 a::B::f\n\n\
                      w cpu-clock: \n\tffffffff81000130 [unknown]\n\t 7f1 [unknown]\n\t 7f2 [unknown]\n\t 1 f\n";
        let expected = [
            "a::B::f;tcp_sendmsg_[k] 2",
            "[unknown] 1",
            "f;[unknown];[kernel]_[k] 1",
        ];
        assert_eq!(folded(script), expected);
        assert_eq!(folded(""), [""; 0]);
    }

    #[test]
    fn rare_stacks_beyond_the_maximum_are_one_line() {
        let sample = |name: usize| format!("w \n\t 1 f{name}\n\n");
        let script: String = (0..MOST_STACKS + 50).map(sample).collect();
        let stacks = folded(&script);
        assert_eq!(stacks.len(), MOST_STACKS);
        assert_eq!(stacks.last().map(String::as_str), Some("[rare stacks] 51"));
    }

    #[test]
    fn samples_without_the_kernel_are_recognised() {
        let mut fold = Fold::default();
        fold.line("w cpu-clock: ");
        assert!(!fold.is_user_only());
        fold.line("w cpu-clock:u: ");
        assert!(fold.is_user_only());
    }
}
