//! The `tapline` program. All of it is in the library `tapline_cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tapline_cli::main()
}
