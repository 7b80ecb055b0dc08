//! Pictures and sound in, RTP out: what doors need whose publishers do not send RTP themselves (RTMP, SRT).
//!
//! Sans-IO. All times are of the source's one media clock; a track's RTP timestamps, and the sender reports that let the
//! relay put both tracks together, are worked out from it. Packets have the sizes that FTL's clients use.

mod opus_clock;
mod pace;
mod parameter_sets;

use std::time::{Duration, Instant};

use bytes::Bytes;
use heliograph_media::{
    ClockRate, Codec, NtpTime, PayloadType, Ssrc, WireSeq, av1,
    h264::Packetiser,
    h265,
    rtcp::{SenderInfo, write_sdes_cname, write_sender_report},
    rtp::{HEADER_LEN, write_rtp_header},
};

pub(crate) use opus_clock::OpusClock;
pub(crate) use pace::{LongestWait, Pace, Waiting};
pub(crate) use parameter_sets::ParameterSets;

use crate::layers::{Layer, payload_type};

/// The way of one session's media to the relay.
pub struct Outlet {
    pictures: [Pictures; Layer::MOST],
    audio: Track,
    /// Our wall clock at time zero of the media clock, known with the first picture or sound.
    zero: Option<NtpTime>,
    wall_clock: NtpTime,
    random: Box<dyn FnMut() -> u32 + Send>,
    datagram: Vec<u8>,
}

/// One layer of the picture.
#[derive(Debug)]
struct Pictures {
    track: Track,
    parameters: ParameterSets,
    /// The latest showing time so far.
    latest: Duration,
    reordered: bool,
}

#[derive(Debug)]
struct Track {
    payload_type: PayloadType,
    rate: ClockRate,
    ssrc: Ssrc,
    seq: WireSeq,
    /// RTP timestamp of media time zero.
    offset: u32,
    packets: u32,
    octets: u32,
    /// The last report, and what had been sent by then.
    reported: Option<Instant>,
}

/// One coded picture.
#[derive(Clone, Copy, Debug)]
pub struct Picture<'a> {
    /// When it is to be shown, on the media clock.
    pub show: Duration,
    /// The container says that a decoder can start here.
    pub key: bool,
    /// NAL units without lengths or start codes; OBUs of AV1.
    pub units: &'a [&'a [u8]],
}

impl Outlet {
    /// `wall_clock` is the time now; `random` gives SSRCs and where numbers begin (RFC 3550 section 5.1).
    #[must_use]
    pub fn new(wall_clock: NtpTime, mut random: Box<dyn FnMut() -> u32 + Send>) -> Self {
        let mut layers = Layer::all();
        Self {
            pictures: std::array::from_fn(|_| Pictures {
                track: Track::pictures(layers.next().unwrap_or_default(), &mut random),
                parameters: ParameterSets::default(),
                latest: Duration::ZERO,
                reordered: false,
            }),
            audio: Track::new(PayloadType::OPUS, ClockRate::OPUS, &mut random),
            zero: None,
            wall_clock,
            random,
            datagram: Vec::new(),
        }
    }

    /// How the pictures of a layer are coded that follow, and the parameter sets that the container keeps apart from them.
    /// Without it, they are H.264.
    pub fn configure(&mut self, layer: Layer, codec: Codec, sets: Vec<Bytes>) {
        if codec != self.pictures[layer.index()].parameters.codec() {
            // Another source: what a decoder knows is of no use.
            self.restart_pictures(layer);
        }
        self.pictures[layer.index()].parameters.replace(codec, sets);
    }

