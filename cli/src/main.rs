//! The program with the built-in workloads. All of it is in the library, which other programs use as well.

use std::process::ExitCode;

fn main() -> ExitCode {
    photofinish::run_with(Vec::new())
}
