//! OBS Studio as a foreign publisher, with a screen that nobody sees and a test picture and a tone as its scene.
//!
//! It is steered as far as it lets itself be without a mouse: `--startstreaming` begins, a script ends.

use std::{fs, path::Path, process::Stdio, time::Duration};

use anyhow::Context;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::{foreign::Foreign, scratch::Scratch};

/// What a streamer chose in Settings, Output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Everything as OBS comes: x264 at 2500 kbit/s with B-frames and 250 pictures between keyframes.
    AsItComes,
    /// As the documents say.
    AsDocumented,
}

/// A screen; dropping it ends it.
#[derive(Debug)]
pub struct Screen {
    _child: Child,
    name: String,
}

impl Screen {
    /// Starts one.
    pub async fn start() -> anyhow::Result<Self> {
        let mut child = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "640x480x24", "-nolisten", "tcp"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("Xvfb is needed for this (apt-get install xvfb)")?;
        let stdout = child.stdout.take().context("piped")?;
        let mut number = String::new();
        let read = timeout(START, BufReader::new(stdout).read_line(&mut number)).await;
        read.context("Xvfb does not start")??;
        Ok(Self { _child: child, name: format!(":{}", number.trim()) })
    }
}

/// A running OBS; dropping it kills it.
#[derive(Debug)]
pub struct Obs {
    program: Foreign,
    home: Scratch,
}

impl Obs {
    /// Streams to a server and with a key as typed into Settings, Stream, Custom.
    pub fn start(screen: &Screen, server: &str, key: &str, output: Output) -> anyhow::Result<Self> {
        let home = Scratch::new()?;
        write_settings(home.path(), server, key, output)?;
        let mut command = Command::new("obs");
        command
            .args(["--startstreaming", "--profile", "test", "--collection", "test", "--multi"])
            .env("DISPLAY", &screen.name)
            .env("LIBGL_ALWAYS_SOFTWARE", "1")
            .env("QT_QPA_PLATFORM", "xcb");
        for folder in ["HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"] {
            command.env(folder, home.path());
        }
        let program = Foreign::run(command, "obs", "obs-studio xvfb")?;
        Ok(Self { program, home })
    }

    /// Presses "Stop Streaming".
    pub fn stop(&self) -> anyhow::Result<()> {
        Ok(fs::write(self.home.path().join("stop"), [])?)
    }

    /// Vanishes without a word.
    pub async fn kill(self) -> anyhow::Result<()> {
        self.program.kill().await
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        let logs = fs::read_dir(self.home.path().join("obs-studio/logs"));
        let log = logs.ok().and_then(|mut logs| logs.next()?.ok());
        log.and_then(|log| fs::read_to_string(log.path()).ok()).unwrap_or_default()
    }
}

fn write_settings(home: &Path, server: &str, key: &str, output: Output) -> anyhow::Result<()> {
    let folder = home.join("obs-studio");
    let (profile, scenes) = (folder.join("basic/profiles/test"), folder.join("basic/scenes"));
    fs::create_dir_all(&profile)?;
    fs::create_dir_all(&scenes)?;
    // No wizard and no window with news, which both wait for somebody.
    fs::write(
        folder.join("global.ini"),
        "[General]\nFirstRun=true\nLastVersion=4294967295\nInfoIncrement=1000\nEnableAutoUpdates=false\n\
         [Basic]\nProfile=test\nProfileDir=test\nSceneCollection=test\nSceneCollectionFile=test\n\
         [OBSWebSocket]\nFirstLoad=false\nServerEnabled=false\n",
    )?;
    let mode = if output == Output::AsItComes { "Simple" } else { "Advanced" };
    fs::write(
        profile.join("basic.ini"),
        format!(
            "[General]\nName=test\n[Output]\nMode={mode}\n[AdvOut]\nEncoder=obs_x264\nTrackIndex=1\n[Video]\nBaseCX=640\n\
             BaseCY=360\nOutputCX=640\nOutputCY=360\nFPSCommon=30\n[Audio]\nSampleRate=48000\n"
        ),
    )?;
    write_json(
        &profile.join("service.json"),
        &json!({ "type": "rtmp_custom", "settings": { "server": server, "key": key, "use_auth": false } }),
    )?;
    if output == Output::AsDocumented {
        write_json(
            &profile.join("streamEncoder.json"),
            &json!({
                "rate_control": "CBR", "bitrate": 2500, "keyint_sec": 2, "preset": "veryfast", "profile": "main",
                "tune": "zerolatency",
            }),
        )?;
    }
    let script = home.join("stop.lua");
    fs::write(&script, SCRIPT)?;
    let pattern = json!({
        "id": "ffmpeg_source", "name": "pattern", "mixers": 255, "volume": 1.0,
        "settings": {
            "is_local_file": false, "input_format": "lavfi",
            "input": "testsrc2=size=640x360:rate=30[out0];sine=frequency=440:sample_rate=48000[out1]",
        },
    });
    let scene = json!({
        "id": "scene", "name": "Scene",
        "settings": { "id_counter": 1, "items": [{ "id": 1, "name": "pattern", "visible": true }] },
    });
    write_json(
        &scenes.join("test.json"),
        &json!({
            "name": "test", "current_scene": "Scene", "current_program_scene": "Scene", "scene_order": [{ "name": "Scene" }],
            "sources": [pattern, scene], "modules": { "scripts-tool": [{ "path": script, "settings": {} }] },
        }),
    )
}

fn write_json(path: &Path, value: &Value) -> anyhow::Result<()> {
    Ok(fs::write(path, value.to_string())?)
}

/// Ends the stream when somebody puts a file named "stop" beside it.
const SCRIPT: &str = r#"
obs = obslua
local function look()
  local file = io.open(script_path() .. "stop")
  if file then
    file:close()
    obs.remove_current_callback()
    obs.obs_frontend_streaming_stop()
  end
end
function script_load(settings)
  obs.timer_add(look, 100)
end
"#;
const START: Duration = Duration::from_secs(15);
