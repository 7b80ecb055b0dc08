//! One track on its way to one viewer: header, number, seal.

use heliograph_edge::{
    sdp::NegotiatedTrack,
    srtp::{PacketIndex, RtpSealer},
};
use heliograph_media::{
    Codec, NtpTime, PayloadType, SeqNo, Ssrc,
    picture_ids::{MAX_PREFIX, PictureIds, PictureShift},
};

use super::{
    capture_time::{CaptureElement, CaptureLine, CaptureTimes},
    cursor::{Cursor, OutSeq, Passage},
    extensions::Extensions,
    line::Number,
};
use crate::{Packet, PlayoutDelay, Track, worker::outbox::Lane};

/// Longest header: fixed part, extension header, playout delay and a media id; a number for the line, a capture time.
const MAX_HEADER: usize = 12 + MAX_EXTENSION + size_of::<Number>() + size_of::<CaptureElement>();
const MAX_EXTENSION: usize = 20;
/// Longest datagram that may become longer by a capture time: what tunnels and DSL lines carry whole, IPv6 included. Where
/// a picture's last packet would be longer, the next picture tells.
const MAX_WITH_CAPTURE_TIME: usize = 1_360;
/// Longest datagram. Anything that came in over an Ethernet-sized hop fits.
pub(super) const MAX_DATAGRAM: usize = 2000;

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// It lies in the outbox: so many bytes.
    Sent(usize),
    /// The outbox is full; flush it and try again.
    Full,
    /// It can never be sent, and was counted.
    Never,
}

/// A header extension block (RFC 8285, one-byte form), ready to copy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extension {
    bytes: [u8; MAX_EXTENSION],
    len: u8,
}

impl Extension {
    pub(super) const EMPTY: Self = Self { bytes: [0; MAX_EXTENSION], len: 0 };

