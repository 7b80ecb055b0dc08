//! A load generator for Heliograph: thousands of viewers in one process, each with a real handshake, a publisher whose
//! packets carry stamps, and figures about what arrived, when, and what it cost.
//!
//! The viewers stand on `str0m`, another implementation than the server's, so that both sides cannot share a mistake.

mod crowd;
mod error;
mod histogram;
mod html;
mod meter;
mod progress;
mod publish;
mod ramp;
mod report;
mod run;
mod settings;
mod signal;
mod stamp;
mod summary;
mod sys;
mod timeline;
mod viewer;
mod watched;
mod worker;

/// What the generator's own streams look like, for who sends the like without a server.
pub mod stream {
    pub use crate::publish::{FULL, PICTURE, SOUND, SOUND_TIME, Shape};
}

pub use error::LoadError;
pub use histogram::{Histogram, Summary};
pub use html::page;
pub use progress::{Progress, Sample};
pub use report::Report;
pub use run::{Outcome, Told, run};
pub use settings::{LoadSettings, MeterSettings, PublishSettings, Targets, TransportMix};
