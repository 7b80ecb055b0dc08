//! One medium of a publisher.

use std::time::{Duration, Instant};

use heliograph_edge::sdp::IncomingTrack;
use heliograph_media::{
    MediaKind, PayloadType, Ssrc, WireSeq,
    rtcp::Reception as ReportCounts,
    rtp::{HEADER_LEN, RtpHeader, write_rtp_header},
};

use super::{keyframes::KeyframeRequests, numbering::Numbering};
use crate::{
    layers::{Layer, payload_type},
    uplink::{
        TrackHealth,
        health::Tally,
        reorder::{Arrival, Patience, Reorder},
        sync::TrackClock,
    },
};

/// One medium, from the publisher's numbering to ours.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) agreed: IncomingTrack,
    /// What our packets carry.
    pub(super) payload_type: PayloadType,
    /// What our packets carry.
    pub(super) ssrc: Ssrc,
    /// What the publisher's packets carry, from the first one on.
    pub(super) wire_ssrc: Option<Ssrc>,
    /// What its retransmissions carry, when that had to be learned.
    pub(super) rtx_ssrc: Option<Ssrc>,
    /// Which layer of a simulcast this is.
    pub(super) rid: Option<String>,
    /// Width and height of the picture in pixels, from the stream itself.
    pub(super) picture: Option<(u32, u32)>,
    pub(super) keyframes: KeyframeRequests,
    pub(super) reorder: Reorder<Packet>,
    pub(super) numbering: Numbering,
    pub(super) clock: TrackClock,
    /// What the publisher is told about how its packets arrive.
    pub(super) counts: Option<ReportCounts>,
    /// Something went out under the present `ssrc`.
    pub(super) begun: bool,
    last_packet: Instant,
    tally: Tally,
}

/// A packet on its way to the relay.
#[derive(Debug)]
pub(super) struct Packet {
    pub(super) marker: bool,
    pub(super) timestamp: u32,
    pub(super) payload: Vec<u8>,
}

/// Whose a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Same,
    /// The publisher goes on under another SSRC.
    New,
    Foreign,
}

impl Track {
    /// One track, or one layer of it for each name.
    pub(super) fn all(
        now: Instant,
        agreed: &IncomingTrack,
        mut fresh_ssrc: impl FnMut() -> Ssrc,
    ) -> Vec<Self> {
        let Some(simulcast) = &agreed.simulcast else {
            let payload_type = payload_type(agreed.codec, Layer::FIRST);
            return vec![Self::new(now, agreed.clone(), None, payload_type, fresh_ssrc())];
        };
        let layers = Layer::all().zip(&simulcast.rids).map(|(layer, rid)| {
            let payload_type = payload_type(agreed.codec, layer);
            Self::new(now, agreed.clone(), Some(rid.clone()), payload_type, fresh_ssrc())
        });
        layers.collect()
    }

    fn new(
        now: Instant,
        agreed: IncomingTrack,
        rid: Option<String>,
        payload_type: PayloadType,
        ssrc: Ssrc,
    ) -> Self {
        let rate = agreed.codec.clock_rate();
        Self {
            agreed,
            payload_type,
            ssrc,
            wire_ssrc: None,
            rtx_ssrc: None,
            rid,
            picture: None,
            keyframes: KeyframeRequests::default(),
            reorder: Reorder::counting_from_anywhere(),
            numbering: Numbering::default(),
            clock: TrackClock::counting_from_anywhere(rate),
            counts: None,
            begun: false,
            last_packet: now,
            tally: Tally::new(rate),
        }
    }

    pub(super) fn kind(&self) -> MediaKind {
        self.agreed.codec.kind()
    }

    /// A second source under the same payload type counts only when the first has gone silent.
    pub(super) fn source(&self, now: Instant, ssrc: Ssrc) -> Source {
        match self.wire_ssrc {
            None => Source::New,
            Some(known) if known == ssrc => Source::Same,
            Some(_) if now.saturating_duration_since(self.last_packet) >= SILENCE_BEFORE_A_MOVE => {
                Source::New
            }
            Some(_) => Source::Foreign,
        }
    }

    /// The publisher starts, or goes on under another SSRC.
    pub(super) fn begin(&mut self, wire: Ssrc, ssrc: Ssrc) {
        self.wire_ssrc = Some(wire);
        self.reorder = Reorder::counting_from_anywhere();
        self.counts = None;
        self.begin_anew(ssrc);
    }

    /// The publisher counts anew: another run, so another SSRC of ours.
    pub(super) fn begin_anew(&mut self, ssrc: Ssrc) {
        self.ssrc = ssrc;
        self.numbering = Numbering::default();
        self.begun = false;
    }

    /// A packet as it was first sent, or sent again as it was.
    pub(super) fn on_packet(
        &mut self,
        now: Instant,
        header: &RtpHeader,
        datagram: &[u8],
        patience: Patience,
    ) -> Arrival {
        let packet = Packet::new(header, &datagram[header.payload.clone()]);
        let arrival = self.reorder.on_packet(now, header.seq, packet, patience);
        self.count(now, datagram.len(), arrival);
        if matches!(arrival, Arrival::Restarted) {
            self.counts = None;
        }
        if let (Arrival::Taken { .. } | Arrival::Duplicate | Arrival::Restarted, Some(highest)) =
            (arrival, self.reorder.highest())
        {
            self.last_packet = now;
            self.tally.on_timestamp(now, header.timestamp);
            let number = header.seq.nearest_to(highest).unwrap_or(highest);
            let (ssrc, rate) = (header.ssrc, self.agreed.codec.clock_rate());
            let counts = self.counts.get_or_insert_with(|| ReportCounts::new(now, ssrc, rate, number));
            counts.packet(now, number, header.timestamp);
        }
        arrival
    }

    /// A retransmission in a stream of its own (RFC 4588): its payload begins with the number of the original.
    pub(super) fn on_retransmission(
        &mut self,
        now: Instant,
        header: &RtpHeader,
        datagram: &[u8],
        patience: Patience,
    ) -> Arrival {
        let payload = &datagram[header.payload.clone()];
        let Some((&original, payload)) = payload.split_first_chunk() else {
            // Padding: the publisher measures the line.
            return Arrival::Duplicate;
        };
        let seq = WireSeq(u16::from_be_bytes(original));
        let arrival = self.reorder.on_retransmission(now, seq, Packet::new(header, payload), patience);
        self.count(now, datagram.len(), arrival);
        arrival
    }

    /// The packet as it goes to the relay.
    pub(super) fn datagram(&self, seq: WireSeq, packet: &Packet) -> Vec<u8> {
        let mut header = [0; HEADER_LEN];
        let Packet { marker, timestamp, payload } = packet;
        write_rtp_header(&mut header, *marker, self.payload_type, seq, *timestamp, self.ssrc);
        [&header[..], payload].concat()
    }

    pub(super) fn health(&self, now: Instant) -> TrackHealth {
        self.tally.health(now, self.reorder.counts())
    }

    fn count(&mut self, now: Instant, bytes: usize, arrival: Arrival) {
        if matches!(arrival, Arrival::Taken { .. } | Arrival::Restarted) {
            self.tally.on_packet(now, bytes);
        }
    }
}

impl Packet {
    fn new(header: &RtpHeader, payload: &[u8]) -> Self {
        Self { marker: header.marker, timestamp: header.timestamp, payload: payload.to_vec() }
    }
}

const SILENCE_BEFORE_A_MOVE: Duration = Duration::from_secs(1);
