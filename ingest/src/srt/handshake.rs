//! The handshake of SRT version 5, the listener's side (draft-sharabayko-srt-01 section 3.2.1): what callers send, what
//! they are answered. Sans-IO, and nothing is kept between a caller's two messages.

use std::{
    hash::{BuildHasher as _, RandomState},
    net::SocketAddr,
    time::{Duration, Instant},
};

use crate::auth::EndReason;

/// Something that a stranger sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Knock {
    /// The first message: it wants a cookie.
    Induction(Head),
    /// The second, with the cookie and everything about the caller.
    Conclusion(Box<Conclusion>),
}

/// The fixed part of a handshake, to be sent back with changes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Head([u8; HEAD]);

/// Who calls, and how it wants to talk.
#[derive(Clone, PartialEq, Eq)]
pub struct Conclusion {
    head: Head,
    /// The caller's clock, microseconds.
    pub timestamp: u32,
    /// Sequence number of its first packet.
    pub sequence: u32,
    /// Bytes of the longest packet that it can take, IP header included.
    pub packet_size: u32,
    /// Packets that may be on their way.
    pub flow_window: u32,
    /// What it goes by.
    pub socket_id: u32,
    /// What we gave it.
    pub cookie: u32,
    /// How long it wants us to wait for lost packets, at least.
    pub latency: Duration,
    /// How long it will wait itself.
    pub own_latency: Duration,
    /// Bytes in its encryption key; 0 for none.
    pub key_size: u16,
    /// The wrapped keys of its encryption.
    pub key_material: Option<Vec<u8>>,
    /// Which stream it means.
    pub stream_id: Option<String>,
}

impl std::fmt::Debug for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Head")
    }
}

/// Without the stream id: a key is in it.
impl std::fmt::Debug for Conclusion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conclusion").field("socket_id", &self.socket_id).finish_non_exhaustive()
    }
}

/// Why a caller is not let in, with the number that it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Too many strangers.
    #[error("no room")]
    Overload,
    /// The passphrase is another one.
    #[error("wrong passphrase")]
    BadSecret,
    /// One side encrypts and the other does not.
    #[error("encrypted on one side only")]
    Unsecure,
    /// The stream id cannot be read.
    #[error("bad stream id")]
    BadRequest,
    /// It wants to watch.
    #[error("not publishing")]
    BadMode,
    /// The session cannot begin, for this reason.
    #[error("{0}")]
    Ended(EndReason),
}

impl Rejection {
    /// As libsrt counts: below 1000 its own reasons, from 1400 on those of servers.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::BadSecret => 10,
            Self::Unsecure => 11,
            Self::BadRequest => 1400,
            Self::Ended(EndReason::Denied) => 1401,
            Self::Overload | Self::Ended(EndReason::TooManyConnections) => 1402,
            Self::Ended(EndReason::EndedByStreamer) => 1403,
            Self::BadMode => 1405,
            Self::Ended(EndReason::ChannelInUse) => 1409,
            Self::Ended(EndReason::NoVerdict | EndReason::RelayUnavailable | EndReason::ServerShutdown) => {
                1503
            }
            Self::Ended(_) => 1500,
        }
    }
}

impl Knock {
    /// `None` for whatever is not the handshake of a caller that speaks version 5.
    #[must_use]
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        let (&head, extensions) = datagram.split_first_chunk::<HEAD>()?;
        if head[..2] != [0x80, 0] {
            return None;
        }
        let head = Head(head);
        match (head.u32(SHAKE), head.u32(VERSION)) {
            // Callers do not know our version yet.
            (INDUCTION, 4 | 5) => Some(Self::Induction(head)),
            (CONCLUSION, 5) => Conclusion::parse(head, extensions).map(|it| Self::Conclusion(Box::new(it))),
            _ => None,
        }
    }
}

impl Head {
    fn u32(&self, at: usize) -> u32 {
        self.0[at..].first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
    }

