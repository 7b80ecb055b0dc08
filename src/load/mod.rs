//! `heliograph load`: the load generator on the command line.

mod args;

use std::io::{IsTerminal as _, Write as _, stderr, stdout};

use anyhow::{Context as _, Result};
use heliograph_load::{Progress, Told};
use tokio::signal::unix::{SignalKind, signal};

pub(crate) use self::args::LoadArgs;

/// Runs the load test: progress on standard error, one JSON object on standard output.
///
/// # Errors
/// In words for the person who typed the command: flags, and whatever made the run void.
pub(crate) fn run(args: &LoadArgs) -> Result<()> {
    let settings = args.settings()?;
    // One thread signals; the viewers' own threads do the rest.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let outcome = runtime.block_on(async {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let stop = async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        let mut progress = Progress::new(stderr(), stderr().is_terminal());
        let outcome = heliograph_load::run(settings, stop, |told| {
            // Nobody looks any more when it cannot be written; the figures still count.
            let _ = match told {
                Told::Sample(sample) => progress.show(sample),
                Told::Say(text) => progress.say(text),
            };
        })
        .await;
        let _ = progress.close();
        anyhow::Ok(outcome?)
    })?;
    for warning in &outcome.report.warnings {
        let _ = writeln!(stderr(), "warning: {warning}");
    }
    if let Some(file) = &args.html {
        std::fs::write(file, heliograph_load::page(&outcome))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    let mut out = stdout().lock();
    serde_json::to_writer_pretty(&mut out, &outcome.report).context("standard output")?;
    writeln!(out).context("standard output")?;
    Ok(())
}
