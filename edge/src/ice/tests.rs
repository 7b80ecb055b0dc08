//! Checks as peers, strangers and repeaters send them.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::*;
use crate::path::Path;

const ROUTE: Route = Route { worker: 3, slot: 70_000 };
const SECOND: Duration = Duration::from_secs(1);

fn credentials(seed: u64) -> IceCredentials {
    IceCredentials::generate(ROUTE, &mut StdRng::seed_from_u64(seed))
}

fn path(port: u16) -> Path {
    Path::udp(SocketAddr::from(([192, 0, 2, 1], port)), None)
}

/// A check put together by hand, so that the machine under test does not grade itself.
#[derive(Clone)]
struct Check {
    kind: u16,
    id: u64,
    username: String,
    password: String,
    priority: u32,
    nominate: bool,
    before: Vec<(u16, Vec<u8>)>,
    after: Vec<(u16, Vec<u8>)>,
    fingerprint: bool,
}

impl Check {
    fn new(local: &IceCredentials, id: u64) -> Self {
        Self {
            kind: 1,
            id,
            username: format!("{}:peer", local.ufrag),
            password: local.pwd.clone(),
            priority: 100,
            nominate: true,
            before: vec![(0x802a, vec![1; 8])],
            after: Vec::new(),
            fingerprint: true,
        }
    }

    fn priority(self, priority: u32) -> Self {
        Self { priority, ..self }
    }

    fn plain(self) -> Self {
        Self { nominate: false, ..self }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut message = vec![0; 20];
        message[..2].copy_from_slice(&self.kind.to_be_bytes());
        message[4..8].copy_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
        message[12..].copy_from_slice(&self.id.to_be_bytes());
        attribute(&mut message, 0x0006, self.username.as_bytes());
        attribute(&mut message, 0x0024, &self.priority.to_be_bytes());
        if self.nominate {
            attribute(&mut message, 0x0025, &[]);
        }
        for (kind, value) in &self.before {
            attribute(&mut message, *kind, value);
        }
        sign(&mut message, &self.password);
        for (kind, value) in &self.after {
            attribute(&mut message, *kind, value);
        }
        if self.fingerprint {
            attribute(&mut message, 0x8028, &[0; 4]);
            let at = message.len() - 8;
            let crc = rtc_stun::fingerprint::fingerprint_value(&message[..at]);
            message[at + 4..].copy_from_slice(&crc.to_be_bytes());
        }
        message
    }
}