    /// How the pictures are coded.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.pictures[Layer::FIRST.index()].parameters.codec()
    }

    /// Sends a picture: `send` gets each RTP and RTCP datagram.
    pub fn picture(
        &mut self,
        now: Instant,
        layer: Layer,
        picture: Picture<'_>,
        send: &mut impl FnMut(&[u8]),
    ) {
        let Pictures { track, parameters, latest, reordered } = &mut self.pictures[layer.index()];
        *reordered |= picture.show < *latest;
        *latest = picture.show.max(*latest);
        let codec = parameters.codec();
        let units = parameters.complete(picture.units, picture.key);
        if units.is_empty() {
            return;
        }
        let at = track.rate.ticks(picture.show);
        self.zero.get_or_insert(minus(self.wall_clock, picture.show));
        track.report(now, picture.show, self.zero, at, send);
        let datagram = &mut self.datagram;
        let one = |prefix: &[u8], body: &[u8], marker: bool| {
            track.header(datagram, marker, at);
            datagram.extend_from_slice(prefix);
            datagram.extend_from_slice(body);
            track.count(datagram);
            send(datagram);
        };
        packetise(codec, &units, one);
    }

    /// Sends one Opus packet that is to be heard `at` samples (48 kHz) after the media clock's zero.
    pub fn sound(&mut self, now: Instant, at: u64, packet: &[u8], send: &mut impl FnMut(&[u8])) {
        if packet.is_empty() || packet.len() > heliograph_media::opus::MAX_PAYLOAD {
            return;
        }
        let time = self.audio.rate.duration(at);
        self.zero.get_or_insert(minus(self.wall_clock, time));
        let starts = self.audio.packets == 0;
        self.audio.report(now, time, self.zero, at, send);
        self.audio.header(&mut self.datagram, starts, at);
        self.datagram.extend_from_slice(packet);
        self.audio.count(&self.datagram);
        send(&self.datagram);
    }

    /// The source's clock of a layer's pictures jumped: the relay must not take it for a gap.
    pub fn restart_pictures(&mut self, layer: Layer) {
        let pictures = &mut self.pictures[layer.index()];
        pictures.track = Track::pictures(layer, &mut self.random);
        pictures.latest = Duration::ZERO;
        pictures.reordered = false;
    }

    /// The same for sound.
    pub fn restart_audio(&mut self) {
        self.audio = Track::new(PayloadType::OPUS, ClockRate::OPUS, &mut self.random);
    }

    /// Pictures of this layer came in another order than they are to be shown in (B-frames), which browsers show unevenly.
    #[must_use]
    pub fn is_reordered(&self, layer: Layer) -> bool {
        self.pictures[layer.index()].reordered
    }

    /// The same of any layer.
    #[must_use]
    pub fn reordered(&self) -> bool {
        self.pictures.iter().any(|pictures| pictures.reordered)
    }

    /// Width and height of the largest layer's pictures in pixels, once known.
    #[must_use]
    pub fn picture_size(&self) -> Option<(u32, u32)> {
        let sizes = self.pictures.iter().filter_map(|pictures| pictures.parameters.picture_size());
        sizes.max_by_key(|(width, height)| u64::from(*width) * u64::from(*height))
    }
}

/// The payloads of a picture: what goes in front, the bytes, and whether it is the last one.
fn packetise(codec: Codec, units: &[&[u8]], mut each: impl FnMut(&[u8], &[u8], bool)) {
    match codec {
        Codec::H265 => h265::packetise(units, MAX_PAYLOAD, each),
        Codec::Av1 => av1::packetise(units, MAX_PAYLOAD, |payload, last| each(&[], payload, last)),
        _ => {
            for piece in Packetiser::FTL.packets(units.iter().copied()) {
                each(piece.prefix.as_ref().map_or(&[], |prefix| &prefix[..]), piece.body, piece.marker);
            }
        }
    }
}

impl Track {
    fn pictures(layer: Layer, random: &mut impl FnMut() -> u32) -> Self {
        // Whatever the codec: all of them have the same numbers.
        Self::new(payload_type(Codec::H264, layer), ClockRate::VIDEO, random)
    }