    fn set(&mut self, at: usize, value: u32) {
        self.0[at..at + 4].copy_from_slice(&value.to_be_bytes());
    }

    /// What the caller goes by.
    #[must_use]
    pub fn socket_id(&self) -> u32 {
        self.u32(SOCKET_ID)
    }

    /// Whom an answer is for, and from whom.
    fn answer(&self, from: u32) -> Self {
        let mut answer = *self;
        answer.set(DESTINATION, self.socket_id());
        answer.set(VERSION, 5);
        answer.set(SOCKET_ID, from);
        answer
    }

    /// The answer to an induction.
    #[must_use]
    pub fn induction(&self, from: u32, cookie: u32) -> [u8; HEAD] {
        let mut answer = self.answer(from);
        answer.set(ENCRYPTION_AND_EXTENSIONS, MAGIC);
        answer.set(COOKIE, cookie);
        answer.0
    }
}

impl Conclusion {
    fn parse(head: Head, mut extensions: &[u8]) -> Option<Self> {
        let mut conclusion = Self {
            head,
            timestamp: head.u32(TIMESTAMP),
            sequence: head.u32(SEQUENCE) & 0x7fff_ffff,
            packet_size: head.u32(PACKET_SIZE),
            flow_window: head.u32(FLOW_WINDOW),
            socket_id: head.socket_id(),
            cookie: head.u32(COOKIE),
            latency: Duration::ZERO,
            own_latency: Duration::ZERO,
            key_size: ((head.u32(ENCRYPTION_AND_EXTENSIONS) >> 16) as u16).checked_mul(8)?,
            key_material: None,
            stream_id: None,
        };
        let mut asked = false;
        while let Some((&[a, b, c, d], behind)) = extensions.split_first_chunk() {
            let words = usize::from(u16::from_be_bytes([c, d]));
            let (body, behind) = behind.split_at_checked(words * 4)?;
            extensions = behind;
            match u16::from_be_bytes([a, b]) {
                1 => {
                    let &[_, _, _, _, _, _, _, _, receiver_high, receiver_low, high, low] =
                        body.first_chunk()?;
                    let millis = |high, low| Duration::from_millis(u16::from_be_bytes([high, low]).into());
                    conclusion.latency = millis(high, low);
                    conclusion.own_latency = millis(receiver_high, receiver_low);
                    asked = true;
                }
                3 => conclusion.key_material = Some(body.to_vec()),
                5 if body.len() <= LONGEST_STREAM_ID => conclusion.stream_id = text(body),
                // Congestion control, filter, group: we answer that we have none.
                _ => {}
            }
        }
        asked.then_some(conclusion)
    }

    /// The answer to a caller that is let in, from the socket `from`. Lost packets are waited for at least for `latency`.
    #[must_use]
    pub fn accepted(&self, from: u32, latency: Duration) -> Vec<u8> {
        let mut head = self.head.answer(from);
        let encryption = if self.key_material.is_some() { u32::from(self.key_size / 8) << 16 } else { 0 };
        let extensions = 1 | if self.key_material.is_some() { 2 } else { 0 };
        head.set(ENCRYPTION_AND_EXTENSIONS, encryption | extensions);
        let mut answer = head.0.to_vec();
        answer.extend([0, 2, 0, 3]);
        answer.extend(SRT_VERSION.to_be_bytes());
        answer.extend(FLAGS.to_be_bytes());
        for delay in [latency, self.own_latency] {
            answer.extend(u16::try_from(delay.as_millis()).unwrap_or(u16::MAX).to_be_bytes());
        }
        if let Some(keys) = &self.key_material {
            answer.extend([0, 4]);
            // As long as it came, so it fits.
            answer.extend(u16::try_from(keys.len() / 4).unwrap_or(0).to_be_bytes());
            answer.extend(keys);
        }
        answer
    }

