//! Pictures with B-frames are encoded anew without them, by ffmpeg as a child process.
//!
//! Pictures go there and come back as FLV on pipes: of the containers that both ends speak without a library it is the
//! one that carries times and lets no picture wait for the next one. Times come back to the millisecond and are looked up,
//! so that each picture keeps its own exactly. A `Stage` stands in each session that may need it; [`Reencoders`] is what
//! all sessions share.

mod child;
mod encoder;
mod flv;
mod reencoder;
mod stage;
mod watch;

use std::sync::Arc;

use tokio::{
    process::Command,
    sync::{OnceCell, OwnedSemaphorePermit, Semaphore},
};

use encoder::Encoder;

pub(crate) use reencoder::Encoded;
pub(crate) use stage::{Stage, StageEvent};

/// All re-encoders of this program: how many there may be, and what they run.
#[derive(Debug)]
pub struct Reencoders {
    limit: u32,
    places: Arc<Semaphore>,
    program: String,
    prepare: fn(&mut Command),
    encoder: OnceCell<Result<Encoder, Failure>>,
}

/// Why pictures are not encoded anew.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// As many run as may.
    #[error("{0} streams are being re-encoded already, which is the limit (reencode_max)")]
    Full(u32),
    /// There is no ffmpeg.
    #[error("ffmpeg is not installed (Debian and Ubuntu: apt-get install ffmpeg)")]
    NotInstalled,
    /// The ffmpeg that there is cannot make H.264.
    #[error("ffmpeg has no H.264 encoder that works here")]
    NoEncoder,
    /// The system starts no child.
    #[error("ffmpeg cannot be started: {0}")]
    NotStarted(String),
    /// With its own last words.
    #[error("ffmpeg ended: {0}")]
    Ended(String),
    /// There are several sizes of it.
    #[error("a picture that comes in several video tracks is not re-encoded")]
    Layers,
    /// It takes pictures and gives none back.
    #[error("ffmpeg hangs")]
    Stuck,
}

impl Reencoders {
    /// At most `limit` streams at a time; `prepare` is done to each child before it is started.
    #[must_use]
    pub fn new(limit: u32, prepare: fn(&mut Command)) -> Arc<Self> {
        Self::of("ffmpeg", limit, prepare)
    }

    fn of(program: &str, limit: u32, prepare: fn(&mut Command)) -> Arc<Self> {
        Arc::new(Self {
            limit,
            places: Arc::new(Semaphore::new(limit as usize)),
            program: program.to_owned(),
            prepare,
            encoder: OnceCell::new(),
        })
    }

    /// Finds out in the background which encoder works, and says so in the log. Needs a tokio runtime. Without it, the first
    /// stream that needs one waits for that.
    pub fn look_for_encoder(self: &Arc<Self>) {
        let this = Arc::clone(self);
        tokio::spawn(async move { this.encoder().await });
    }

    async fn encoder(&self) -> Result<Encoder, Failure> {
        self.encoder.get_or_init(|| encoder::find(self)).await.clone()
    }

    fn place(&self) -> Result<OwnedSemaphorePermit, Failure> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| Failure::Full(self.limit))
    }

    /// A child that ends with its owner.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["-nostdin", "-hide_banner", "-loglevel", "error"]).kill_on_drop(true);
        (self.prepare)(&mut command);
        command
    }
}