    fn new(payload_type: PayloadType, rate: ClockRate, random: &mut impl FnMut() -> u32) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
        let seq = WireSeq(random() as u16);
        let (ssrc, offset) = (Ssrc(random()), random());
        Self { payload_type, rate, ssrc, seq, offset, packets: 0, octets: 0, reported: None }
    }

    fn timestamp(&self, ticks: u64) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "timestamps wrap")]
        self.offset.wrapping_add(ticks as u32)
    }

    fn header(&mut self, datagram: &mut Vec<u8>, marker: bool, ticks: u64) {
        let mut header = [0; HEADER_LEN];
        write_rtp_header(&mut header, marker, self.payload_type, self.seq, self.timestamp(ticks), self.ssrc);
        self.seq = WireSeq(self.seq.0.wrapping_add(1));
        datagram.clear();
        datagram.extend(header);
    }

    fn count(&mut self, datagram: &[u8]) {
        self.packets = self.packets.wrapping_add(1);
        let payload = u32::try_from(datagram.len() - HEADER_LEN).unwrap_or(u32::MAX);
        self.octets = self.octets.wrapping_add(payload);
    }

    /// A sender report, when one is due: before the first packet, so that the relay knows at once what belongs together,
    /// then every second.
    fn report(
        &mut self,
        now: Instant,
        time: Duration,
        zero: Option<NtpTime>,
        ticks: u64,
        send: &mut impl FnMut(&[u8]),
    ) {
        let due = self.reported.is_none_or(|last| now.saturating_duration_since(last) >= REPORT_EVERY);
        let Some(zero) = zero.filter(|_| due) else { return };
        self.reported = Some(now);
        let mut datagram = Vec::with_capacity(64);
        let info = SenderInfo {
            ssrc: self.ssrc,
            ntp: plus(zero, time),
            rtp_timestamp: self.timestamp(ticks),
            packets: self.packets,
            octets: self.octets,
        };
        write_sender_report(&mut datagram, &info, &[]);
        write_sdes_cname(&mut datagram, self.ssrc, CNAME);
        send(&datagram);
    }
}

fn plus(time: NtpTime, by: Duration) -> NtpTime {
    NtpTime(time.0.wrapping_add(fixed(by)))
}

fn minus(time: NtpTime, by: Duration) -> NtpTime {
    NtpTime(time.0.wrapping_sub(fixed(by)))
}

/// 32.32 seconds.
fn fixed(time: Duration) -> u64 {
    (time.as_secs() << 32) | ((u64::from(time.subsec_nanos()) << 32) / 1_000_000_000)
}

/// As FTL's clients have it, whatever the codec.
const MAX_PAYLOAD: usize = Packetiser::FTL_PAYLOAD;
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// Both tracks of a session have one name (RFC 3550 section 6.5.1); nobody but the relay reads it.
const CNAME: &str = "heliograph";

#[cfg(test)]
mod tests {
    use heliograph_media::{h264::NalType, rtcp, rtp::RtpHeader};

    use super::*;

    struct Sim {
        outlet: Outlet,
        now: Instant,
        sent: Vec<Vec<u8>>,
    }

    impl Sim {
        fn new() -> Self {
            let mut next = 0x1000_0000;
            let random = Box::new(move || {
                next += 0x1111;
                next
            });
            let wall_clock = NtpTime::from_unix(Duration::from_secs(1_700_000_000));
            Self { outlet: Outlet::new(wall_clock, random), now: Instant::now(), sent: Vec::new() }
        }

        fn picture(&mut self, show_ms: u64, key: bool, units: &[&[u8]]) {
            self.picture_of(Layer::FIRST, show_ms, key, units);
        }

        fn picture_of(&mut self, layer: Layer, show_ms: u64, key: bool, units: &[&[u8]]) {
            let picture = Picture { show: Duration::from_millis(show_ms), key, units };
            let sent = &mut self.sent;
            self.outlet
                .picture(self.now, layer, picture, &mut |datagram: &[u8]| sent.push(datagram.to_vec()));
        }

        fn sound(&mut self, at: u64) {
            let sent = &mut self.sent;
            self.outlet.sound(self.now, at, &[0xfc, 1], &mut |datagram: &[u8]| sent.push(datagram.to_vec()));
        }

        /// RTP packets since the last call: marker, sequence number, timestamp and first payload byte.
        fn packets(&mut self) -> Vec<(bool, u16, u32, u8)> {
            self.sent
                .drain(..)
                .filter(|datagram| !rtcp::is_rtcp(datagram))
                .map(|datagram| {
                    let header = RtpHeader::parse(&datagram).unwrap();
                    (header.marker, header.seq.0, header.timestamp, datagram[header.payload.start])
                })
                .collect()
        }