fn attribute(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend(kind.to_be_bytes());
    message.extend((value.len() as u16).to_be_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
    let len = message.len() as u16 - 20;
    message[2..4].copy_from_slice(&len.to_be_bytes());
}

fn sign(message: &mut Vec<u8>, password: &str) {
    attribute(message, 0x0008, &[0; 20]);
    let at = message.len() - 24;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
    let tag = hmac::sign(&key, &message[..at]);
    message[at + 4..].copy_from_slice(tag.as_ref());
}

/// One viewer's ICE with a clock and a reused answer buffer.
struct Bench {
    local: IceCredentials,
    ice: IceLite,
    start: Instant,
    out: Vec<u8>,
}

impl Bench {
    fn new() -> Self {
        let local = credentials(1);
        Self { ice: IceLite::new(&local), local, start: Instant::now(), out: vec![0xaa; 7] }
    }

    fn at(&mut self, after: Duration, path: Path, datagram: &[u8]) -> CheckOutcome {
        self.ice.on_datagram(self.start + after, path, datagram, &mut self.out)
    }

    fn check(&self, id: u64) -> Check {
        Check::new(&self.local, id)
    }

    fn dropped(&mut self, datagram: &[u8]) -> bool {
        let outcome = self.at(Duration::ZERO, path(1), datagram);
        assert_eq!(self.out.is_empty(), matches!(outcome, CheckOutcome::Dropped(_)), "{outcome:?}");
        matches!(outcome, CheckOutcome::Dropped(_))
    }
}

const MOVED: CheckOutcome = CheckOutcome::Answered { fresh: true, selected_changed: true };
const STAYED: CheckOutcome = CheckOutcome::Answered { fresh: true, selected_changed: false };
const REPEATED: CheckOutcome = CheckOutcome::Answered { fresh: false, selected_changed: false };

#[test]
fn the_route_is_in_the_fragment() {
    for route in [ROUTE, Route { worker: 0, slot: 0 }, Route { worker: u16::MAX, slot: u32::MAX }] {
        let local = IceCredentials::generate(route, &mut StdRng::seed_from_u64(9));
        assert_eq!((local.ufrag.len(), local.pwd.len()), (16, 32));
        let check = Check::new(&local, 1).bytes();
        assert!(is_stun(&check));
        assert_eq!(route_of(&check), Some(route));
    }
    assert_ne!(credentials(1).ufrag, credentials(2).ufrag);
    assert_ne!(credentials(1).pwd, credentials(2).pwd);
    let text = format!("{:?}", credentials(1));
    assert!(!text.contains(&credentials(1).pwd), "{text}");
}

#[test]
fn no_route_in_other_datagrams() {
    let mut check = Check::new(&credentials(1), 1);
    check.username = "short:peer".to_owned();
    assert_eq!(route_of(&check.bytes()), None);
    check.username = credentials(1).ufrag;
    assert_eq!(route_of(&check.bytes()), None);
    // A USERNAME behind MESSAGE-INTEGRITY names nobody.
    let mut message = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    sign(&mut message, "x");
    attribute(&mut message, 6, format!("{}:peer", credentials(1).ufrag).as_bytes());
    assert_eq!(route_of(&message), None);
    assert_eq!(route_of(&[0x80; 100]), None);
}

/// RFC 5769 section 2.1: the sample request, made with SOFTWARE and an IPv4-only peer's user name.
#[test]
fn rfc_5769_sample_request_is_authentic() {
    let sample = hex::decode(
        "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff80290008\
         932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004\
         e57a3bcf",
    )
    .unwrap();
    let check = stun::Check::parse(&sample).unwrap();
    assert_eq!((check.username.as_str(), check.priority, check.controlled), ("evtj:h6vY", 0x6e00_01ff, true));
    let key = |password: &str| hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
    assert!(check.is_authentic(&sample, &key("VOkJxbRl1RmTxUk/WvJxBt")));
    assert!(!check.is_authentic(&sample, &key("VOkJxbRl1RmTxUk/WvJxBT")));
}

#[test]
fn a_right_check_is_answered_with_its_address_and_selects() {
    let mut bench = Bench::new();
    let check = bench.check(1).bytes();
    assert_eq!(bench.at(Duration::ZERO, path(4242), &check), MOVED);
    let answer = rtc_answer(&bench.out);
    assert_eq!(answer.typ, rtc_stun::message::BINDING_SUCCESS);
    assert_eq!(answer.transaction_id.0, check[8..20]);
    let key = bench.local.pwd.clone();
    let (body, mac) =
        (bench.out.len() - 32, hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes()));
    let mut signed = bench.out[..body].to_vec();
    signed[2..4].copy_from_slice(&(body as u16 - 20 + 24).to_be_bytes());
    assert_eq!(hmac::sign(&mac, &signed).as_ref(), &bench.out[body + 4..body + 24]);
    assert_eq!(discovery_of(&bench.out, &check[8..20]), path(4242).remote());
    assert_eq!(bench.ice.selected(), Some(path(4242)));
    assert_eq!(bench.ice.last_check(), Some(bench.start));
    assert!(bench.ice.validated(path(4242)) && !bench.ice.validated(path(4243)));
}

fn rtc_answer(bytes: &[u8]) -> rtc_stun::message::Message {
    let mut message = rtc_stun::message::Message::default();
    message.unmarshal_binary(bytes).unwrap();
    rtc_stun::fingerprint::FINGERPRINT.check(&message).unwrap();
    message
}

fn discovery_of(answer: &[u8], id: &[u8]) -> SocketAddr {
    parse_discovery_answer(answer, id.try_into().unwrap()).unwrap()
}

#[test]
fn addresses_of_both_families_are_mirrored() {
    let mut bench = Bench::new();
    for (id, (from, shown)) in [
        ("[2001:db8::7]:9", "[2001:db8::7]:9"),
        // A dual-stack socket shows IPv4 peers as mapped addresses; the peer knows itself by the plain one.
        ("[::ffff:198.51.100.4]:9", "198.51.100.4:9"),
    ]
    .into_iter()
    .enumerate()
    {
        let check = bench.check(id as u64).bytes();
        let from = Path::udp(from.parse().unwrap(), None);
        assert!(matches!(bench.at(Duration::ZERO, from, &check), CheckOutcome::Answered { .. }));
        assert_eq!(discovery_of(&bench.out, &check[8..20]), shown.parse().unwrap());
    }
}

