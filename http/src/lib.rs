//! What WHIP, WHEP, the allocation API and the streamer's desk have in common as HTTP resources. It knows nothing of what
//! is asked for.

pub mod body;
pub mod cors;
pub mod headers;
mod refusal;

pub use refusal::Refusal;
