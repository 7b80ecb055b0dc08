//! A caller that was let in: what it sends becomes payloads in order and in time. Sans-IO, around the machine of
//! `srt-protocol`.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::{Buf as _, Bytes};
use srt_protocol::{
    connection::{Connection as Established, ConnectionSettings, DuplexConnection},
    options::{KeySize, LiveBandwidthMode, PacketCount, PacketSize},
    packet::{
        Acknowledgement, ControlPacket, ControlTypes, Packet, SeqNumber, SocketId, SrtControlPacket,
        TimeStamp,
    },
    protocol::handshake::Handshake,
    settings::{CipherSettings, KeyMaterialRefreshSettings, KeySettings},
};

use super::{
    Passphrase,
    handshake::{Conclusion, Rejection},
    round_trip::RoundTrip,
};

/// The keys of a caller that encrypts as it should.
pub(super) struct Keys(Option<CipherSettings>);

impl Keys {
    /// Unwraps them; costs a millisecond of processor time.
    pub(super) fn unwrap(
        conclusion: &Conclusion,
        passphrase: Option<&Passphrase>,
    ) -> Result<Self, Rejection> {
        let (passphrase, material) = match (passphrase, &conclusion.key_material) {
            (None, None) => return Ok(Self(None)),
            (Some(passphrase), Some(material)) => (passphrase, material),
            _ => return Err(Rejection::Unsecure),
        };
        let key_size = KeySize::try_from(conclusion.key_size).map_err(|_| Rejection::Unsecure)?;
        let material = SrtControlPacket::parse(KEY_MATERIAL, &mut &material[..]);
        let Ok(SrtControlPacket::KeyRefreshRequest(material)) = material else {
            return Err(Rejection::BadSecret);
        };
        let settings = KeySettings {
            key_size,
            passphrase: passphrase.reveal().to_owned().try_into().map_err(|_| Rejection::BadSecret)?,
        };
        CipherSettings::new(&settings, &KeyMaterialRefreshSettings::default(), &material)
            .map(|cipher| Self(Some(cipher)))
            .map_err(|_| Rejection::BadSecret)
    }
}

/// See the module.
pub(super) struct Connection {
    machine: DuplexConnection,
    remote: SocketAddr,
    socket_id: u32,
    remote_socket_id: u32,
    encrypted: bool,
    /// The last words of the handshake, again and again until the caller has heard them.
    answer: Vec<u8>,
    begin: Instant,
    heard: Instant,
    said_goodbye: bool,
    round_trip: RoundTrip,
    latency: Duration,
}

impl Connection {
    /// `arrived` is when the conclusion did, `latency` the least that we wait for lost packets.
    pub(super) fn new(
        now: Instant,
        remote: SocketAddr,
        socket_id: u32,
        conclusion: &Conclusion,
        arrived: Instant,
        latency: Duration,
        keys: Keys,
    ) -> Self {
        let latency = latency.max(conclusion.latency);
        let settings = ConnectionSettings {
            remote,
            remote_sockid: SocketId(conclusion.socket_id),
            local_sockid: SocketId(socket_id),
            socket_start_time: now,
            rtt: Duration::ZERO,
            init_seq_num: SeqNumber::new_truncate(conclusion.sequence),
            max_packet_size: PacketSize(u64::from(conclusion.packet_size.clamp(MIN_PACKET, MAX_PACKET))),
            max_flow_size: PacketCount(BUFFER),
            send_tsbpd_latency: conclusion.own_latency,
            recv_tsbpd_latency: latency,
            too_late_packet_drop: true,
            // We look after that ourselves.
            peer_idle_timeout: Duration::from_secs(60),
            recv_buffer_size: PacketCount(BUFFER),
            send_buffer_size: PacketCount(16),
            cipher: keys.0,
            stream_id: None,
            bandwidth: LiveBandwidthMode::default(),
            statistics_interval: Duration::from_secs(1),
        };
        let encrypted = settings.cipher.is_some();
        let answer = conclusion.accepted(socket_id, latency);
        let handshake = Handshake::Connector; // repeated ones never reach the machine
        let mut connection = Self {
            machine: DuplexConnection::new(Established { settings, handshake }),
            remote,
            socket_id,
            remote_socket_id: conclusion.socket_id,
            encrypted,
            answer,
            begin: now,
            heard: now,
            said_goodbye: false,
            round_trip: RoundTrip::default(),
            latency,
        };
        // The first control packet sets the caller's clock, which has gone on while its key was checked.
        let passed = now.saturating_duration_since(arrived);
        #[expect(clippy::cast_possible_truncation, reason = "timestamps wrap")]
        let timestamp = conclusion.timestamp.wrapping_add(passed.as_micros() as u32);
        connection.control(now, timestamp, ControlTypes::KeepAlive);
        connection
    }