        /// SSRC, NTP and timestamp of the sender reports since the last call.
        fn reports(&mut self) -> Vec<(u32, u64, u32)> {
            let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
            self.sent
                .iter()
                .filter(|datagram| rtcp::is_rtcp(datagram))
                .map(|report| {
                    let ntp = u64::from_be_bytes(report[8..16].try_into().unwrap());
                    (number(&report[4..8]), ntp, number(&report[16..20]))
                })
                .collect()
        }
    }

    const SPS: &[u8] = &[0x67, 1];
    const PPS: &[u8] = &[0x68, 1];
    const IDR: &[u8] = &[0x65, 0x88];
    const SLICE: &[u8] = &[0x41, 0x9a];

    #[test]
    fn parameter_sets_go_before_every_keyframe_with_its_timestamp() {
        let mut sim = Sim::new();
        sim.outlet.configure(
            Layer::FIRST,
            Codec::H264,
            [SPS, PPS].into_iter().map(Bytes::copy_from_slice).collect(),
        );
        sim.picture(1_000, true, &[&[0x09, 0xf0], &[0x06, 5, 1, 0x80], IDR]);
        let packets = sim.packets();
        assert_eq!(packets.iter().map(|packet| packet.3).collect::<Vec<_>>(), [0x67, 0x68, 0x65]);
        assert!(packets.iter().all(|packet| packet.2 == packets[0].2));
        assert_eq!(packets.iter().map(|packet| packet.0).collect::<Vec<_>>(), [false, false, true]);
        assert!(packets.windows(2).all(|pair| pair[1].1 == pair[0].1.wrapping_add(1)));
        sim.picture(1_033, false, &[SLICE]);
        let next = sim.packets();
        assert_eq!(next.len(), 1);
        assert_eq!(next[0].2 - packets[0].2, 33 * 90);
        // A picture of nothing but what is dropped is no picture.
        sim.picture(1_066, false, &[&[0x09, 0xf0]]);
        assert_eq!(sim.packets(), []);
        assert_eq!(NalType::of_header(0x09), NalType::AUD);
    }