#[test]
fn the_unauthenticated_get_no_answer() {
    let mut bench = Bench::new();
    let right = bench.check(1);
    for (what, check) in [
        ("wrong password", Check { password: "guess".repeat(6), ..right.clone() }),
        ("unknown name", Check { username: "AAAAAAAAAAAAAAAA:peer".to_owned(), ..right.clone() }),
        ("no colon", Check { username: bench.local.ufrag.clone(), ..right.clone() }),
        ("no name", Check { username: String::new(), ..right.clone() }),
        ("an indication", Check { kind: 0x0011, ..right.clone() }),
        ("a success answer", Check { kind: 0x0101, ..right.clone() }),
        ("an error answer", Check { kind: 0x0111, ..right.clone() }),
        ("another method", Check { kind: 0x0003, ..right.clone() }),
        (
            "integrity twice",
            Check { password: "x".to_owned(), after: vec![(8, vec![0; 20])], ..right.clone() },
        ),
        ("oversize", Check { before: vec![(0x8022, vec![b'x'; 1500])], ..right.clone() }),
    ] {
        assert!(bench.dropped(&check.bytes()), "{what}");
    }
    let good = right.bytes();
    for len in 0..good.len() {
        assert!(bench.dropped(&good[..len]), "cut at {len}");
    }
    let fingerprint = good.len() - 8;
    // With another type the last attribute is no FINGERPRINT, and like all behind MESSAGE-INTEGRITY ignored.
    for at in (0..good.len()).filter(|at| !(fingerprint..fingerprint + 2).contains(at)) {
        let mut damaged = good.clone();
        damaged[at] ^= 0x04;
        assert!(bench.dropped(&damaged), "byte {at}");
    }
    let mut longer = good.clone();
    longer.extend([0; 4]);
    assert!(bench.dropped(&longer));
    assert_eq!((bench.ice.selected(), bench.ice.last_check()), (None, None));
    assert!(!bench.dropped(&good));
}

#[test]
fn truncated_integrity_is_no_integrity() {
    let mut bench = Bench::new();
    let mut message = bench.check(1).bytes();
    message.truncate(message.len() - 32);
    attribute(&mut message, 8, &[0; 4]);
    assert!(bench.dropped(&message));
    attribute(&mut message, 8, &[]);
    assert!(bench.dropped(&message));
}

#[test]
fn attributes_behind_integrity_do_not_count() {
    let mut bench = Bench::new();
    let appended =
        |kind, value: &[u8]| Check { nominate: false, after: vec![(kind, value.to_vec())], ..bench.check(1) };
    let nominated = appended(0x25, &[]).bytes();
    let controlled = Check { id: 2, ..appended(0x8029, &[0; 8]) }.bytes();
    let unknown = Check { id: 3, ..appended(0x7001, &[0; 4]) }.bytes();
    let first = bench.check(4).plain().bytes();
    assert_eq!(bench.at(Duration::ZERO, path(9), &first), MOVED);
    for check in [nominated, controlled, unknown] {
        assert_eq!(bench.at(Duration::ZERO, path(1), &check), STAYED);
        assert_eq!(rtc_answer(&bench.out).typ, rtc_stun::message::BINDING_SUCCESS);
    }
    assert_eq!(bench.ice.selected(), Some(path(9)));
}

#[test]
fn fingerprint_may_be_absent_but_not_wrong() {
    let mut bench = Bench::new();
    let bare = Check { fingerprint: false, ..bench.check(1) };
    assert_eq!(bench.at(Duration::ZERO, path(1), &bare.bytes()), MOVED);
    let mut wrong = bench.check(2).bytes();
    *wrong.last_mut().unwrap() ^= 1;
    assert!(bench.dropped(&wrong));
    let early = Check { before: vec![(0x8028, vec![0; 4])], ..bench.check(3) };
    assert!(bench.dropped(&early.bytes()));
}

#[test]
fn a_repeated_transaction_moves_nothing_for_30_seconds() {
    let mut bench = Bench::new();
    let first = bench.check(1).bytes();
    assert_eq!(bench.at(Duration::ZERO, path(1), &first), MOVED);
    let second = bench.check(2).priority(200).bytes();
    assert_eq!(bench.at(SECOND, path(2), &second), MOVED);
    // Somebody who saw the checks sends them again from elsewhere, and much later from the first address.
    for after in [2, 15, 29] {
        assert_eq!(bench.at(after * SECOND, path(666), &first), REPEATED);
        assert_eq!(bench.at(after * SECOND, path(1), &first), REPEATED);
        assert_eq!(bench.at(after * SECOND, path(666), &second), REPEATED);
        assert!(!bench.out.is_empty(), "a lost answer is sent again");
    }
    assert_eq!(bench.ice.selected(), Some(path(2)));
    assert_eq!(bench.ice.last_check(), Some(bench.start + SECOND));
    assert!(!bench.ice.validated(path(666)));
}

