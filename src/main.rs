//! `heliograph`: the program. It reads settings, builds the parts, joins them, and waits for the end.

mod cli;
mod demo;
mod doors;
mod key;
mod load;
mod logging;
mod metrics;
mod orphans;
mod publish;
#[cfg(target_os = "linux")]
mod repeats;
mod serve;
mod settings;
mod studio;
mod warnings;
mod web_app;
mod whip;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the last word of a program that cannot go on")]
            {
                eprintln!("heliograph: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}