    /// What the caller is to hear first, and whenever it repeats its conclusion.
    pub(super) fn answer(&self) -> &[u8] {
        &self.answer
    }

    /// Takes a datagram; true when the caller has not heard [`Self::answer`].
    pub(super) fn on_datagram(&mut self, now: Instant, mut datagram: Bytes) -> bool {
        let Some(&[first, second]) = datagram.first_chunk() else { return false };
        let addressed = datagram.get(12..16) == Some(&self.socket_id.to_be_bytes());
        // Only what a caller that sends media has to say: the machine panics at some of the rest.
        let expected = match (first, second) {
            (0x80, HANDSHAKE) => {
                return super::handshake::Knock::parse(&datagram).is_some_and(|knock| {
                    matches!(knock, super::handshake::Knock::Conclusion(again) if again.socket_id == self.remote_socket_id)
                });
            }
            (0x80, KEEP_ALIVE | ACKACK | DROP_REQUEST) => addressed,
            (0x80, SHUTDOWN) => {
                self.said_goodbye |= addressed;
                addressed
            }
            (0xff, 0xff) => {
                addressed && self.encrypted && datagram.get(2..4) == Some(&[0, KEY_MATERIAL as u8])
            }
            _ => first & 0x80 == 0 && addressed,
        };
        if !expected || datagram.remaining() < HEADER {
            return false;
        }
        if let Ok(packet) = Packet::parse(&mut datagram, false) {
            self.heard = now;
            if let Packet::Control(ControlPacket { control_type: ControlTypes::Ack2(number), .. }) = &packet {
                self.round_trip.answered(now, (*number).into());
            }
            self.machine.handle_packet_input(now, Ok((packet, self.remote)));
        }
        false
    }

    /// The next datagram to send, written over `buffer`; false when there is none.
    pub(super) fn next_datagram(&mut self, now: Instant, buffer: &mut Vec<u8>) -> bool {
        let Some((packet, _)) = self.machine.next_packet(now) else { return false };
        if let Packet::Control(ControlPacket {
            control_type: ControlTypes::Ack(Acknowledgement::Full(_, _, number)),
            ..
        }) = &packet
        {
            self.round_trip.asked(now, (*number).into());
        }
        buffer.clear();
        packet.serialize(buffer);
        true
    }

    /// The next payload whose time has come.
    pub(super) fn next_payload(&mut self, now: Instant) -> Option<Bytes> {
        self.machine.next_data(now).map(|(_, payload)| payload)
    }

    /// Does what is due; says when to wake up.
    pub(super) fn on_time(&mut self, now: Instant) -> Instant {
        self.machine.check_timers(now)
    }

    /// The caller has gone, and all it sent has been handed out.
    pub(super) fn is_over(&self) -> bool {
        !self.machine.is_open()
    }

    /// It said that it goes.
    pub(super) fn said_goodbye(&self) -> bool {
        self.said_goodbye
    }

