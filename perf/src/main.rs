//! The laboratory's program, see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    perf::main()
}