    /// Each with its element's id, 1 to 14; a media id of at most 8 bytes.
    pub(super) fn new(playout: Option<(u8, PlayoutDelay)>, mid: Option<(u8, &[u8])>) -> Self {
        let mut bytes = [0; MAX_EXTENSION];
        let mut len = 4;
        if let Some((id, delay)) = playout {
            bytes[len] = id << 4 | 2;
            bytes[len + 1..len + 4].copy_from_slice(&delay.wire());
            len += 4;
        }
        if let Some((id, mid)) = mid {
            bytes[len] = id << 4 | (mid.len() - 1) as u8;
            bytes[len + 1..len + 1 + mid.len()].copy_from_slice(mid);
            len += 1 + mid.len();
        }
        if len == 4 {
            return Self::EMPTY;
        }
        let words = (len - 4).div_ceil(4);
        bytes[..4].copy_from_slice(&[0xbe, 0xde, 0, words as u8]);
        Self { bytes, len: 4 + 4 * words as u8 }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// A complete header on the stack.
pub(super) struct Header {
    bytes: [u8; MAX_HEADER],
    len: usize,
}

impl Header {
    fn new(
        payload_type: PayloadType,
        ssrc: Ssrc,
        out: OutSeq,
        packet: &Packet,
        timestamp: u64,
        extension: &Extension,
    ) -> Self {
        let extension = extension.bytes();
        let mut bytes = [0; MAX_HEADER];
        bytes[0] = 0x80 | if extension.is_empty() { 0 } else { 0x10 };
        bytes[1] = u8::from(packet.marker) << 7 | payload_type.get();
        bytes[2..4].copy_from_slice(&out.wire().0.to_be_bytes());
        // The timeline is unwrapped inside; the wire has its low 32 bits.
        bytes[4..8].copy_from_slice(&(timestamp as u32).to_be_bytes());
        bytes[8..12].copy_from_slice(&ssrc.0.to_be_bytes());
        bytes[12..12 + extension.len()].copy_from_slice(extension);
        Self { bytes, len: 12 + extension.len() }
    }

    /// Adds one more element to the extension, filled up to whole words.
    fn element(&mut self, element: &[u8]) {
        debug_assert!(element.len().is_multiple_of(4), "the extension's length counts words");
        const PROFILE: [u8; 4] = [0xbe, 0xde, 0, 0];
        if self.len == 12 {
            self.bytes[0] |= 0x10;
            self.bytes[12..16].copy_from_slice(&PROFILE);
            self.len = 16;
        }
        self.bytes[15] += (element.len() / 4) as u8;
        self.bytes[self.len..self.len + element.len()].copy_from_slice(element);
        self.len += element.len();
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// What one packet carries beyond [`Extensions`], and no copy of it does.
#[derive(Clone, Copy, Debug, Default)]
struct Extras {
    number: Option<Number>,
    captured: Option<CaptureElement>,
}

/// The header of a packet that carries no picture: without marker and extensions.
pub(super) fn plain_header(payload_type: PayloadType, ssrc: Ssrc, out: OutSeq, timestamp: u64) -> Header {
    let mut bytes = [0; MAX_HEADER];
    bytes[0] = 0x80;
    bytes[1] = payload_type.get();
    bytes[2..4].copy_from_slice(&out.wire().0.to_be_bytes());
    bytes[4..8].copy_from_slice(&(timestamp as u32).to_be_bytes());
    bytes[8..12].copy_from_slice(&ssrc.0.to_be_bytes());
    Header { bytes, len: 12 }
}

/// Sends one track to one viewer.
#[derive(Debug)]
pub(crate) struct TrackSender {
    ssrc: Ssrc,
    payload_type: PayloadType,
    cursor: Cursor,
    extensions: Extensions,
    /// If the viewer wants to be told.
    capture_times: Option<CaptureTimes>,
    /// Every packet is a frame of its own.
    whole_frames: bool,
    /// Of the last packet that was sent, as the viewer got it.
    last_timestamp: u64,
    /// It was the last one of its picture.
    last_marker: bool,
    /// Since the beginning, as sender reports count (wrapping).
    packets: u32,
    octets: u32,
}

impl TrackSender {
    /// `first_seq` is random below 2^15; `whole_frames`: every packet is a frame of its own.
    pub(crate) fn new(
        track: &NegotiatedTrack,
        first_seq: u16,
        playout: PlayoutDelay,
        whole_frames: bool,
    ) -> Self {
        let mid = track.mid_ext.zip(track.mid.as_deref());
        Self {
            ssrc: track.ssrc,
            payload_type: track.payload_type,
            cursor: Cursor::new(if whole_frames { Track::Audio } else { Track::Video }, first_seq),
            extensions: Extensions::new(track.playout_delay_ext, mid, playout),
            capture_times: CaptureTimes::new(track.capture_time_ext),
            whole_frames,
            last_timestamp: 0,
            last_marker: true,
            packets: 0,
            octets: 0,
        }
    }

    pub(crate) const fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    pub(crate) const fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    pub(crate) const fn packets(&self) -> u32 {
        self.packets
    }

    pub(crate) const fn octets(&self) -> u32 {
        self.octets
    }

    /// Of the last packet that was sent, as the viewer got it; zero before the first one.
    pub(crate) const fn last_timestamp(&self) -> u64 {
        self.last_timestamp
    }

    /// See [`Cursor::begin_at`].
    #[cfg(test)]
    pub(crate) fn begin_at(&mut self, out: u64) {
        self.cursor.begin_at(out);
    }

    /// Goes on at `seq`, at the stream's own pace.
    pub(crate) fn jump(&mut self, seq: SeqNo) {
        let passage = *self.cursor.passage();
        self.cursor.jump(seq, passage);
    }

    /// Goes on at `seq`: faster than the stream, or in another layer.
    pub(crate) fn go(&mut self, seq: SeqNo, passage: Passage) {
        self.cursor.jump(seq, passage);
    }

    /// The last packet that was sent ended its picture.
    pub(crate) const fn is_between_pictures(&self) -> bool {
        self.last_marker
    }

    /// The last packet that was sent told when it was captured. (Or another one of that picture did.)
    pub(super) fn last_has_told(&self) -> bool {
        let times = self.capture_times.as_ref().filter(|_| self.last_marker);
        times.is_some_and(|times| times.has_told_at(self.last_timestamp))
    }

    /// A report names the SSRC: the viewer knows whose it is.
    pub(crate) const fn on_heard_of(&mut self) {
        self.extensions.drop_mid();
    }

    /// Another playout delay, from the next frame on.
    pub(crate) fn set_playout(&mut self, playout: PlayoutDelay) {
        self.extensions.set_playout(playout);
    }

    /// Sends the next packet and moves the cursor behind it. A number for the line is only for viewers that get packets again
    /// as RTX: under its own number a packet must not go out with another one of those. `captured`: when what the ring has
    /// was captured.
    pub(crate) fn send(
        &mut self,
        packet: &Packet,
        number: Option<Number>,
        captured: Option<&CaptureLine>,
        sealer: &RtpSealer,
        lane: &mut Lane<'_>,
    ) -> Put {
        let out = self.cursor.peek(packet.seq);
        if self.extensions.is_pending() && (packet.frame_start || self.whole_frames) {
            self.extensions.advance(out);
        }
        let passage = self.cursor.passage_of(out);
        let (timestamp, pictures) = (passage.timestamp(packet.timestamp), passage.pictures);
        let due = match (&self.capture_times, captured) {
            (Some(times), Some(line)) if packet.marker || self.whole_frames => {
                self.capture_time(times, packet, timestamp, line, sealer)
            }
            _ => None,
        };
        let extras = Extras { number, captured: due.map(|(_, element)| element) };
        let put = self.put(packet, out, timestamp, pictures, &extras, sealer, lane);
        if put != Put::Full {
            self.cursor.take(packet.seq);
        }
        if matches!(put, Put::Sent(_)) {
            self.count(packet);
            self.last_timestamp = timestamp;
            self.last_marker = packet.marker;
            if let (Some(times), Some((captured, _))) = (&mut self.capture_times, due) {
                times.told(timestamp, captured);
            }
        }
        put
    }

    /// What the last packet of a picture, or a sound, has to tell of when it was captured, if there is room for that.
    fn capture_time(
        &self,
        times: &CaptureTimes,
        packet: &Packet,
        timestamp: u64,
        line: &CaptureLine,
        sealer: &RtpSealer,
    ) -> Option<(NtpTime, CaptureElement)> {
        if MAX_HEADER + packet.payload.len() + sealer.overhead() > MAX_WITH_CAPTURE_TIME {
            return None;
        }
        let captured = times.due(packet.timestamp, timestamp, line)?;
        Some((captured, times.element(captured)))
    }

    /// Sends a packet that came late under the number that waited for it.
    pub(crate) fn send_late(&mut self, packet: &Packet, sealer: &RtpSealer, lane: &mut Lane<'_>) -> Put {
        let Some(out) = self.cursor.late(packet.seq) else { return Put::Sent(0) };
        let put = self.send_again(packet, out, sealer, lane);
        if matches!(put, Put::Sent(_)) {
            self.count(packet);
        }
        put
    }

    /// Sends a packet again, the same to the last byte. SRTP with one number and one text is the same text.
    pub(crate) fn send_again(
        &self,
        packet: &Packet,
        out: OutSeq,
        sealer: &RtpSealer,
        lane: &mut Lane<'_>,
    ) -> Put {
        let passage = self.cursor.passage_of(out);
        self.put(
            packet,
            out,
            passage.timestamp(packet.timestamp),
            passage.pictures,
            &Extras::default(),
            sealer,
            lane,
        )
    }

    #[expect(clippy::too_many_arguments, reason = "what a packet is made of")]
    fn put(
        &self,
        packet: &Packet,
        out: OutSeq,
        timestamp: u64,
        pictures: PictureShift,
        extras: &Extras,
        sealer: &RtpSealer,
        lane: &mut Lane<'_>,
    ) -> Put {
        let Some(extension) = self.extensions.of(out) else {
            lane.counters.resend_gone += 1;
            return Put::Never;
        };
        let mut header = Header::new(self.payload_type, self.ssrc, out, packet, timestamp, extension);
        if let Some(number) = &extras.number {
            header.element(number);
        }
        if let Some(captured) = &extras.captured {
            header.element(captured);
        }
        if pictures.is_none() {
            return seal(&header, out, [&[], &packet.payload], sealer, lane);
        }
        let mut prefix = [0; MAX_PREFIX];
        let (length, rest) = pictures.apply(&packet.payload, &mut prefix);
        seal(&header, out, [&prefix[..length], rest], sealer, lane)
    }

    /// Hands a packet that went out as `out` over as it was sealed then: its header, and what followed. Not for those with
    /// a number for the line or a capture time.
    pub(super) fn plain(&self, packet: &Packet, out: OutSeq, take: impl FnOnce(&[u8], [&[u8]; 2])) {
        let Some(extension) = self.extensions.of(out) else { return };
        let passage = self.cursor.passage_of(out);
        let timestamp = passage.timestamp(packet.timestamp);
        let header = Header::new(self.payload_type, self.ssrc, out, packet, timestamp, extension);
        let mut prefix = [0; MAX_PREFIX];
        if passage.pictures.is_none() {
            return take(header.bytes(), [&[], &packet.payload]);
        }
        let (length, rest) = passage.pictures.apply(&packet.payload, &mut prefix);
        take(header.bytes(), [&prefix[..length], rest]);
    }

    /// The header alone, for the benchmark of it.
    pub(crate) fn header_for_bench(&self, packet: &Packet) -> usize {
        let (out, extension) = (OutSeq(packet.seq.0), self.extensions.plain());
        let header = Header::new(self.payload_type, self.ssrc, out, packet, packet.timestamp, extension);
        std::hint::black_box(header.bytes()).len()
    }

    fn count(&mut self, packet: &Packet) {
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(packet.payload.len() as u32);
    }
}

/// Sends packets again as RTX (RFC 4588): own SSRC, own numbers, the original number in front of the payload.
#[derive(Debug)]
pub(crate) struct RtxSender {
    ssrc: Ssrc,
    payload_type: PayloadType,
    next: OutSeq,
}

impl RtxSender {
    pub(crate) fn new(track: &NegotiatedTrack, first_seq: u16) -> Option<Self> {
        Some(Self {
            ssrc: track.rtx_ssrc?,
            payload_type: track.rtx_payload_type?,
            next: OutSeq(u64::from(first_seq)),
        })
    }

    pub(crate) const fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// As [`TrackSender::begin_at`].
    #[cfg(test)]
    pub(crate) fn begin_at(&mut self, out: u64) {
        self.next = OutSeq(out);
    }

    /// Sends `packet`, which went out as `original` of `track`.
    pub(crate) fn send(
        &mut self,
        packet: &Packet,
        original: OutSeq,
        track: &TrackSender,
        sealer: &RtpSealer,
        lane: &mut Lane<'_>,
    ) -> Put {
        let passage = track.cursor.passage_of(original);
        let timestamp = passage.timestamp(packet.timestamp);
        let extension = track.extensions.plain();
        let header = Header::new(self.payload_type, self.ssrc, self.next, packet, timestamp, extension);
        let mut front = [0; 2 + MAX_PREFIX];
        front[..2].copy_from_slice(&original.wire().0.to_be_bytes());
        let mut prefix = [0; MAX_PREFIX];
        let (length, rest) = passage.pictures.apply(&packet.payload, &mut prefix);
        front[2..2 + length].copy_from_slice(&prefix[..length]);
        let put = seal(&header, self.next, [&front[..2 + length], rest], sealer, lane);
        if put != Put::Full {
            self.next.0 += 1;
        }
        put
    }
}

/// What is added to the numbers inside the payloads of another layer, from `first` on, so that they follow those of
/// `last`, which went through `passage`.
pub(super) fn picture_shift(codec: Codec, passage: &Passage, last: &Packet, first: &Packet) -> PictureShift {
    let ids = |packet: &Packet| PictureIds::find(codec, &packet.payload);
    match (ids(last), ids(first)) {
        (Some(last), Some(first)) => PictureShift::between(codec, last.shifted(passage.pictures), first),
        _ => PictureShift::NONE,
    }
}

pub(super) fn seal(
    header: &Header,
    out: OutSeq,
    parts: [&[u8]; 2],
    sealer: &RtpSealer,
    lane: &mut Lane<'_>,
) -> Put {
    let len = header.len + parts[0].len() + parts[1].len() + sealer.overhead();
    if len > MAX_DATAGRAM {
        lane.counters.dropped_oversize += 1;
        return Put::Never;
    }
    let tail = lane.outbox.tail();
    if tail.len() < len {
        return Put::Full;
    }
    match sealer.seal(PacketIndex(out.0), header.bytes(), parts, tail) {
        Ok(len) => {
            lane.outbox.commit(&lane.target, len);
            Put::Sent(len)
        }
        // 2^48 packets under one key: nobody gets there.
        Err(_) => {
            lane.counters.dropped_error += 1;
            Put::Never
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    type Case = (Option<(u8, u64)>, Option<(u8, &'static [u8])>, &'static [u8]);

    #[test]
    fn extension_blocks() {
        let cases: &[Case] = &[
            (None, None, &[]),
            (Some((3, 50)), None, &[0xbe, 0xde, 0, 1, 0x32, 0, 0, 50]),
            (Some((14, 0xfff)), None, &[0xbe, 0xde, 0, 1, 0xe2, 0, 0x0f, 0xff]),
            (None, Some((1, b"0")), &[0xbe, 0xde, 0, 1, 0x10, b'0', 0, 0]),
            (Some((3, 50)), Some((1, b"0")), &[0xbe, 0xde, 0, 2, 0x32, 0, 0, 50, 0x10, b'0', 0, 0]),
            (
                Some((3, 50)),
                Some((1, b"audio123")),
                &[
                    0xbe, 0xde, 0, 4, 0x32, 0, 0, 50, 0x17, b'a', b'u', b'd', b'i', b'o', b'1', b'2', b'3',
                    0, 0, 0,
                ],
            ),
        ];
        for (playout, mid, expected) in cases {
            let delay =
                |(id, steps)| (id, PlayoutDelay::new(Duration::ZERO, Duration::from_millis(10 * steps)));
            assert_eq!(&Extension::new(playout.map(delay), *mid).bytes(), expected, "{playout:?} {mid:?}");
        }
    }
}
