//! How many strangers one address may send at once, and how long wrong keys wait.
//!
//! Everything here goes by address, never by channel: otherwise anybody could lock a streamer out.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    time::{Duration, Instant},
};

/// Counts connections that have not proven a key, and wrong keys.
#[derive(Debug)]
pub(super) struct Doorkeeper {
    per_address: usize,
    total: usize,
    strangers: HashMap<AddressGroup, usize>,
    all_strangers: usize,
    failures: HashMap<AddressGroup, Failures>,
}

/// An IPv4 address, or the /64 that one customer of an IPv6 provider has at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct AddressGroup(IpAddr);

impl From<IpAddr> for AddressGroup {
    fn from(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V4(ip) => ip.into(),
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
        })
    }
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Doorkeeper {
    pub(super) fn new(per_address: usize, total: usize) -> Self {
        Self { per_address, total, strangers: HashMap::new(), all_strangers: 0, failures: HashMap::new() }
    }

    /// Lets a connection in; false when its address, or everybody together, has too many.
    pub(super) fn enter(&mut self, group: AddressGroup) -> bool {
        let count = self.strangers.get(&group).copied().unwrap_or(0);
        if count >= self.per_address || self.all_strangers >= self.total {
            return false;
        }
        self.strangers.insert(group, count + 1);
        self.all_strangers += 1;
        true
    }

    /// A connection that was let in is gone, or no stranger any more.
    pub(super) fn leave(&mut self, group: AddressGroup) {
        if let Some(count) = self.strangers.get_mut(&group) {
            *count -= 1;
            self.all_strangers -= 1;
            if *count == 0 {
                self.strangers.remove(&group);
            }
        }
    }

    /// A wrong key: how long to wait before saying so. The connection counts as a stranger meanwhile, so an address
    /// can try only so many keys in a time.
    pub(super) fn wrong_key(&mut self, now: Instant, group: AddressGroup) -> Duration {
        if self.failures.len() >= MAX_REMEMBERED {
            self.failures.retain(|_, failures| now.saturating_duration_since(failures.last) < FORGET_AFTER);
            // Still full: whoever failed longest ago is forgotten.
            if self.failures.len() >= MAX_REMEMBERED
                && let Some(oldest) = self.failures.iter().min_by_key(|(_, failures)| failures.last)
            {
                let oldest = *oldest.0;
                self.failures.remove(&oldest);
            }
        }
        let failures = self.failures.entry(group).or_insert(Failures { count: 0, last: now });
        if now.saturating_duration_since(failures.last) >= FORGET_AFTER {
            failures.count = 0;
        }
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
        (FIRST_WAIT * 2_u32.saturating_pow(failures.count.min(16) - 1)).min(LONGEST_WAIT)
    }
}

/// One mistyped key should not be noticed.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Together with the authoriser's 3 s this must stay under the 5 s after which encoders give up.
const LONGEST_WAIT: Duration = Duration::from_millis(1500);
const FORGET_AFTER: Duration = Duration::from_secs(120);
const MAX_REMEMBERED: usize = 4096;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn group(ip: &str) -> AddressGroup {
        ip.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn strangers_are_limited_by_address_and_together() {
        let mut door = Doorkeeper::new(2, 3);
        let (a, b) = (group("192.0.2.1"), group("192.0.2.2"));
        assert!(door.enter(a) && door.enter(a));
        assert!(!door.enter(a));
        assert!(door.enter(b));
        assert!(!door.enter(b), "the total");
        door.leave(a);
        assert!(door.enter(b));
        door.leave(a);
        door.leave(a); // once too often is harmless
        door.leave(b);
        door.leave(b);
        assert_eq!(door.all_strangers, 0);
        assert!(door.strangers.is_empty());
    }

    #[test]
    fn groups() {
        assert_eq!(group("2001:db8::1"), group("2001:db8::ffff:1"));
        assert_ne!(group("2001:db8::1"), group("2001:db8:0:1::1"));
        assert_eq!(group("::ffff:192.0.2.1"), group("192.0.2.1"));
        assert_ne!(group("192.0.2.1"), group("192.0.2.2"));
    }

    #[test]
    fn wrong_keys_wait_longer_and_longer() {
        let mut door = Doorkeeper::new(2, 3);
        let now = Instant::now();
        let a = group("192.0.2.1");
        let waits: Vec<u128> = (0..7).map(|_| door.wrong_key(now, a).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1500, 1500, 1500]);
        assert_eq!(door.wrong_key(now, group("192.0.2.2")), FIRST_WAIT, "others do not wait");
        assert_eq!(door.wrong_key(now + FORGET_AFTER, a), FIRST_WAIT);
        for n in 0..10_000_u32 {
            door.wrong_key(now, IpAddr::from(n.to_be_bytes()).into());
        }
        assert!(door.failures.len() <= MAX_REMEMBERED);
    }
}
