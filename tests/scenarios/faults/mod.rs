//! One regression test for each known fault of the programs that Heliograph replaces, named after it.
//!
//! [`letters`] are the bugs a to m of Project ITG's core; [`numbers`] are the faults 1 to 20 of ITG and Project
//! Lightspeed as users met them. Where a letter and a number mean the same fault, the test bears both names.
//! Not tested here, as they concern packaging only: 3 (compose file), 4 (container images), 20 (building the page
//! with a current Node, which `make test` does).

mod letters;
mod numbers;
