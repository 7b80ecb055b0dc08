//! Counting what peers hold open, in all and per address, so that nobody can take everything.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use crate::client::neighbourhood;

/// A counter with two bounds. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Admission(Arc<Mutex<Counts>>);

#[derive(Debug)]
struct Counts {
    total: u32,
    max_total: u32,
    max_per_address: u32,
    by_address: HashMap<IpAddr, u32>,
}

/// Which bound was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Total,
    Address,
}

impl Admission {
    pub(crate) fn new(max_total: u32, max_per_address: u32) -> Self {
        Self(Arc::new(Mutex::new(Counts {
            total: 0,
            max_total,
            max_per_address,
            by_address: HashMap::new(),
        })))
    }

    /// One more, for as long as the guard lives.
    pub(crate) fn enter(&self, ip: IpAddr) -> Result<Admitted, Refused> {
        let address = neighbourhood(ip);
        self.change(|counts| {
            let held = counts.by_address.get(&address).copied().unwrap_or(0);
            if counts.total >= counts.max_total {
                return Err(Refused::Total);
            }
            if held >= counts.max_per_address {
                return Err(Refused::Address);
            }
            counts.total += 1;
            counts.by_address.insert(address, held + 1);
            Ok(())
        })?;
        Ok(Admitted { admission: self.clone(), address, counted_by_address: true })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Counts) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn leave_address(&self, address: IpAddr) {
        self.change(|counts| {
            if let Some(held) = counts.by_address.get_mut(&address) {
                *held -= 1;
                if *held == 0 {
                    counts.by_address.remove(&address);
                }
            }
        });
    }
}

/// One place taken; given back when dropped.
#[derive(Debug)]
pub(crate) struct Admitted {
    admission: Admission,
    address: IpAddr,
    counted_by_address: bool,
}

impl Admitted {
    /// Stops counting against the address (the viewer watches now) and goes on counting in all.
    pub(crate) fn settle(&mut self) {
        if std::mem::take(&mut self.counted_by_address) {
            self.admission.leave_address(self.address);
        }
    }

    /// Counts against the address again, past the bound if need be: whoever watched may wait.
    pub(crate) fn unsettle(&mut self) {
        if !std::mem::replace(&mut self.counted_by_address, true) {
            self.admission.change(|counts| *counts.by_address.entry(self.address).or_insert(0) += 1);
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.settle();
        self.admission.change(|counts| counts.total -= 1);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn both_bounds_hold_and_places_come_back() {
        let admission = Admission::new(3, 2);
        let first = admission.enter(HERE).unwrap();
        let _second = admission.enter(HERE).unwrap();
        assert_eq!(admission.enter(HERE).unwrap_err(), Refused::Address);
        let _third = admission.enter(THERE).unwrap();
        assert_eq!(admission.enter(THERE).unwrap_err(), Refused::Total);
        drop(first);
        admission.enter(HERE).unwrap();
    }

    #[test]
    fn whoever_settled_counts_in_all_only() {
        let admission = Admission::new(2, 1);
        let mut first = admission.enter(HERE).unwrap();
        first.settle();
        first.settle();
        let second = admission.enter(HERE).unwrap();
        assert_eq!(admission.enter(HERE).unwrap_err(), Refused::Total);
        first.unsettle();
        drop((first, second));
        let counts = admission.0.lock().unwrap();
        assert_eq!((counts.total, counts.by_address.len()), (0, 0));
    }
}
