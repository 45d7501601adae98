//! Parse, call, turn the error into an exit code.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let command = mamlx::cli::Cli::parse();
    match mamlx::cli::call(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", mamlx::cli::complaint(&error));
            ExitCode::from(error.exit_code())
        }
    }
}
