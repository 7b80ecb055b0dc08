//! How many stills leave the server: so many bytes a second in all, so many requests a second of one address.
//!
//! A still is made once, whoever asks, so it is its bytes that cost. Whoever is turned away goes on with the still that he has.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::client::neighbourhood;

/// Bytes per second, and how many at once after a quiet time: 100 Mbit/s, or 400 cards of 180 kB every 6 s.
const BYTES_PER_S: f64 = 12_500_000.0;
const BYTES_AT_ONCE: f64 = 4.0 * BYTES_PER_S;
/// Requests per second of one address, and how many at once: a home page of 120 cards, and its neighbours.
const REQUESTS_PER_S: f64 = 40.0;
const REQUESTS_AT_ONCE: f64 = 240.0;
/// Addresses that are remembered; more are turned away until others have been quiet.
const MOST_ADDRESSES: usize = 16_384;

/// What may still be sent.
#[derive(Debug, Default)]
pub(crate) struct Budget(Mutex<Buckets>);

#[derive(Debug, Default)]
struct Buckets {
    bytes: Option<Bucket>,
    requests: HashMap<IpAddr, Bucket>,
}

/// A token bucket: filled over time, emptied by what is taken.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

/// Which bound was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spent {
    /// Of the address.
    Address,
    /// Of all together.
    Total,
}

impl Budget {
    /// One request of this address.
    ///
    /// # Errors
    /// [`Spent::Address`] when it asks too often, or too many others do.
    pub(crate) fn request(&self, now: Instant, ip: IpAddr) -> Result<(), Spent> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let requests = &mut buckets.requests;
        let address = neighbourhood(ip);
        if requests.len() >= MOST_ADDRESSES && !requests.contains_key(&address) {
            requests.retain(|_, bucket| {
                bucket.fill(now, REQUESTS_PER_S, REQUESTS_AT_ONCE);
                bucket.left < REQUESTS_AT_ONCE
            });
            if requests.len() >= MOST_ADDRESSES {
                return Err(Spent::Address);
            }
        }
        let bucket = requests.entry(address).or_insert(Bucket { left: REQUESTS_AT_ONCE, at: now });
        bucket.fill(now, REQUESTS_PER_S, REQUESTS_AT_ONCE);
        bucket.take(1.0, REQUESTS_AT_ONCE).then_some(()).ok_or(Spent::Address)
    }

    /// A still of so many bytes is about to be sent.
    ///
    /// # Errors
    /// [`Spent::Total`] when enough has been sent lately.
    pub(crate) fn send(&self, now: Instant, bytes: usize) -> Result<(), Spent> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.bytes.get_or_insert(Bucket { left: BYTES_AT_ONCE, at: now });
        bucket.fill(now, BYTES_PER_S, BYTES_AT_ONCE);
        #[expect(clippy::cast_precision_loss, reason = "a few megabytes")]
        let bytes = bytes as f64;
        bucket.take(bytes, BYTES_AT_ONCE).then_some(()).ok_or(Spent::Total)
    }
}

impl Bucket {
    fn fill(&mut self, now: Instant, per_second: f64, most: f64) {
        let passed = now.saturating_duration_since(self.at).min(Duration::from_secs(3_600));
        self.left = (self.left + passed.as_secs_f64() * per_second).min(most);
        self.at = self.at.max(now);
    }

    fn take(&mut self, amount: f64, most: f64) -> bool {
        // What is larger than the bucket goes out when that is full.
        let enough = self.left >= amount.min(most);
        if enough {
            self.left -= amount;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn address(number: u32) -> IpAddr {
        Ipv4Addr::from(number).into()
    }

    fn allowed(budget: &Budget, now: Instant, ip: IpAddr) -> usize {
        (0..1_000).take_while(|_| budget.request(now, ip).is_ok()).count()
    }

    #[test]
    fn each_address_has_its_own_and_gets_it_back() {
        let (budget, begin) = (Budget::default(), Instant::now());
        assert_eq!(allowed(&budget, begin, address(1)), 240);
        assert_eq!(budget.request(begin, address(1)), Err(Spent::Address));
        assert_eq!(allowed(&budget, begin, address(2)), 240);
        assert_eq!(allowed(&budget, begin + Duration::from_secs(1), address(1)), 40);
        assert_eq!(allowed(&budget, begin + Duration::from_secs(900), address(1)), 240);
        // Whoever has a network of IPv6 has many addresses.
        let of = |last| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, last));
        assert_eq!(allowed(&budget, begin, of(1)) + allowed(&budget, begin, of(2)), 240);
    }

    #[test]
    fn strangers_cannot_make_it_grow() {
        let (budget, begin) = (Budget::default(), Instant::now());
        let seen = (0..20_000).filter(|number| budget.request(begin, address(*number)).is_ok()).count();
        assert_eq!(seen, MOST_ADDRESSES);
        assert!(budget.request(begin + Duration::from_secs(1), address(30_000)).is_ok(), "those were quiet");
        assert!(budget.0.lock().unwrap().requests.len() < 10);
    }

    #[test]
    fn all_together_have_so_many_bytes_a_second() {
        let (budget, begin) = (Budget::default(), Instant::now());
        let sent = |now| (0..1_000).take_while(|_| budget.send(now, 500_000).is_ok()).count();
        assert_eq!(sent(begin), 100);
        assert_eq!(budget.send(begin, 1), Err(Spent::Total));
        assert_eq!(sent(begin + Duration::from_secs(1)), 25);
    }
}