#[test]
fn the_first_proven_path_is_used_until_another_is_nominated() {
    let mut bench = Bench::new();
    let look = bench.check(1).plain().bytes();
    assert_eq!(bench.at(Duration::ZERO, path(1), &look), MOVED);
    assert_eq!((bench.ice.selected(), bench.ice.validated(path(1))), (Some(path(1)), true));
    let other = bench.check(2).priority(9_000).plain().bytes();
    assert_eq!(bench.at(Duration::ZERO, path(2), &other), STAYED);
    assert_eq!(bench.ice.selected(), Some(path(1)), "only nomination moves");
    let nominate = bench.check(3).priority(1).bytes();
    assert_eq!(bench.at(Duration::ZERO, path(2), &nominate), MOVED);
    let again = bench.check(4).priority(9_000).plain().bytes();
    assert_eq!(bench.at(5 * SECOND, path(1), &again), STAYED);
    assert_eq!(bench.ice.selected(), Some(path(2)));
}

#[test]
fn higher_priority_holds_for_one_second() {
    for (first, second, after_ms, moves) in [
        (100, 200, 0, true),
        (100, 100, 0, true),
        (200, 100, 0, false),
        (200, 100, 999, false),
        (200, 100, 1_000, true),
        (200, 0, 5_000, true),
    ] {
        let mut bench = Bench::new();
        let check = bench.check(1).priority(first).bytes();
        bench.at(Duration::ZERO, path(1), &check);
        let check = bench.check(2).priority(second).bytes();
        let expected = if moves { MOVED } else { STAYED };
        assert_eq!(bench.at(Duration::from_millis(after_ms), path(2), &check), expected, "{first} {second}");
        assert_eq!(bench.ice.selected(), Some(path(if moves { 2 } else { 1 })));
    }
}

/// Firefox nominates every pair that works: the best of them must win, in whatever order they arrive.
#[test]
fn firefox_nominates_everything() {
    for order in [[1u16, 2, 3], [3, 2, 1], [2, 3, 1], [1, 3, 2]] {
        let mut bench = Bench::new();
        for (id, priority) in order.into_iter().enumerate() {
            let check = bench.check(id as u64).priority(priority.into()).bytes();
            bench.at(Duration::from_millis(50 * id as u64), path(priority), &check);
        }
        assert_eq!(bench.ice.selected(), Some(path(3)), "{order:?}");
    }
}

#[test]
fn silence_is_counted_on_the_selected_path_alone() {
    let mut bench = Bench::new();
    let check = bench.check(1).bytes();
    bench.at(Duration::ZERO, path(1), &check);
    let elsewhere = bench.check(2).plain().bytes();
    bench.at(5 * SECOND, path(2), &elsewhere);
    assert_eq!(bench.ice.last_check(), Some(bench.start));
    let consent = bench.check(3).plain().bytes();
    bench.at(7 * SECOND, path(1), &consent);
    assert_eq!(bench.ice.last_check(), Some(bench.start + 7 * SECOND));
}

#[test]
fn the_peers_fragment_counts_once_known() {
    let mut bench = Bench::new();
    let early = bench.check(1).bytes();
    assert_eq!(bench.at(Duration::ZERO, path(1), &early), MOVED);
    bench.ice.set_remote("other");
    let stale = bench.check(2).bytes();
    assert!(bench.dropped(&stale));
    let right = Check { username: format!("{}:other", bench.local.ufrag), ..bench.check(3) };
    assert_eq!(bench.at(SECOND, path(1), &right.bytes()), STAYED);
}

#[test]
fn role_conflict_and_unknown_attributes_are_told_to_the_authenticated() {
    let mut bench = Bench::new();
    let controlled = Check { before: vec![(0x8029, vec![0; 8])], ..bench.check(1) }.bytes();
    assert_eq!(bench.at(Duration::ZERO, path(1), &controlled), REPEATED);
    assert_eq!(&bench.out[20..28], [0, 9, 0, 4, 0, 0, 4, 87]);
    let unknown = Check { before: vec![(0x7abc, vec![]), (0xc057, vec![0; 4])], ..bench.check(2) }.bytes();
    assert_eq!(bench.at(Duration::ZERO, path(1), &unknown), REPEATED);
    assert_eq!(&bench.out[20..34], [0, 9, 0, 4, 0, 0, 4, 20, 0, 10, 0, 2, 0x7a, 0xbc]);
    rtc_answer(&bench.out);
    assert_eq!(bench.ice.selected(), None);
    // The same with a wrong password says nothing.
    let forged = Check { password: "x".to_owned(), before: vec![(0x8029, vec![0; 8])], ..bench.check(3) };
    assert!(bench.dropped(&forged.bytes()));
}

