//! One medium of a session.

use std::time::Instant;

use heliograph_media::{
    ClockRate, Ssrc,
    h264::{self, NalType},
    rtp::{HEADER_LEN, RtpHeader, write_rtp_header},
};

use crate::{
    ftl::control::AnnouncedTrack,
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
    pub(super) announced: AnnouncedTrack,
    /// What the publisher's packets carry: as announced, else as first seen.
    pub(super) wire_ssrc: Option<Ssrc>,
    /// What our packets carry.
    pub(super) ssrc: Ssrc,
    pub(super) reorder: Reorder<Packet>,
    pub(super) clock: TrackClock,
    /// Something went out under the present `ssrc`.
    pub(super) begun: bool,
    tally: Tally,
}

/// A packet as it will go to the relay, but for the SSRC.
#[derive(Debug)]
pub(super) struct Packet {
    pub(super) datagram: Vec<u8>,
    pub(super) timestamp: u32,
}

impl Packet {
    /// Header extensions and padding of the publisher, if any, are left behind.
    fn new(header: &RtpHeader, datagram: &[u8]) -> Self {
        let payload = &datagram[header.payload.clone()];
        let mut clean = [0; HEADER_LEN];
        let (marker, payload_type) = (header.marker, header.payload_type);
        write_rtp_header(&mut clean, marker, payload_type, header.seq, header.timestamp, header.ssrc);
        Self { datagram: [&clean[..], payload].concat(), timestamp: header.timestamp }
    }

    pub(super) fn payload(&self) -> &[u8] {
        &self.datagram[HEADER_LEN..]
    }

    pub(super) fn set_ssrc(&mut self, ssrc: Ssrc) {
        self.datagram[8..HEADER_LEN].copy_from_slice(&ssrc.0.to_be_bytes());
    }
}

impl Track {
    pub(super) fn new(announced: AnnouncedTrack, ssrc: Ssrc, rate: ClockRate) -> Self {
        Self {
            announced,
            wire_ssrc: announced.ssrc,
            ssrc,
            reorder: Reorder::counting_from_zero(),
            clock: TrackClock::new(rate),
            begun: false,
            tally: Tally::new(rate),
        }
    }

    pub(super) fn on_packet(
        &mut self,
        now: Instant,
        header: &RtpHeader,
        datagram: &[u8],
        patience: Patience,
    ) -> Arrival {
        let arrival = self.reorder.on_packet(now, header.seq, Packet::new(header, datagram), patience);
        if matches!(arrival, Arrival::Taken { .. } | Arrival::Restarted) {
            self.tally.on_packet(now, datagram.len());
            self.tally.on_timestamp(now, header.timestamp);
        }
        arrival
    }

    /// Whether video may go on: it begins with a parameter set or a keyframe, alone or inside an aggregate.
    pub(super) fn may_begin(&self, payload: &[u8]) -> bool {
        self.begun
            || h264::probe(payload).is_ok_and(|seen| seen.nals.contains(NalType::SPS) || seen.starts_idr())
    }

    /// The publisher counts anew: another run, so another SSRC.
    pub(super) fn begin_anew(&mut self, ssrc: Ssrc) {
        self.ssrc = ssrc;
        self.begun = false;
    }

    pub(super) fn health(&self, now: Instant) -> TrackHealth {
        self.tally.health(now, self.reorder.counts())
    }
}
