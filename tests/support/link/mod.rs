//! A bad network on one machine: two network namespaces with a TUN device each, and this process as the only way
//! from one to the other.
//!
//! [`Direction`] is the machine that decides what becomes of each packet, in virtual time; [`conditions`] says what
//! can be asked of it; [`namespaces`] makes the ends, and `sys` has the two system calls for that. The program
//! `link-emulator` ties them together.

pub mod conditions;
mod direction;
pub mod namespaces;
mod sys;

pub use self::{
    conditions::{Bursts, Conditions},
    direction::{Counts, Direction},
};
