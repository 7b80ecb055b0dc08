//! A conversation with ICE-lite: datagrams of strangers and of a peer that holds the password.
//!
//! Records of two bytes (how, length) and a body; see [`Record`].
#![no_main]

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use aws_lc_rs::hmac;
use heliograph_edge::{
    ice::{
        CheckOutcome, IceCredentials, IceLite, discovery_request, is_stun, parse_discovery_answer, route_of,
    },
    path::Path,
};
use libfuzzer_sys::fuzz_target;

const UFRAG: &str = "AAEAAAACAAAAAAAA";
/// Few enough that no transaction id is forgotten because there are too many.
const MAX_RECORDS: u8 = 64;
const PASSWORD: &str = "0123456789abcdef0123456789abcdef";

fuzz_target!(|data: &[u8]| {
    let credentials = IceCredentials { ufrag: UFRAG.to_owned(), pwd: PASSWORD.to_owned() };
    let mut ice = IceLite::new(&credentials);
    ice.set_remote("peer");
    let mut now = Instant::now();
    let mut out = Vec::new();
    let mut rest = data;
    for number in 0..MAX_RECORDS {
        let Some((record, behind)) = Record::next(rest) else { break };
        rest = behind;
        now += record.after();
        let datagram = record.datagram(number);
        look(&datagram);

        let outcome = ice.on_datagram(now, record.path(), &datagram, &mut out);
        let answered = matches!(outcome, CheckOutcome::Answered { .. });
        assert_eq!(answered, !out.is_empty(), "an answer exactly when the sender holds the password");
        if answered {
            assert!(is_stun(&out) && out.len() % 4 == 0);
            assert!(datagram.len() >= 44, "nothing without user name and integrity is answered");
            if matches!(outcome, CheckOutcome::Answered { fresh: true, .. }) {
                assert!(ice.validated(record.path()));
            }
        }
        let selected = ice.selected();
        assert!(selected.is_none_or(|path| ice.validated(path)));
        assert_eq!(selected.is_some(), ice.last_check().is_some());

        // A copy of it, sent from elsewhere, moves nothing.
        let stranger = Path::udp(SocketAddr::from(([203, 0, 113, 9], 9)), None);
        match ice.on_datagram(now, stranger, &datagram, &mut out) {
            CheckOutcome::Answered { fresh, selected_changed } => assert!(!fresh && !selected_changed),
            CheckOutcome::Dropped(_) => {}
        }
        assert_eq!(ice.selected(), selected);
        assert!(!ice.validated(stranger));
    }
});

/// What looks at datagrams before anybody is authenticated.
fn look(datagram: &[u8]) {
    if let Some(route) = route_of(datagram) {
        assert!(is_stun(datagram));
        let _ = format!("{route:?}");
    }
    let mut transaction = [0; 12];
    if let Some(id) = datagram.get(8..20) {
        transaction.copy_from_slice(id);
    }
    if parse_discovery_answer(datagram, transaction).is_some() {
        assert!(is_stun(datagram));
    }
}

/// `how`: bits 0-1 path, bits 2-3 time passed, bit 4 raw body; otherwise the body is attributes of a binding request
/// with the right user name in front (bit 5: without), right integrity behind, and bit 6: FINGERPRINT-sized rubbish
/// after that.
struct Record<'a> {
    how: u8,
    body: &'a [u8],
}

impl<'a> Record<'a> {
    fn next(data: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let [how, length, rest @ ..] = data else { return None };
        let (body, behind) = rest.split_at(usize::from(*length).min(rest.len()));
        Some((Self { how: *how, body }, behind))
    }

    fn path(&self) -> Path {
        Path::udp(SocketAddr::from(([192, 0, 2, self.how & 3], 1_000)), None)
    }

    fn after(&self) -> Duration {
        Duration::from_millis([0, 400, 1_001, 31_000][usize::from(self.how >> 2 & 3)])
    }

    fn datagram(&self, number: u8) -> Vec<u8> {
        if self.how & 0x10 != 0 {
            return self.body.to_vec();
        }
        let mut message = discovery_request([number; 12]);
        if self.how & 0x20 == 0 {
            push(&mut message, 0x0006, format!("{UFRAG}:peer").as_bytes());
        }
        message.extend_from_slice(self.body);
        message.resize(message.len().next_multiple_of(4), 0);
        // The length counts the integrity attribute, and nothing behind it, while the tag is computed.
        set_length(&mut message, 24);
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, PASSWORD.as_bytes());
        let tag = hmac::sign(&key, &message);
        push(&mut message, 0x0008, tag.as_ref());
        if self.how & 0x40 != 0 {
            push(&mut message, 0x0025, &[number; 4]);
        }
        set_length(&mut message, 0);
        message
    }
}

fn push(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend(kind.to_be_bytes());
    message.extend((value.len() as u16).to_be_bytes());
    message.extend_from_slice(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

fn set_length(message: &mut [u8], more: usize) {
    let length = (message.len() - 20 + more) as u16;
    message[2..4].copy_from_slice(&length.to_be_bytes());
}