    /// The answer to a caller that is not let in.
    #[must_use]
    pub fn rejected(&self, from: u32, why: Rejection) -> Vec<u8> {
        let mut head = self.head.answer(from);
        head.set(ENCRYPTION_AND_EXTENSIONS, 0);
        head.set(SHAKE, REJECTED + u32::from(why.code()));
        head.0.to_vec()
    }
}

/// Text in words of which each begins with its last byte.
fn text(words: &[u8]) -> Option<String> {
    let mut bytes: Vec<u8> = words.as_chunks::<4>().0.iter().flat_map(|&[a, b, c, d]| [d, c, b, a]).collect();
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    String::from_utf8(bytes).ok()
}

/// Gives each address a number that only somebody who receives there can return.
#[derive(Debug)]
pub struct Cookies {
    /// SipHash with a random key: enough for a number that is good for a minute.
    hasher: RandomState,
    begin: Instant,
}

impl Cookies {
    /// Another one knows nothing of this one's cookies.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { hasher: RandomState::new(), begin: now }
    }

    /// For a caller at this address.
    #[must_use]
    pub fn give(&self, now: Instant, to: SocketAddr) -> u32 {
        self.of(self.period(now), to)
    }

    /// Whether it was given to this address a short time ago.
    #[must_use]
    pub fn is_good(&self, now: Instant, from: SocketAddr, cookie: u32) -> bool {
        let period = self.period(now);
        [Some(period), period.checked_sub(1)]
            .into_iter()
            .flatten()
            .any(|period| self.of(period, from) == cookie)
    }

    fn period(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.begin).as_secs() / COOKIE_SECONDS
    }

    fn of(&self, period: u64, address: SocketAddr) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "as many bits as there is room for")]
        let cookie = self.hasher.hash_one((period, address)) as u32;
        cookie
    }
}

/// Header and handshake without extensions.
pub const HEAD: usize = 64;
const TIMESTAMP: usize = 8;
const DESTINATION: usize = 12;
const VERSION: usize = 16;
const ENCRYPTION_AND_EXTENSIONS: usize = 20;
const SEQUENCE: usize = 24;
const PACKET_SIZE: usize = 28;
const FLOW_WINDOW: usize = 32;
const SHAKE: usize = 36;
const SOCKET_ID: usize = 40;
const COOKIE: usize = 44;

