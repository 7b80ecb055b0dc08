//! Why datagrams were not taken, counted.

use std::collections::BTreeMap;

use heliograph_media::Codec;

/// Why a datagram, or a packet in it, went no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Refused {
    /// Not RTP at all, or a broken header. Also what FTL calls a ping in its short form.
    NotRtp,
    /// RTCP that cannot be read.
    BadRtcp,
    /// A payload type that nobody announced; FTL's long ping looks like one.
    PayloadType,
    /// Another source than the one that holds the payload type.
    ForeignSource,
    /// RTCP from an address that sends no media here.
    ForeignRtcp,
    /// No payload: keeps a NAT binding open.
    Empty,
    /// Longer than any Opus packet: the junk of FTL's speed test.
    OpusTooLong,
    /// Not H.264 in packetization mode 1.
    BadH264,
    /// Not a payload of the video codec that was announced, if that is another one.
    BadVideo,
    /// Came before.
    Duplicate,
    /// So late that its place is gone.
    TooLate,
    /// Of a session that has ended.
    OldSession,
    /// Its number or timestamp is nowhere near; the second of its kind starts a new epoch.
    Jump,
    /// Video before the first keyframe of its session.
    BeforeKeyframe,
}

impl Refused {
    const COUNT: usize = 14;

    const ALL: [Self; Self::COUNT] = [
        Self::NotRtp,
        Self::BadRtcp,
        Self::PayloadType,
        Self::ForeignSource,
        Self::ForeignRtcp,
        Self::Empty,
        Self::OpusTooLong,
        Self::BadH264,
        Self::BadVideo,
        Self::Duplicate,
        Self::TooLate,
        Self::OldSession,
        Self::Jump,
        Self::BeforeKeyframe,
    ];

    /// Short and stable: a label of a metric.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::NotRtp => "not_rtp",
            Self::BadRtcp => "bad_rtcp",
            Self::PayloadType => "payload_type",
            Self::ForeignSource => "foreign_source",
            Self::ForeignRtcp => "foreign_rtcp",
            Self::Empty => "empty",
            Self::OpusTooLong => "opus_too_long",
            Self::BadH264 => "bad_h264",
            Self::BadVideo => "bad_video",
            Self::Duplicate => "duplicate",
            Self::TooLate => "too_late",
            Self::OldSession => "old_session",
            Self::Jump => "jump",
            Self::BeforeKeyframe => "before_keyframe",
        }
    }

    /// The sender's fault, as opposed to what happens on a sound network and at a sound restart.
    pub(super) const fn is_malformed(self) -> bool {
        matches!(
            self,
            Self::NotRtp
                | Self::BadRtcp
                | Self::PayloadType
                | Self::OpusTooLong
                | Self::BadH264
                | Self::BadVideo
        )
    }

    pub(super) const fn bad_video(codec: Codec) -> Self {
        if matches!(codec, Codec::H264) { Self::BadH264 } else { Self::BadVideo }
    }
}

/// One counter per cause.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters([u64; Refused::COUNT]);

impl Counters {
    pub(super) fn add(&mut self, cause: Refused) {
        self.add_many(cause, 1);
    }

    pub(super) fn add_many(&mut self, cause: Refused, packets: u64) {
        self.0[cause as usize] += packets;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (sum, count) in self.0.iter_mut().zip(other.0) {
            *sum += count;
        }
    }

    pub(super) fn get(&self, cause: Refused) -> u64 {
        self.0[cause as usize]
    }

    pub(super) fn malformed(&self) -> u64 {
        Refused::ALL.into_iter().filter(|cause| cause.is_malformed()).map(|cause| self.get(cause)).sum()
    }

    /// Those above zero, by label.
    pub(super) fn by_label(&self) -> BTreeMap<&'static str, u64> {
        let counted = |cause: Refused| (cause.label(), self.get(cause));
        Refused::ALL.into_iter().map(counted).filter(|(_, count)| *count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_its_own_counter() {
        let mut counters = Counters::default();
        for (index, cause) in Refused::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, index);
            counters.add(cause);
        }
        assert_eq!(counters.by_label().len(), Refused::COUNT);
        assert_eq!(counters.malformed(), 6);
    }
}
