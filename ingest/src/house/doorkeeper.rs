//! How many strangers one address may send at once, and how long wrong keys wait.
//!
//! Everything here goes by address, never by channel: otherwise anybody could lock a streamer out.

use std::{
    collections::HashMap,
    mem,
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
    told: Told,
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

/// What follows from a wrong key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Penalty {
    /// How long to wait before saying so.
    pub(super) wait: Duration,
    /// How many wrong keys came from there lately, this one included.
    pub(super) tries: u32,
    /// Set when the log should hear of this one: how many it has not heard of since it last did, of any address.
    pub(super) tell: Option<u64>,
}

/// Lines in the log, so that nobody can flood it.
#[derive(Debug, Default)]
struct Told {
    second: Option<Instant>,
    lines: u32,
    untold: u64,
}

impl Told {
    /// Of one address the log hears the first three, the fourth, eighth, sixteenth and so on; of all together a few a second.
    fn tell(&mut self, now: Instant, tries: u32) -> Option<u64> {
        if self.second.is_none_or(|second| now.saturating_duration_since(second) >= Duration::from_secs(1)) {
            (self.second, self.lines) = (Some(now), 0);
        }
        if self.lines >= LINES_A_SECOND || tries > 3 && !tries.is_power_of_two() {
            self.untold += 1;
            return None;
        }
        self.lines += 1;
        Some(mem::take(&mut self.untold))
    }
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: Instant,
}

impl Doorkeeper {
    pub(super) fn new(per_address: usize, total: usize) -> Self {
        Self {
            per_address,
            total,
            strangers: HashMap::new(),
            all_strangers: 0,
            failures: HashMap::new(),
            told: Told::default(),
        }
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

    /// A wrong key. The connection counts as a stranger while it waits, so an address can try only so many keys in a time.
    pub(super) fn wrong_key(&mut self, now: Instant, group: AddressGroup) -> Penalty {
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
        let tries = failures.count;
        Penalty {
            wait: (FIRST_WAIT * 2_u32.saturating_pow(tries.min(16) - 1)).min(LONGEST_WAIT),
            tries,
            tell: self.told.tell(now, tries),
        }
    }
}

/// One mistyped key should not be noticed.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Together with the authoriser's 3 s this must stay under the 5 s after which encoders give up.
const LONGEST_WAIT: Duration = Duration::from_millis(1500);
const FORGET_AFTER: Duration = Duration::from_secs(120);
const MAX_REMEMBERED: usize = 4096;
const LINES_A_SECOND: u32 = 20;

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
        let waits: Vec<u128> = (0..7).map(|_| door.wrong_key(now, a).wait.as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1500, 1500, 1500]);
        assert_eq!(door.wrong_key(now, group("192.0.2.2")).wait, FIRST_WAIT, "others do not wait");
        assert_eq!(door.wrong_key(now + FORGET_AFTER, a).wait, FIRST_WAIT);
        for n in 0..10_000_u32 {
            door.wrong_key(now, IpAddr::from(n.to_be_bytes()).into());
        }
        assert!(door.failures.len() <= MAX_REMEMBERED);
    }

    #[test]
    fn the_log_is_not_flooded() {
        let mut door = Doorkeeper::new(2, 3);
        let mut now = Instant::now();
        let a = group("192.0.2.1");
        let told: Vec<_> = (0..1_000)
            .filter_map(|_| {
                now += Duration::from_millis(100);
                let penalty = door.wrong_key(now, a);
                penalty.tell.map(|untold| (penalty.tries, untold))
            })
            .collect();
        let expected = [
            (1, 0),
            (2, 0),
            (3, 0),
            (4, 0),
            (8, 3),
            (16, 7),
            (32, 15),
            (64, 31),
            (128, 63),
            (256, 127),
            (512, 255),
        ];
        assert_eq!(told, expected);
        // From everywhere.
        now += Duration::from_secs(1);
        let from = |n: u32| AddressGroup::from(IpAddr::from(n.to_be_bytes()));
        let told: Vec<u64> = (0..10_000).filter_map(|n| door.wrong_key(now, from(n)).tell).collect();
        assert_eq!(told.len() as u32, LINES_A_SECOND);
        let later = now + Duration::from_secs(1);
        assert_eq!(door.wrong_key(later, from(1 << 31)).tell, Some(10_000 - u64::from(LINES_A_SECOND)));
    }
}
