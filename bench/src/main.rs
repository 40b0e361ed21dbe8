//! The program that compares Photofinish with other load generators. All of it is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    photofinish_bench::main()
}
