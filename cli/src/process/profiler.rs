//! `perf` of Linux, which samples the stacks of a worker: on whose behalf a CPU was busy, kernel included.
//!
//! It samples by a clock, which virtual machines have as well, and unwinds by DWARF, since few programs keep frame
//! pointers. The samples of a stack are folded into one line of the record, without what every stack has in common.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use photofinish_record::{MOST_FUNCTIONS, MOST_STACKS};

use crate::cleaning;
use crate::exit::{Failure, OrFail as _};
use crate::interrupt::Interrupt;
use crate::process::{LineProcess, this_program};

/// Samples per second of CPU time: prime, so that it is in step with nothing.
pub const SAMPLES_HZ: u32 = 499;

/// Bytes of each stack that are kept for unwinding; functions further out are lost.
const STACK: &str = "dwarf,16384";

/// Time within which `perf` must have begun.
const BEGINNING: Duration = Duration::from_secs(10);

/// Time within which `perf` must end after its worker.
const ENDING: Duration = Duration::from_secs(30);

/// Pause between two looks at the file of `perf`.
const POLL: Duration = Duration::from_millis(2);

/// Maximum length of a function's name, in bytes.
const LONGEST_NAME: usize = 120;

/// The event that `perf` falls back to if it may not sample the kernel.
const USER_ONLY: &str = " cpu-clock:u: ";

/// Functions that call what they are given, whatever it is.
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

/// The kernel's functions between a system call's instruction and its own function.
const ENTRIES: [&str; 4] = [
    "do_syscall_64",
    "entry_SYSCALL_64",
    "el0t_64_sync",
    "x64_sys_call",
];

/// `perf`, found and allowed to sample.
pub struct Profiler(());

/// A worker that is being sampled.
pub struct Sampling {
    perf: LineProcess,
    data: PathBuf,
}

impl Profiler {
    /// Checks that `perf` is installed and may sample, and that this program has names for its functions.
    pub fn find() -> Result<Self, Failure> {
        let probed = perf("record")
            .args(["--event=cpu-clock", "--output=/dev/null", "true"])
            .stdin(Stdio::null())
            .output();
        match probed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Failure::could_not_run("--profile needs `perf`, which is not installed")
                    .hint("install it with `apt install linux-perf` (Debian), `apt install linux-tools-generic` (Ubuntu) or `dnf install perf`"));
            }
            Err(error) => {
                return Err(Failure::could_not_run("`perf` cannot be started").caused_by(error));
            }
            Ok(probed) if !probed.status.success() => {
                let said = String::from_utf8_lossy(&probed.stderr);
                let first = said.lines().find(|line| !line.trim().is_empty());
                let first = cleaning::cut(first.unwrap_or_default().trim(), 200);
                return Err(Failure::could_not_run(format!("`perf` cannot sample here: {first}"))
                    .hint("as root, `sysctl kernel.perf_event_paranoid=2` allows it; containers also need the capability PERFMON"));
            }
            Ok(_) => {}
        }
        if !has_names(&this_program()?).unwrap_or(true) {
            return Err(Failure::could_not_run(
                "this program has no names of functions, so that a profile could not tell them apart",
            )
            .hint("build one that has: `cargo run --profile profiling -- run … --profile`"));
        }
        Ok(Self(()))
    }

    /// Begins to sample `worker`, with files in `directory`.
    pub fn sample(
        &self,
        worker: u32,
        directory: &Path,
        interrupt: &Interrupt,
    ) -> Result<Sampling, Failure> {
        let data = directory.join("perf.data");
        // An old file would look like one that has been begun.
        let _ = fs::remove_file(&data);
        let mut command = perf("record");
        command
            .args(["--event=cpu-clock", "--call-graph", STACK])
            .arg(format!("--freq={SAMPLES_HZ}"))
            .arg(format!("--pid={worker}"))
            .arg("--output")
            .arg(&data);
        let mut perf = LineProcess::spawn(command, interrupt).or_fail("cannot start `perf`")?;
        perf.hang_up();
        let deadline = Instant::now() + BEGINNING;
        // It writes its first bytes once it has its events.
        while !fs::metadata(&data).is_ok_and(|data| data.len() > 0) {
            if perf.has_ended() || Instant::now() > deadline {
                let how = perf.how_it_ended();
                return Err(Failure::could_not_run(format!("`perf` {how}")));
            }
            thread::sleep(POLL);
        }
        Ok(Sampling { perf, data })
    }
}

impl Sampling {
    /// The folded stacks of the worker, which has ended, and whether the kernel's functions are missing.
    pub fn stacks(mut self) -> Result<(Vec<String>, bool), Failure> {
        if !self.perf.end_within(ENDING) {
            return Err(Failure::could_not_run("`perf` did not end with its worker"));
        }
        let script = perf("script")
            .args([
                "--force",
                "--no-inline",
                "--fields=comm,event,ip,sym",
                "--input",
            ])
            .arg(&self.data)
            .stdin(Stdio::null())
            .output();
        let _ = fs::remove_file(&self.data);
        let script = script.or_fail("cannot start `perf`")?;
        let script = String::from_utf8_lossy(&script.stdout);
        Ok((folded(&script), script.contains(USER_ONLY)))
    }
}

fn perf(command: &str) -> Command {
    let mut perf = Command::new("perf");
    perf.args([command]).env("LC_ALL", "C");
    perf
}

