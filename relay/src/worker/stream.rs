//! One stream as one worker knows it: its own rings, and who watches here.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use heliograph_media::SeqNo;

use crate::{
    CloseReason, FeedBatch, FeedItem, Pushed, RingLimits, Track, TrackClock, TrackRing,
    stream::LiveStream,
    viewer::{capture_time::CaptureLine, player::StreamView},
    worker::{WallClock, onset::Onset},
};

/// Late packets remembered until every viewer has had its turn.
const LATE: usize = 1024;

/// A stream.
pub(crate) struct WorkerStream {
    rings: [TrackRing; Track::COUNT],
    clocks: [Option<TrackClock>; Track::COUNT],
    /// Viewers may be told of them; see [`FeedItem::Clock`].
    settled: bool,
    /// How late the media is when it gets here, if that is known.
    uplink: Option<Duration>,
    /// When what the tracks' timestamps stand for was captured: what the two above say together.
    captures: [Option<CaptureLine>; Track::COUNT],
    wall: WallClock,
    /// Of the picture: those that flow, best first.
    layers: Arc<[Track]>,
    /// How often that changed.
    layer_changes: u32,
    late: LatePackets,
    /// A publisher session's sound has begun and its picture has not: the pictures in the rings are another session's.
    picture_to_come: bool,
    onset: Onset,
    /// Slots of connected viewers.
    players: Vec<u32>,
    /// Sessions, connected or not.
    pub(crate) sessions: u32,
    /// For keyframe requests; known from the first session on.
    pub(crate) live: Option<Arc<LiveStream>>,
    round: Round,
}

/// Where the fan-out of what is new stands.
#[derive(Debug, Default)]
struct Round {
    running: bool,
    /// Index into `players` of the next turn.
    at: usize,
    /// Turns left in this round.
    left: usize,
    /// Somebody has more to get than one turn gave, or came to another place in the list.
    again: bool,
    /// Whoever begins the next round; another one each time.
    first: usize,
}

impl WorkerStream {
    /// `wall`: by which capture times are told.
    pub(crate) fn new(limits: RingLimits, wall: WallClock) -> Self {
        Self {
            rings: std::array::from_fn(|_| TrackRing::new(limits)),
            clocks: [None; Track::COUNT],
            settled: false,
            uplink: None,
            captures: [None; Track::COUNT],
            wall,
            layers: Arc::new([Track::Video]),
            layer_changes: 0,
            late: LatePackets::default(),
            picture_to_come: false,
            onset: Onset::default(),
            players: Vec::new(),
            sessions: 0,
            live: None,
            round: Round::default(),
        }
    }

    /// Takes a batch in. Some reason when the stream is over.
    pub(crate) fn take(&mut self, batch: &FeedBatch, now: Instant) -> Option<CloseReason> {
        for item in &batch.items {
            match item {
                FeedItem::Packets { track, packets } => {
                    self.picture_to_come &= !track.is_video();
                    let ring = &mut self.rings[track.index()];
                    for packet in packets {
                        if *track == Track::Audio {
                            self.onset.packet(packet.arrival, packet.timestamp);
                        }
                        if ring.push(Arc::clone(packet)) == Pushed::Late && !self.players.is_empty() {
                            self.late.push(*track, packet.seq);
                        }
                    }
                    ring.trim(now);
                }
                FeedItem::Clock { track, clock, settled } => {
                    self.settled = *settled;
                    self.clocks[track.index()] = Some(*clock);
                    self.captured(*track);
                }
                FeedItem::Uplink(uplink) => {
                    self.uplink = uplink.map(|uplink| uplink.delay);
                    Track::ALL.into_iter().for_each(|track| self.captured(track));
                }
                FeedItem::Layers(layers) => {
                    self.layers = Arc::clone(layers);
                    self.layer_changes = self.layer_changes.wrapping_add(1);
                }
                FeedItem::Ended(reason) => return Some(reason.clone()),
                // Should only the sound begin anew, the next picture packet says so.
                FeedItem::Epoch { track: Track::Audio, .. } => {
                    self.picture_to_come = true;
                    self.onset.begin();
                }
                // Otherwise epochs are invisible here: numbers and timestamps go on. Holes show in the ring.
                FeedItem::Parameters { .. }
                | FeedItem::Lost { .. }
                | FeedItem::Epoch { .. }
                | FeedItem::Away
                | FeedItem::Back => {}
            }
        }
        None
    }