    #[test]
    fn other_codecs_have_their_own_sets_and_packets() {
        let bytes =
            |sets: &[&'static [u8]]| sets.iter().map(|set| Bytes::from_static(set)).collect::<Vec<_>>();
        let mut sim = Sim::new();
        sim.picture(0, true, &[IDR]);
        sim.sent.clear();
        sim.outlet.configure(
            Layer::FIRST,
            Codec::H265,
            bytes(&[&[0x40, 1, 1], &[0x42, 1, 1], &[0x44, 1, 1]]),
        );
        let large = [&[0x26, 1][..], &[7; 1_400]].concat();
        // A delimiter, and a picture in two fragments.
        sim.picture(1_000, true, &[&[0x46, 1, 0x50], &large]);
        assert_eq!(sim.reports().len(), 1, "a new source");
        let packets = sim.packets();
        assert_eq!(packets.iter().map(|packet| packet.3).collect::<Vec<_>>(), [0x40, 0x42, 0x44, 0x62, 0x62]);
        assert_eq!(packets.iter().filter(|packet| packet.0).count(), 1);
        sim.outlet.configure(Layer::FIRST, Codec::Av1, bytes(&[&[0x0a, 1, 7]]));
        sim.picture(2_000, true, &[&[0x12, 0], &[0x32, 1, 9]]);
        // The sequence header, which begins a new sequence, and the frame.
        assert_eq!(
            sim.packets().iter().map(|packet| (packet.0, packet.3)).collect::<Vec<_>>(),
            [(true, 0x08)]
        );
        sim.picture(2_040, false, &[&[0x12, 0], &[0x32, 1, 9]]);
        assert_eq!(sim.packets().len(), 1);
    }

    #[test]
    fn reports_come_first_then_every_second_and_put_both_tracks_on_one_clock() {
        let mut sim = Sim::new();
        sim.picture(5_000, true, &[IDR]);
        assert!(rtcp::is_rtcp(&sim.sent[0]));
        sim.sound(4_990 * 48);
        let reports = sim.reports();
        assert_eq!(reports.len(), 2);
        assert_ne!(reports[0].0, reports[1].0);
        // Sound of 10 ms earlier is said to be of 10 ms earlier.
        let apart = NtpTime(reports[0].1).since(NtpTime(reports[1].1)).unwrap();
        assert!(apart.abs_diff(Duration::from_millis(10)) < Duration::from_micros(1), "{apart:?}");
        let timestamp = sim.packets()[0].2;
        assert_eq!(timestamp, reports[0].2);
        for step in 1..=100 {
            sim.now += Duration::from_millis(33);
            sim.picture(5_000 + step * 33, false, &[SLICE]);
        }
        assert_eq!(sim.reports().len(), 3);
    }

    #[test]
    fn layers_are_sources_of_their_own_on_one_clock() {
        let mut sim = Sim::new();
        let second = Layer::all().nth(1).unwrap();
        let sets = |sps: &[u8]| [sps, PPS].into_iter().map(Bytes::copy_from_slice).collect::<Vec<_>>();
        sim.outlet.configure(Layer::FIRST, Codec::H264, sets(SPS));
        sim.outlet.configure(second, Codec::H264, sets(&[0x67, 2]));
        sim.picture(5_000, true, &[IDR]);
        sim.picture_of(second, 5_010, true, &[IDR]);
        let reports = sim.reports();
        assert_eq!(reports.len(), 2);
        assert_ne!(reports[0].0, reports[1].0);
        let apart = NtpTime(reports[1].1).since(NtpTime(reports[0].1)).unwrap();
        assert!(apart.abs_diff(Duration::from_millis(10)) < Duration::from_micros(1), "{apart:?}");
        let sent = sim.sent.iter().filter(|datagram| !rtcp::is_rtcp(datagram)).map(|datagram| {
            let header = RtpHeader::parse(datagram).unwrap();
            (header.payload_type.get(), datagram[header.payload.start + 1])
        });
        // Each has its own parameter sets.
        assert_eq!(sent.collect::<Vec<_>>(), [(96, 1), (96, 1), (96, 0x88), (98, 2), (98, 1), (98, 0x88)]);
        // What one of them does is no matter of the other.
        sim.picture_of(second, 5_000, false, &[SLICE]);
        assert!(sim.outlet.is_reordered(second) && !sim.outlet.is_reordered(Layer::FIRST));
        sim.sent.clear();
        sim.outlet.restart_pictures(second);
        sim.picture(5_040, false, &[SLICE]);
        assert_eq!(sim.reports(), []);
        sim.picture_of(second, 90_000, true, &[IDR]);
        assert_ne!(sim.reports()[0].0, reports[1].0);
    }

    #[test]
    fn other_order_is_noticed() {
        let mut sim = Sim::new();
        for show in [0, 33, 66] {
            sim.picture(show, false, &[SLICE]);
        }
        assert!(!sim.outlet.reordered());
        sim.picture(50, false, &[SLICE]);
        assert!(sim.outlet.reordered());
    }

    #[test]
    fn a_restart_is_a_new_source() {
        let mut sim = Sim::new();
        sim.picture(0, true, &[IDR]);
        sim.outlet.restart_pictures(Layer::FIRST);
        sim.picture(0, true, &[IDR]);
        let reports = sim.reports();
        assert_eq!(reports.len(), 2);
        assert_ne!(reports[0].0, reports[1].0);
    }

    #[test]
    fn what_is_no_opus_is_not_sent() {
        let mut sim = Sim::new();
        let sent = &mut sim.sent;
        for packet in [&[][..], &[0; 1_276]] {
            sim.outlet.sound(sim.now, 0, packet, &mut |datagram: &[u8]| sent.push(datagram.to_vec()));
        }
        assert!(sim.sent.is_empty());
    }
}