const INDUCTION: u32 = 1;
const CONCLUSION: u32 = u32::MAX;
const REJECTED: u32 = 1_000;
const MAGIC: u32 = 0x4a17;
/// 1.5.0, the first with what we do.
const SRT_VERSION: u32 = 0x0001_0500;
/// Timestamps both ways, encryption, late packets dropped, periodic loss reports, marked repetitions.
const FLAGS: u32 = 0x3f;
const LONGEST_STREAM_ID: usize = 512;
const COOKIE_SECONDS: u64 = 30;

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    fn head(shake: u32, version: u32) -> Vec<u8> {
        let mut head = Head([0; HEAD]);
        head.0[0] = 0x80;
        for (at, value) in [
            (TIMESTAMP, 5_000),
            (VERSION, version),
            (SEQUENCE, 77),
            (PACKET_SIZE, 1_500),
            (FLOW_WINDOW, 8_192),
            (SHAKE, shake),
            (SOCKET_ID, 0xabcd),
            (COOKIE, 9),
        ] {
            head.set(at, value);
        }
        head.0.to_vec()
    }

    /// Of socket 0xabcd, whose clock is at 5 ms, whose first packet is 77, and who asks for 200 ms.
    pub(in crate::srt) fn conclusion(stream_id: &str) -> Vec<u8> {
        let mut bytes = head(CONCLUSION, 5);
        bytes[21] = 2;
        bytes.extend([0, 1, 0, 3, 0, 1, 5, 0, 0, 0, 0, 0xbf, 0, 80, 0, 200]);
        let mut id = stream_id.as_bytes().to_vec();
        id.resize(id.len().next_multiple_of(4), 0);
        bytes.extend([0, 5, 0, (id.len() / 4) as u8]);
        bytes.extend(id.as_chunks::<4>().0.iter().flat_map(|&[a, b, c, d]| [d, c, b, a]));
        // A congestion control, and keys.
        bytes.extend([0, 6, 0, 1, b'e', b'v', b'i', b'l']);
        bytes.extend([0, 3, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8]);
        bytes
    }

    #[test]
    fn induction() {
        let Some(Knock::Induction(knock)) = Knock::parse(&head(INDUCTION, 4)) else { panic!() };
        let answer = Head(knock.induction(0x1234, 0xc00c));
        let fields = [DESTINATION, VERSION, ENCRYPTION_AND_EXTENSIONS, SHAKE, SOCKET_ID, COOKIE];
        assert_eq!(fields.map(|at| answer.u32(at)), [0xabcd, 5, MAGIC, INDUCTION, 0x1234, 0xc00c]);
    }

    #[test]
    fn conclusion_and_answers() {
        let Some(Knock::Conclusion(knock)) = Knock::parse(&conclusion("7-secret")) else { panic!() };
        assert_eq!(knock.stream_id.as_deref(), Some("7-secret"));
        assert_eq!((knock.timestamp, knock.sequence, knock.key_size, knock.cookie), (5_000, 77, 16, 9));
        assert_eq!((knock.latency.as_millis(), knock.own_latency.as_millis()), (200, 80));
        assert_eq!(format!("{knock:?}"), "Conclusion { socket_id: 43981, .. }");

        let answer = knock.accepted(0x1234, Duration::from_millis(250));
        let fixed = Head(*answer.first_chunk().unwrap());
        let fields = [DESTINATION, ENCRYPTION_AND_EXTENSIONS, SHAKE, SOCKET_ID];
        assert_eq!(fields.map(|at| fixed.u32(at)), [0xabcd, 2 << 16 | 3, CONCLUSION, 0x1234]);
        let expected =
            [0, 2, 0, 3, 0, 1, 5, 0, 0, 0, 0, 0x3f, 0, 250, 0, 80, 0, 4, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(answer[HEAD..], expected);

        let answer = knock.rejected(0x1234, Rejection::Ended(EndReason::Denied));
        assert_eq!((answer.len(), Head(*answer.first_chunk().unwrap()).u32(SHAKE)), (HEAD, 2_401));
    }

    #[test]
    fn what_is_no_knock() {
        for bytes in
            [vec![], head(INDUCTION, 4)[..63].to_vec(), head(CONCLUSION, 4), head(0, 5), head(CONCLUSION, 5)]
        {
            assert_eq!(Knock::parse(&bytes), None);
        }
        let mut data = head(INDUCTION, 4);
        data[0] = 0;
        assert_eq!(Knock::parse(&data), None);
    }

    #[test]
    fn cookies() {
        let now = Instant::now();
        let cookies = Cookies::new(now);
        let address: SocketAddr = "192.0.2.1:5000".parse().unwrap();
        let cookie = cookies.give(now, address);
        let seconds = Duration::from_secs;
        assert!(cookies.is_good(now + seconds(59), address, cookie));
        assert!(!cookies.is_good(now + seconds(61), address, cookie));
        assert!(!cookies.is_good(now, "192.0.2.1:5001".parse().unwrap(), cookie));
        assert!(!Cookies::new(now).is_good(now, address, cookie));
    }

    proptest! {
        #[test]
        fn hostile_bytes_do_no_harm(cut in 0_usize..200, junk in proptest::collection::vec((0_usize..200, any::<u8>()), 0..8)) {
            let mut bytes = conclusion("7-secret");
            for (at, byte) in junk {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            bytes.truncate(cut);
            if let Some(Knock::Conclusion(knock)) = Knock::parse(&bytes) {
                let answer = knock.accepted(1, Duration::ZERO);
                prop_assert!(answer.len() <= bytes.len() + HEAD);
            }
        }
    }
}