#[test]
fn no_answer_is_longer_than_its_question() {
    let mut bench = Bench::new();
    let v6 = Path::udp("[2001:db8::1]:65535".parse().unwrap(), None);
    let plain = Check { before: vec![], ..bench.check(1).plain() };
    let unknown = Check { before: (0..20).map(|i| (0x7000 + i, vec![])).collect(), ..bench.check(2) };
    let controlled = Check { before: vec![(0x8029, vec![])], ..bench.check(3) };
    for check in [plain, unknown, controlled] {
        let datagram = check.bytes();
        assert!(matches!(bench.at(Duration::ZERO, v6, &datagram), CheckOutcome::Answered { .. }));
        assert!(bench.out.len() <= datagram.len(), "{} > {}", bench.out.len(), datagram.len());
    }
}

#[test]
fn restart_keeps_the_path_until_the_peer_nominates_again() {
    let mut bench = Bench::new();
    let check = bench.check(1).priority(900).bytes();
    bench.at(Duration::ZERO, path(1), &check);
    let old = bench.local.clone();
    bench.local = credentials(77);
    bench.ice.restart(&bench.local.clone(), "fresh");
    // Consent under the old credentials still counts, and nominates nothing.
    let consent = Check::new(&old, 2).bytes();
    assert_eq!(bench.at(SECOND, path(1), &consent), STAYED);
    assert_eq!(bench.ice.last_check(), Some(bench.start + SECOND));
    let stray = Check::new(&old, 3).priority(9_999).bytes();
    assert_eq!(bench.at(SECOND, path(2), &stray), STAYED);
    // The first nomination of the new generation moves, whatever its priority.
    let new = Check { username: format!("{}:fresh", bench.local.ufrag), ..bench.check(4) };
    assert_eq!(bench.at(SECOND, path(3), &new.bytes()), MOVED);
    let late = Check::new(&old, 5).bytes();
    assert!(bench.dropped(&late), "the old credentials are gone");
}

#[test]
fn validated_paths_are_bounded_and_the_selected_one_stays() {
    let mut bench = Bench::new();
    let check = bench.check(0).bytes();
    bench.at(Duration::ZERO, path(1), &check);
    for id in 1..200u16 {
        let check = bench.check(id.into()).plain().bytes();
        bench.at(Duration::ZERO, path(1_000 + id), &check);
    }
    assert!(bench.ice.validated(path(1)) && bench.ice.validated(path(1_199)));
    assert!(!bench.ice.validated(path(1_001)));
}

#[test]
fn another_local_address_or_connection_is_another_path() {
    let mut bench = Bench::new();
    let remote = path(1).remote();
    let check = bench.check(1).bytes();
    bench.at(Duration::ZERO, Path::udp(remote, Some([10, 0, 0, 1].into())), &check);
    assert!(!bench.ice.validated(Path::udp(remote, Some([10, 0, 0, 2].into()))));
    assert!(!bench.ice.validated(path(1)));
}

proptest! {
    #[test]
    fn parsers_never_panic(
        mut datagram in prop::collection::vec(any::<u8>(), 0..300),
        shape in any::<bool>(),
    ) {
        if shape && datagram.len() >= 20 {
            let len = (datagram.len() - 20) as u16;
            datagram[..8].copy_from_slice(&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42]);
            datagram[2..4].copy_from_slice(&len.to_be_bytes());
        }
        let _ = route_of(&datagram);
        prop_assert!(Bench::new().dropped(&datagram));
    }

    #[test]
    fn any_attributes_never_panic(
        attributes in prop::collection::vec((any::<u16>(), prop::collection::vec(any::<u8>(), 0..40)), 0..10),
        after in prop::collection::vec((any::<u16>(), prop::collection::vec(any::<u8>(), 0..40)), 0..4),
    ) {
        let mut bench = Bench::new();
        let check = Check { before: attributes, after, ..bench.check(1) }.bytes();
        let outcome = bench.at(Duration::ZERO, path(1), &check);
        prop_assert_eq!(bench.out.is_empty(), matches!(outcome, CheckOutcome::Dropped(_)));
    }
}
