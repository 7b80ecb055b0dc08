//! What every door needs whose media comes over a network that loses packets: order and requests ([`reorder`]), clocks
//! ([`sync`]), and figures ([`health`]). All of it is sans-IO.

pub(crate) mod health;
pub(crate) mod reorder;
pub(crate) mod sync;

pub use health::TrackHealth;
