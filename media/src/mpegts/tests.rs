use proptest::prelude::*;

use super::{adts, packet::PACKET, section::checksum, *};

/// Writes transport streams.
#[derive(Default)]
struct Mux {
    counters: [u8; 8],
    out: Vec<u8>,
}

const MAP: u16 = 5;
const VIDEO: u16 = 6;
const AUDIO: u16 = 7;
const H264: u8 = 0x1b;
const AAC: u8 = 0x0f;

impl Mux {
    fn packets(&mut self, pid: u16, payload: &[u8], clock: Option<u64>) {
        let mut rest = payload;
        let mut first = true;
        while first || !rest.is_empty() {
            let counter = &mut self.counters[usize::from(pid)];
            let start = self.out.len();
            let said: Vec<u8> = match clock.filter(|_| first) {
                Some(clock) => {
                    let high = (clock >> 1) as u32;
                    [&[0x10][..], &high.to_be_bytes(), &[(clock << 7) as u8 | 0x7e, 0]].concat()
                }
                None => vec![],
            };
            let room = PACKET - 4 - if said.is_empty() { 0 } else { said.len() + 1 };
            let take = rest.len().min(room);
            let high = (pid >> 8) as u8 | if first { 0x40 } else { 0 };
            let adaptation = take < room || !said.is_empty();
            self.out.extend([SYNC, high, pid as u8, if adaptation { 0x30 } else { 0x10 } | *counter]);
            *counter = (*counter + 1) & 0x0f;
            if adaptation {
                let length = PACKET - 4 - 1 - take;
                self.out.push(length as u8);
                let field = self.out.len();
                self.out.extend(&said);
                if said.is_empty() && length > 0 {
                    self.out.push(0);
                }
                self.out.resize(field + length, 0xff);
            }
            self.out.extend(&rest[..take]);
            assert_eq!(self.out.len() - start, PACKET);
            rest = &rest[take..];
            first = false;
        }
    }

    fn section(&mut self, pid: u16, id: u8, number: u16, version: u8, body: &[u8]) {
        let length = (5 + body.len() + 4) as u16;
        let mut section = vec![id];
        section.extend((0xb000 | length).to_be_bytes());
        section.extend(number.to_be_bytes());
        section.extend([0xc1 | version << 1, 0, 0]);
        section.extend(body);
        section.extend(checksum(&section).to_be_bytes());
        self.packets(pid, &[&[0][..], &section].concat(), None);
    }

    fn tables(&mut self, version: u8, streams: &[(u8, u16, &[u8])]) {
        self.section(0, 0, 9, 0, &[0, 0, 0xe0, 4, 0, 1, 0xe0, MAP as u8]);
        let mut body = vec![0xe0, VIDEO as u8, 0xf0, 0];
        for (coding, pid, descriptors) in streams {
            body.push(*coding);
            body.extend((0xe000 | pid).to_be_bytes());
            body.extend((0xf000 | descriptors.len() as u16).to_be_bytes());
            body.extend(*descriptors);
        }
        self.section(MAP, 2, 1, version, &body);
    }

    fn usual() -> Self {
        let mut mux = Self::default();
        mux.tables(0, &[(H264, VIDEO, &[]), (AAC, AUDIO, &[])]);
        mux
    }

    fn pes(&mut self, pid: u16, show: u64, decode: Option<u64>, sized: bool, data: &[u8]) {
        let stamp = |mark: u8, time: u64| {
            let field = [
                mark << 4 | (time >> 29) as u8 & 0x0e | 1,
                (time >> 22) as u8,
                (time >> 14) as u8 | 1,
                (time >> 7) as u8,
                (time << 1) as u8 | 1,
            ];
            field.to_vec()
        };
        let (flags, times) = match decode {
            Some(decode) => (0xc0, [stamp(3, show), stamp(1, decode)].concat()),
            None => (0x80, stamp(2, show)),
        };
        let length = if sized { (3 + times.len() + data.len()) as u16 } else { 0 };
        let mut bytes = vec![0, 0, 1, if pid == VIDEO { 0xe0 } else { 0xc0 }];
        bytes.extend(length.to_be_bytes());
        bytes.extend([0x80, flags, times.len() as u8]);
        bytes.extend(times);
        bytes.extend(data);
        self.packets(pid, &bytes, (pid == VIDEO).then(|| decode.unwrap_or(show).saturating_sub(9_000)));
    }
}

fn all(bytes: &[u8]) -> Vec<Event> {
    Demuxer::default().push(bytes)
}

fn picture(show: u64, data: &[u8]) -> Event {
    Event::Picture { codec: Codec::H264, show: Ticks((1 << 33) + show), key: false, data: data.to_vec() }
}

