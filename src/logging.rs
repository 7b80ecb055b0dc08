//! Where log lines go.

use std::fs::File;
use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

/// Starts logging by `filter` (`RUST_LOG`, when set, goes first) to `file` or to standard error.
///
/// # Errors
/// A filter that cannot be read, a file that cannot be written.
pub(crate) fn start(filter: &str, file: Option<&Path>) -> Result<()> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(said) if !said.is_empty() => EnvFilter::try_new(said).context("RUST_LOG")?,
        _ => EnvFilter::try_new(filter).with_context(|| format!("log = '{filter}'"))?,
    };
    // Tells of single packets in its warnings already.
    let filter = filter.add_directive("srt_protocol=off".parse()?);
    let (writer, colour) = match file {
        Some(path) => {
            let file = File::create(path)
                .with_context(|| format!("log_file: {} cannot be written", path.display()))?;
            (BoxMakeWriter::new(Arc::new(file)), false)
        }
        None => (BoxMakeWriter::new(std::io::stderr), std::io::stderr().is_terminal()),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(colour)
        .with_target(true)
        .init();
    Ok(())
}