    /// When something came from it last.
    pub(super) fn heard(&self) -> Instant {
        self.heard
    }

    /// Between us and the caller, once it has answered; smoothed.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.round_trip.smoothed()
    }

    /// How long after it was sent over the quickest way everything is handed out.
    pub(super) fn latency(&self) -> Duration {
        self.latency
    }

    /// Packets that did not come in time, and how many reports of loss were sent.
    pub(super) fn loss(&self) -> (u64, u64) {
        let statistics = self.machine.statistics();
        (statistics.rx_dropped_data, statistics.tx_nak)
    }

    /// Tells the caller that it is over.
    pub(super) fn goodbye(&self, now: Instant) -> Vec<u8> {
        #[expect(clippy::cast_possible_truncation, reason = "timestamps wrap")]
        let timestamp = now.saturating_duration_since(self.begin).as_micros() as u32;
        let packet = ControlPacket {
            timestamp: TimeStamp::from_micros(timestamp),
            dest_sockid: SocketId(self.remote_socket_id),
            control_type: ControlTypes::Shutdown,
        };
        let mut datagram = Vec::new();
        packet.serialize(&mut datagram);
        datagram
    }

    fn control(&mut self, now: Instant, timestamp: u32, control_type: ControlTypes) {
        let packet = ControlPacket {
            timestamp: TimeStamp::from_micros(timestamp),
            dest_sockid: SocketId(self.socket_id),
            control_type,
        };
        self.machine.handle_packet_input(now, Ok((Packet::Control(packet), self.remote)));
    }
}

/// Of every packet.
const HEADER: usize = 16;
/// Packets that may wait for lost ones: ten seconds of 8 Mbit/s, 12 MB.
const BUFFER: u64 = 8_192;
const MIN_PACKET: u32 = 128;
const MAX_PACKET: u32 = 1_500;

// Types of control packets (draft-sharabayko-srt-01 table 1).
const HANDSHAKE: u8 = 0;
const KEEP_ALIVE: u8 = 1;
const SHUTDOWN: u8 = 5;
const ACKACK: u8 = 6;
const DROP_REQUEST: u8 = 7;
/// Subtype of user-defined control packets, and extension type in the handshake.
const KEY_MATERIAL: u16 = 3;

#[cfg(test)]
mod tests {
    use super::{
        super::handshake::{Knock, tests::conclusion},
        *,
    };

    const US: u32 = 0x1234;

    fn start(now: Instant) -> Connection {
        let Some(Knock::Conclusion(knock)) = Knock::parse(&conclusion("7-secret")) else { panic!() };
        // The key took 100 ms to check.
        let arrived = now - Duration::from_millis(100);
        Connection::new(
            now,
            ([192, 0, 2, 1], 5_000).into(),
            US,
            &knock,
            arrived,
            Duration::from_millis(120),
            Keys(None),
        )
    }

    fn data(number: u32, micros: u32, to: u32) -> Bytes {
        let words = [number, 0xc000_0000 | (number - 76), micros, to];
        let header = words.iter().flat_map(|word| word.to_be_bytes());
        header.chain(format!("payload {number}").into_bytes()).collect()
    }