#[test]
fn pictures_and_sound() {
    let mut mux = Mux::usual();
    let (long, short) = ([5; 900], [6; 20]);
    mux.pes(VIDEO, 90_000, Some(86_400), false, &long);
    mux.pes(AUDIO, 90_100, None, true, &[adts::frame(&[1; 40]), adts::frame(&[2; 300])].concat());
    mux.pes(VIDEO, 93_600, None, true, &short);
    mux.pes(VIDEO, 97_200, None, false, &short);
    let events = all(&mux.out);
    let at = |ticks: u64| Ticks((1 << 33) + ticks);
    let expected = [
        picture(90_000, &long),
        Event::AacConfiguration([0x12, 0x10]),
        Event::Aac(at(90_100), vec![1; 40]),
        Event::Aac(at(92_190), vec![2; 300]),
        picture(93_600, &short),
        // At once, since its packet is filled up.
        picture(97_200, &short),
    ];
    assert_eq!(events, expected);
}

#[test]
fn a_picture_that_fills_its_packets_ends_with_the_next() {
    let mut mux = Mux::usual();
    // Start code and length, flags, one time, and the clock in front.
    let exact = [7; PACKET - 4 - 8 - 14];
    mux.pes(VIDEO, 0, None, false, &exact);
    assert_eq!(all(&mux.out), []);
    mux.pes(VIDEO, 3_600, None, false, &exact);
    assert_eq!(all(&mux.out), [picture(0, &exact)]);
}

#[test]
fn filling_in_the_middle_is_believed_once() {
    let mut mux = Mux::usual();
    let part = |mux: &mut Mux, first: bool, time: u64| {
        let begin = mux.out.len();
        if first {
            mux.pes(VIDEO, time, None, false, &[1; 10]);
        } else {
            mux.packets(VIDEO, &[2; 10], None);
            mux.out[begin + 1] &= !0x40;
        }
    };
    for time in [0, 3_600, 7_200] {
        part(&mut mux, true, time);
        part(&mut mux, false, time);
    }
    let mut demuxer = Demuxer::default();
    let whole = [[1; 10], [2; 10]].concat();
    assert_eq!(demuxer.push(&mux.out), [picture(0, &[1; 10]), picture(3_600, &whole)]);
    assert_eq!(demuxer.broken(), 1);
}

#[test]
fn lost_packets_break_what_they_were_in() {
    let mut mux = Mux::usual();
    mux.pes(VIDEO, 0, None, false, &[1; 900]);
    let begin = mux.out.len();
    mux.pes(VIDEO, 3_600, None, false, &[2; 900]);
    mux.pes(VIDEO, 7_200, None, false, &[3; 900]);
    mux.out.drain(begin + 2 * PACKET..begin + 3 * PACKET);
    let mut demuxer = Demuxer::default();
    assert_eq!(demuxer.push(&mux.out), [picture(0, &[1; 900]), picture(7_200, &[3; 900])]);
    assert_eq!(demuxer.broken(), 1);
}

#[test]
fn a_packet_that_comes_twice_counts_once() {
    let mut mux = Mux::usual();
    let begin = mux.out.len();
    mux.pes(VIDEO, 0, None, false, &[1; 900]);
    let second = mux.out[begin + PACKET..begin + 2 * PACKET].to_vec();
    mux.out.splice(begin + 2 * PACKET..begin + 2 * PACKET, second);
    assert_eq!(all(&mux.out), [picture(0, &[1; 900])]);
}

#[test]
fn times_wrap() {
    let mut mux = Mux::usual();
    let last = (1 << 33) - 1_800;
    mux.pes(VIDEO, last, None, false, &[1; 9]);
    mux.pes(AUDIO, 100, None, true, &adts::frame(&[1; 40]));
    mux.pes(VIDEO, 1_800, None, false, &[2; 9]);
    let events = all(&mux.out);
    assert_eq!(events.first(), Some(&picture(last, &[1; 9])));
    assert_eq!(events.last(), Some(&picture(last + 3_600, &[2; 9])));
    assert!(events.contains(&Event::Aac(Ticks((1 << 33) + last + 1_900), vec![1; 40])));
}

#[test]
fn a_new_clock_is_told_for_each_track() {
    let mut mux = Mux::usual();
    mux.pes(VIDEO, 900_000, None, false, &[1; 9]);
    mux.pes(AUDIO, 900_000, None, true, &adts::frame(&[1; 40]));
    let begin = mux.out.len();
    // Half a second back: only the reference tells.
    mux.pes(VIDEO, 855_000, None, false, &[2; 9]);
    mux.out[begin + 5] |= 0x80;
    mux.pes(AUDIO, 855_000, None, true, &adts::frame(&[2; 40]));
    mux.pes(VIDEO, 858_600, None, false, &[3; 9]);
    let kinds: Vec<_> = all(&mux.out)
        .into_iter()
        .map(|event| match event {
            Event::Jump(Kind::Video) => 'J',
            Event::Jump(Kind::Audio) => 'j',
            Event::Picture { .. } => 'V',
            Event::Aac(..) => 'a',
            _ => 'c',
        })
        .collect();
    assert_eq!(kinds.into_iter().collect::<String>(), "VcaJVjaV");
}

