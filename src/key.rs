//! `heliograph key new CHANNEL`.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::{Context, Result};
use heliograph_ingest::auth::KeysFile;

use crate::settings::Settings;

/// Adds a channel to the keys file (made when missing, mode 0600) and prints the stream key that OBS wants.
///
/// # Errors
/// A name that is taken or malformed, a file that cannot be written or that others can read.
pub(crate) fn new(settings: &Settings, channel: &str) -> Result<()> {
    let key = add(settings, channel)?;
    #[expect(clippy::print_stdout, reason = "this command's result")]
    {
        println!("{key}");
    }
    Ok(())
}

/// Adds a channel; its stream key is the answer.
pub(crate) fn add(settings: &Settings, channel: &str) -> Result<String> {
    make_folder(&settings.keys)?;
    Ok(KeysFile::add_channel(&settings.keys, channel)?.stream_key())
}

/// Makes an empty keys file where there is none, so that a first start needs no preparation.
pub(crate) fn ensure_file(path: &Path) -> Result<()> {
    make_folder(path)?;
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_made) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error).with_context(|| format!("keys: {} cannot be made", path.display())),
    }
}

fn make_folder(file: &Path) -> Result<()> {
    let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("keys: the folder {} cannot be made", folder.display()))
}