    fn control(kind: u8, to: u32) -> Bytes {
        let words = [0x8000_0000 | u32::from(kind) << 16, 0, 0, to, 0];
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    /// Payloads and types of control packets until `now`.
    fn outcome(connection: &mut Connection, now: Instant) -> (Vec<String>, Vec<u8>) {
        connection.on_time(now);
        let (mut payloads, mut kinds, mut datagram) = (Vec::new(), Vec::new(), Vec::new());
        while connection.next_datagram(now, &mut datagram) {
            kinds.push(datagram[1]);
        }
        while let Some(payload) = connection.next_payload(now) {
            payloads.push(String::from_utf8_lossy(&payload).into_owned());
        }
        (payloads, kinds)
    }

    #[test]
    fn payloads_come_in_order_and_when_they_are_due() {
        let begin = Instant::now();
        let at = |millis| begin + Duration::from_millis(millis);
        let mut connection = start(begin);
        // The caller's clock said 5 ms when it called, so it says 105 ms now; it wants 200 ms.
        assert!(!connection.on_datagram(at(1), data(77, 106_000, US)));
        assert!(!connection.on_datagram(at(3), data(79, 108_000, US)));
        let (payloads, kinds) = outcome(&mut connection, at(30));
        assert!(payloads.is_empty() && kinds.contains(&3), "a report of loss: {payloads:?} {kinds:?}");
        connection.on_datagram(at(60), data(78, 107_000, US));
        assert_eq!(outcome(&mut connection, at(190)).0, [""; 0]);
        assert_eq!(outcome(&mut connection, at(230)).0, ["payload 77", "payload 78", "payload 79"]);
        assert_eq!(connection.loss().0, 0);
        assert_eq!(connection.heard(), at(60));
    }

    #[test]
    fn an_acknowledged_acknowledgement_tells_the_round_trip() {
        let begin = Instant::now();
        let at = |millis| begin + Duration::from_millis(millis);
        let mut connection = start(begin);
        connection.on_datagram(at(1), data(77, 106_000, US));
        connection.on_time(at(20));
        let (mut datagram, mut number) = (Vec::new(), None);
        while connection.next_datagram(at(20), &mut datagram) {
            if datagram[1] == 2 {
                number = datagram[4..8].first_chunk::<4>().copied();
            }
        }
        assert_eq!(connection.round_trip(), None);
        let mut answer = control(ACKACK, US).to_vec();
        answer[4..8].copy_from_slice(&number.unwrap());
        connection.on_datagram(at(180), answer.into());
        assert_eq!(connection.round_trip(), Some(Duration::from_millis(160)));
    }

    #[test]
    fn what_never_comes_is_given_up() {
        let begin = Instant::now();
        let at = |millis| begin + Duration::from_millis(millis);
        let mut connection = start(begin);
        connection.on_datagram(at(1), data(77, 106_000, US));
        connection.on_datagram(at(3), data(80, 108_000, US));
        connection.on_datagram(at(53), data(81, 158_000, US));
        connection.on_datagram(at(54), data(82, 159_000, US));
        let mut payloads = Vec::new();
        for millis in (10..400).step_by(10) {
            payloads.extend(outcome(&mut connection, at(millis)).0);
        }
        // The machine gives the packet right behind a hole up with it, and then goes on.
        assert_eq!(payloads, ["payload 77", "payload 81", "payload 82"]);
        assert_eq!(connection.loss().0, 3);
    }

    #[test]
    fn only_what_a_caller_may_say_is_heard() {
        let begin = Instant::now();
        let later = begin + Duration::from_millis(5);
        let mut connection = start(begin);
        // Reports and warnings of a receiver, errors, keys of a caller that does not encrypt, a stranger's goodbye.
        for datagram in [control(2, US), control(3, US), control(4, US), control(8, US), data(77, 0, US + 1)]
        {
            assert!(!connection.on_datagram(later, datagram));
        }
        let mut keys = control(0x7f, US).to_vec();
        keys[..4].copy_from_slice(&[0xff, 0xff, 0, 3]);
        connection.on_datagram(later, keys.into());
        connection.on_datagram(later, control(5, US + 1));
        connection.on_datagram(later, Bytes::from_static(&[0x80]));
        assert_eq!(connection.heard(), begin);
        assert!(!connection.said_goodbye());
        // It has not heard the answer.
        assert!(connection.on_datagram(later, conclusion("7-secret").into()));
        connection.on_datagram(later, control(5, US));
        outcome(&mut connection, later);
        outcome(&mut connection, later + Duration::from_secs(2));
        assert!(connection.said_goodbye() && connection.is_over());
    }
}