/// True if an executable, in ELF of 64 bits, has a table of symbols.
fn has_names(program: &Path) -> io::Result<bool> {
    const SECTION: usize = 64;
    const SYMBOLS: u32 = 2;
    let mut file = File::open(program)?;
    let mut header = [0; 64];
    file.read_exact(&mut header)?;
    let sections = u64::from_ne_bytes(header[40..48].try_into().expect("eight"));
    let count = u16::from_ne_bytes(header[60..62].try_into().expect("two"));
    let mut table = vec![0; SECTION * usize::from(count)];
    file.seek(SeekFrom::Start(sections))?;
    file.read_exact(&mut table)?;
    let types = table.chunks(SECTION).map(|section| &section[4..8]);
    Ok(types.into_iter().any(|kind| kind == SYMBOLS.to_ne_bytes()))
}

/// The stacks in the output of `perf script`, the most frequent first, each with its number of samples.
fn folded(script: &str) -> Vec<String> {
    let mut stacks: BTreeMap<String, u64> = BTreeMap::new();
    for sample in script.split("\n\n").filter(|sample| sample.contains('\t')) {
        let innermost_first = sample.lines().filter(|line| line.starts_with('\t'));
        let mut functions: Vec<String> = innermost_first.filter_map(function).collect();
        functions.truncate(MOST_FUNCTIONS);
        functions.reverse();
        functions.dedup();
        if functions.is_empty() {
            functions.push("[unknown]".to_owned());
        }
        *stacks.entry(functions.join(";")).or_default() += 1;
    }
    let mut stacks: Vec<(String, u64)> = stacks.into_iter().collect();
    stacks.sort_by_key(|(_, samples)| std::cmp::Reverse(*samples));
    let rest = stacks.split_off(stacks.len().min(MOST_STACKS - 1));
    let rest: u64 = rest.into_iter().map(|(_, samples)| samples).sum();
    let rest = (rest > 0).then(|| ("[rare stacks]".to_owned(), rest));
    stacks
        .into_iter()
        .chain(rest)
        .map(|(functions, samples)| format!("{functions} {samples}"))
        .collect()
}

/// The function of one line, `ffffffff81000130 tcp_sendmsg`; `None` if it only calls what matters, or has no name.
fn function(line: &str) -> Option<String> {
    let (address, name) = line.trim().split_once(' ')?;
    let is_kernel = address.len() == 16 && address.starts_with("ffff");
    let is_entry = || ENTRIES.iter().any(|entry| name.starts_with(entry));
    if name == "[unknown]" || (is_kernel && is_entry()) {
        return None;
    }
    let name = if is_kernel {
        format!("{}_[k]", name.split('.').next().unwrap_or(name))
    } else {
        path(name)
    };
    let is_caller = |caller: &&str| name.starts_with(caller);
    let named = !name.is_empty() && name != "main" && !CALLERS.iter().any(is_caller);
    // A semicolon separates functions.
    named.then(|| cleaning::cut(&cleaning::one_line(&name).replace(';', ":"), LONGEST_NAME))
}

/// The path of a function without its generic arguments, traits and closures:
/// `<a::B<C> as d::E>::f::{{closure}}` is `a::B::f`.
fn path(name: &str) -> String {
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
    depths(text)
        .find(|(_, _, depth)| *depth < 0)
        .map(|(index, _, _)| index)
}

fn outside_generics(text: &str) -> String {
    let outside = depths(text).filter(|(_, letter, depth)| *depth == 0 && *letter != '>');
    outside.map(|(_, letter, _)| letter).collect()
}

/// The letters of `text` with their indices, and how many angle brackets are open after each.
fn depths(text: &str) -> impl Iterator<Item = (usize, char, i32)> {
    let (mut depth, mut last) = (0, ' ');
    text.char_indices().map(move |(index, letter)| {
        match letter {
            '<' => depth += 1,
            // Not the end of an arrow.
            '>' if last != '-' => depth -= 1,
            _ => {}
        }
        last = letter;
        (index, letter, depth)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_its_path_alone() {
        let check = |name: &str, expected: &str| assert_eq!(path(name), expected);
        check("_PyEval_EvalFrameDefault", "_PyEval_EvalFrameDefault");
        check(
            "photofinish::commands::run::Run::conclude",
            "photofinish::commands::run::Run::conclude",
        );
        check("a::b::{{closure}}::{{closure}}", "a::b");
        check("a::Vec<T,A>::push<U>", "a::Vec::push");
        check("a::f::<b::C<D>>", "a::f");
        check("<a::B<C> as d::E<F>>::f::{{closure}}", "a::B::f");
        check("<a::B>::f", "a::B::f");
        check("<fn() -> a::B<C> as d::E>::f", "fn() - a::B::f");
    }

    #[test]
    fn samples_of_one_stack_are_one_line() {
        let script = "photofinish \n\t    55d0 std::panicking::try\n\t    55d1 main\n\t    7f00 [unknown]\n\n\
                      photofinish \n\tffffffff81000130 tcp_sendmsg.isra.0\n\tffffffff81000131 do_syscall_64\n\
                      \t    55d2 <a::B<C> as d::E>::f\n\t    55d1 main\n\n\
                      photofinish \n\tffffffff81000130 tcp_sendmsg\n\t    55d2 a::B::f::{{closure}}\n\t    55d3 a::B::f\n\n";
        assert_eq!(folded(script), ["a::B::f;tcp_sendmsg_[k] 2", "[unknown] 1"]);
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
    fn this_test_has_names_and_an_installed_program_has_none() {
        let program = std::env::current_exe().expect("a path");
        assert!(has_names(&program).expect("read"));
        assert!(!has_names(Path::new("/bin/sh")).expect("read"));
    }
}
