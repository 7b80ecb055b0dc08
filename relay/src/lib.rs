//! Room of the house; see `ARCHITECTURE.md`.
#[allow(dead_code, reason = "lands before its users")]
mod sys;