#[test]
fn what_cannot_be_taken_is_named_once() {
    let mut mux = Mux::default();
    let opus = b"\x05\x04Opus";
    for version in [0, 0, 1] {
        mux.tables(version, &[(0x33, VIDEO, &[]), (0x06, AUDIO, opus), (0x11, 3, &[])]);
    }
    let events = all(&mux.out);
    let [Event::Unsupported(what)] = events[..] else { panic!("{events:?}") };
    assert!(what.to_string().contains("H.266"));
    // The second H.264 and the second AAC are not looked at.
    let mut mux = Mux::usual();
    mux.tables(1, &[(H264, VIDEO, &[]), (H264, 3, &[]), (0x11, 4, &[])]);
    mux.pes(3, 0, None, false, &[1; 9]);
    mux.pes(VIDEO, 0, None, false, &[1; 9]);
    let events = all(&mux.out);
    assert_eq!(events.len(), 2, "{events:?}");
    assert!(matches!(&events[0], Event::Unsupported(what) if what.to_string().contains("LATM")));
}

#[test]
fn pictures_in_h265_are_told_apart() {
    for (stream_type, descriptors) in [(0x24, &b""[..]), (0x06, b"\x05\x04HEVC")] {
        let mut mux = Mux::default();
        mux.tables(0, &[(stream_type, VIDEO, descriptors)]);
        mux.pes(VIDEO, 0, None, true, &[1; 9]);
        let events = all(&mux.out);
        assert!(matches!(&events[..], [Event::Picture { codec: Codec::H265, .. }]), "{events:?}");
    }
}

#[test]
fn a_broken_table_is_not_believed() {
    let mut mux = Mux::usual();
    let end = mux.out.len() - 1;
    mux.out[end] ^= 1;
    mux.pes(VIDEO, 0, None, false, &[1; 9]);
    let mut demuxer = Demuxer::default();
    assert_eq!(demuxer.push(&mux.out), []);
    assert!(demuxer.broken() > 0);
}

#[test]
fn opus_has_its_own_headers() {
    let mut mux = Mux::default();
    mux.tables(0, &[(0x06, AUDIO, b"\x05\x04Opus")]);
    mux.pes(AUDIO, 90, None, true, &[0x7f, 0xe0, 2, 0xfc, 1]);
    assert_eq!(all(&mux.out), [Event::Opus(Ticks((1 << 33) + 90), vec![0xfc, 1])]);
}

#[test]
fn a_picture_without_end_has_a_bound() {
    let mut mux = Mux::usual();
    mux.pes(VIDEO, 0, None, false, &vec![1; (4 << 20) + 1_000]);
    mux.pes(VIDEO, 0, None, false, &[1; 9]);
    let mut demuxer = Demuxer::default();
    assert_eq!(demuxer.push(&mux.out), [picture(0, &[1; 9])]);
    assert_eq!(demuxer.broken(), 1);
}

fn stream() -> Vec<u8> {
    let mut mux = Mux::usual();
    for n in 0..12 {
        mux.pes(VIDEO, n * 3_600, None, n % 3 == 0, &vec![n as u8; 100 + 97 * n as usize]);
        mux.pes(AUDIO, n * 3_600, None, true, &adts::frame(&[1; 200]));
    }
    mux.out
}

proptest! {
    #[test]
    fn any_cutting_gives_the_same(
        cuts in proptest::collection::vec(1_usize..400, 1..80),
        junk in proptest::collection::vec((0_usize..6_000, any::<u8>()), 0..12),
        front in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut bytes = [front, stream()].concat();
        for (at, byte) in junk {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let mut demuxer = Demuxer::default();
        let whole = demuxer.push(&bytes);
        let mut other = Demuxer::default();
        let mut pieces = Vec::new();
        let mut rest = &bytes[..];
        for cut in cuts.iter().cycle() {
            let (piece, behind) = rest.split_at(rest.len().min(*cut));
            pieces.extend(other.push(piece));
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(whole, pieces);
        prop_assert_eq!(demuxer.broken(), other.broken());
    }

    #[test]
    fn junk_in_front_is_passed_over(front in proptest::collection::vec(any::<u8>(), 0..1_000)) {
        let count = |bytes: &[u8]| all(bytes).len();
        let bytes = [front, stream(), stream()].concat();
        prop_assert!(count(&bytes) >= count(&stream()));
    }

    #[test]
    fn hostile_bytes_do_no_harm(
        packets in proptest::collection::vec((0_u16..8, proptest::collection::vec(any::<u8>(), PACKET)), 0..60),
    ) {
        let mut bytes = Mux::usual().out;
        for (pid, mut packet) in packets {
            packet[0] = SYNC;
            packet[1] = packet[1] & 0x40 | (pid >> 8) as u8;
            packet[2] = pid as u8;
            bytes.extend(packet);
        }
        let events = all(&bytes);
        prop_assert!(events.len() < bytes.len());
    }
}
