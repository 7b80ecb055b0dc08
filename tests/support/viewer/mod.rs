//! Viewers, and what they saw.

mod report;
pub mod whep;
pub mod ws;

pub use report::{TrackReport, ViewerReport, Watch};