    fn captured(&mut self, track: Track) {
        let line = |(clock, uplink)| CaptureLine::new(&clock, uplink, &self.wall);
        let told = self.clocks[track.index()].filter(|_| self.settled);
        self.captures[track.index()] = told.zip(self.uplink).map(line);
    }

    pub(crate) fn view(&self) -> StreamView<'_> {
        StreamView {
            rings: &self.rings,
            clocks: &self.clocks,
            settled: self.settled,
            captures: &self.captures,
            late: &self.late,
            layers: &self.layers,
            layer_changes: self.layer_changes,
            picture_to_come: self.picture_to_come,
            sound_catches_up: self.onset.catches_up(),
        }
    }

    pub(crate) fn add_player(&mut self, slot: u32) {
        self.players.push(slot);
    }

    pub(crate) fn remove_player(&mut self, slot: u32) {
        if let Some(index) = self.players.iter().position(|&other| other == slot) {
            // The last one moves here and may so escape its turn; another round finds it.
            self.players.swap_remove(index);
            self.round.again = true;
        }
    }

    /// There is something new. True when a round has to be started, that is, none is running.
    pub(crate) fn wants_round(&mut self) -> bool {
        if self.players.is_empty() {
            self.late.clear();
            return false;
        }
        self.round.again = true;
        !std::mem::replace(&mut self.round.running, true)
    }

    /// Whose turn it is; `None` when everybody has everything.
    pub(crate) fn next_turn(&mut self) -> Option<u32> {
        let count = self.players.len();
        if self.round.left == 0 {
            if !self.round.again || count == 0 {
                self.round.running = false;
                self.late.clear();
                return None;
            }
            // Another begins each time, so that nobody is always last.
            self.round.first = self.round.first.wrapping_add(1);
            self.round.at = self.round.first % count;
            self.round.left = count;
            self.round.again = false;
        }
        if count == 0 {
            self.round.left = 0;
            self.round.running = false;
            return None;
        }
        self.round.at %= count;
        let slot = self.players[self.round.at];
        Some(slot)
    }

    /// Whose turn is so many after the present one, as far as that can be told.
    pub(crate) fn upcoming(&self, turns: usize) -> Option<u32> {
        let at = self.round.at + turns;
        self.players.get(at).or_else(|| self.players.get(at.wrapping_sub(self.players.len()))).copied()
    }

    /// The turn is over; `more`: that viewer needs another one.
    pub(crate) fn turn_done(&mut self, more: bool) {
        self.round.at += 1;
        self.round.left = self.round.left.saturating_sub(1);
        self.round.again |= more;
    }
}

/// Packets that filled holes behind the newest one, until all viewers have been asked whether they want them.
#[derive(Debug, Default)]
pub(crate) struct LatePackets {
    /// Running number of `list[0]`.
    first: u32,
    list: VecDeque<(Track, SeqNo)>,
}

impl LatePackets {
    fn push(&mut self, track: Track, seq: SeqNo) {
        if self.list.len() == LATE {
            self.list.pop_front();
            self.first = self.first.wrapping_add(1);
        }
        self.list.push_back((track, seq));
    }

    fn clear(&mut self) {
        self.first = self.next();
        self.list.clear();
    }

    /// The running number of the next one.
    pub(crate) fn next(&self) -> u32 {
        self.first.wrapping_add(self.list.len() as u32)
    }

