//! The program with the workloads that ship. All of it is in the library, which programs of others use as well.

use std::process::ExitCode;

fn main() -> ExitCode {
    photofinish::run_with(Vec::new())
}
