//! Runs `heliograph load` against a server of a scenario.

use std::process::Stdio;

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::server::{Server, program};

/// Runs it with these arguments besides the server's addresses, and returns its JSON object.
pub async fn load(server: &Server, arguments: &[&str]) -> anyhow::Result<Value> {
    let output = Command::new(program()?)
        .args(["load", &server.url("/"), "--control", &server.control_url("/")])
        .args(["--server-pid", &server.pid().to_string()])
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .context("cannot run heliograph load")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "heliograph load: {}\n{errors}", output.status);
    serde_json::from_slice(&output.stdout).with_context(|| format!("one JSON object\n{errors}"))
}