    /// Those from the running number `seen` on.
    pub(crate) fn since(&self, seen: u32) -> impl Iterator<Item = (u32, Track, SeqNo)> {
        let skipped = seen.wrapping_sub(self.first).cast_signed().max(0) as usize;
        let first = self.first.wrapping_add(skipped as u32);
        self.list
            .iter()
            .skip(skipped)
            .enumerate()
            .map(move |(index, &(track, seq))| (first.wrapping_add(index as u32), track, seq))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn round(stream: &mut WorkerStream) -> Vec<u32> {
        let mut turns = Vec::new();
        while let Some(slot) = stream.next_turn() {
            turns.push(slot);
            stream.turn_done(false);
        }
        turns
    }

    #[test]
    fn every_round_begins_with_another_viewer() {
        let mut stream = WorkerStream::new(RingLimits::default(), WallClock::start());
        assert!(!stream.wants_round(), "nobody watches");
        for slot in [10, 11, 12] {
            stream.add_player(slot);
        }
        let mut firsts = Vec::new();
        for _ in 0..3 {
            assert!(stream.wants_round());
            assert!(!stream.wants_round(), "already running");
            let turns = round(&mut stream);
            firsts.push(turns[0]);
            let mut all = turns.clone();
            all.sort_unstable();
            assert_eq!(all, [10, 11, 12]);
        }
        firsts.sort_unstable();
        assert_eq!(firsts, [10, 11, 12]);
    }

    #[test]
    fn who_is_next_can_be_told_within_a_round() {
        let mut stream = WorkerStream::new(RingLimits::default(), WallClock::start());
        assert_eq!(stream.upcoming(1), None);
        for slot in [10, 11, 12, 13] {
            stream.add_player(slot);
        }
        for _ in 0..4 {
            stream.wants_round();
            let mut told = None;
            for turn in 0..4 {
                let slot = stream.next_turn();
                assert!(turn == 0 || slot == told, "{slot:?} instead of {told:?}");
                told = stream.upcoming(1);
                assert_eq!(stream.upcoming(4), slot);
                stream.turn_done(false);
            }
            assert_eq!(stream.next_turn(), None);
        }
    }

    #[test]
    fn whoever_has_more_to_get_waits_for_the_others() {
        let mut stream = WorkerStream::new(RingLimits::default(), WallClock::start());
        for slot in 0..3 {
            stream.add_player(slot);
        }
        stream.wants_round();
        let mut turns = Vec::new();
        while let Some(slot) = stream.next_turn() {
            turns.push(slot);
            stream.turn_done(slot == 0 && turns.iter().filter(|&&turn| turn == 0).count() < 3);
        }
        assert_eq!(turns.len(), 9, "three rounds");
        for third in turns.chunks(3) {
            assert!([0, 1, 2].iter().all(|slot| third.contains(slot)));
        }
    }

    #[test]
    fn leaving_in_the_middle_skips_nobody() {
        let mut stream = WorkerStream::new(RingLimits::default(), WallClock::start());
        for slot in 0..5 {
            stream.add_player(slot);
        }
        stream.wants_round();
        let mut seen = Vec::new();
        for _ in 0..2 {
            seen.push(stream.next_turn().unwrap());
            stream.turn_done(false);
        }
        let gone = seen[0];
        stream.remove_player(gone);
        seen.extend(round(&mut stream));
        assert!((0..5).all(|slot| seen.contains(&slot)));
        for slot in 0..5 {
            stream.remove_player(slot);
        }
        assert_eq!(stream.next_turn(), None);
    }

    #[test]
    fn late_packets_are_numbered_across_the_wrap() {
        let mut late = LatePackets { first: u32::MAX - 1, list: VecDeque::new() };
        let seen = late.next();
        for seq in 0..4 {
            late.push(Track::Video, SeqNo(seq));
        }
        let numbers: Vec<_> = late.since(seen).map(|(number, _, seq)| (number, seq.0)).collect();
        assert_eq!(numbers, [(u32::MAX - 1, 0), (u32::MAX, 1), (0, 2), (1, 3)]);
        assert_eq!(late.since(0).map(|(_, _, seq)| seq.0).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(late.since(late.next()).count(), 0);
        for seq in 0..5000 {
            late.push(Track::Audio, SeqNo(seq));
        }
        assert_eq!(late.since(seen).count(), LATE);
        let next = late.next();
        late.clear();
        assert_eq!(late.next(), next);
    }
}
