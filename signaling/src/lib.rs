//! Room of the house; see `ARCHITECTURE.md`.
