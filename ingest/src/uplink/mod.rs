//! What every door needs whose media comes over a network that loses packets: order and requests ([`reorder`]), clocks
//! ([`sync`], [`capture`]), and figures ([`health`]). All of it is sans-IO.

pub(crate) mod capture;
pub(crate) mod health;
pub(crate) mod reorder;
pub(crate) mod sync;

pub(crate) use health::Jitter;
pub use health::TrackHealth;
