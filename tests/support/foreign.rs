//! Somebody else's program as a publisher: a child process.

use std::{process::Stdio, time::Duration};

use anyhow::{Context, ensure};
use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
    time::timeout,
};

/// A running program; dropping it kills it.
#[derive(Debug)]
pub struct Foreign {
    child: Child,
    name: String,
}

impl Foreign {
    /// Runs it with these words. `package` is what to install where it is missing.
    pub fn start<'a>(
        program: &str,
        package: &str,
        words: impl IntoIterator<Item = &'a str>,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.args(words);
        Self::run(command, program, package)
    }

    /// The same, of a command that has more to it.
    pub fn run(mut command: Command, name: &str, package: &str) -> anyhow::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let missing = || format!("{name} is needed for this (apt-get install {package})");
        let child = command.spawn().with_context(missing)?;
        Ok(Self { child, name: name.to_owned() })
    }

    /// Vanishes without a word.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Ends when it is asked to, and says goodbye as far as it does so.
    pub async fn finish(mut self) -> anyhow::Result<()> {
        let id = self.child.id().with_context(|| format!("{} still running", self.name))?;
        ensure!(Command::new("kill").args(["-INT", &id.to_string()]).status().await?.success(), "kill");
        let ended = timeout(Duration::from_secs(10), self.child.wait()).await;
        ended.with_context(|| format!("{} does not end", self.name))??;
        Ok(())
    }

    /// Waits until it gives up, and returns what it said.
    pub async fn gives_up(mut self, limit: Duration) -> anyhow::Result<String> {
        let mut said = String::new();
        let goes_on = || format!("{} goes on", self.name);
        if let Some(mut stderr) = self.child.stderr.take() {
            timeout(limit, stderr.read_to_string(&mut said)).await.with_context(goes_on)??;
        }
        let status = timeout(limit, self.child.wait()).await.with_context(goes_on)??;
        ensure!(!status.success(), "{} is content: {said}", self.name);
        Ok(said)
    }
}
