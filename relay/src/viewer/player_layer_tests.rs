//! A viewer of a picture in layers.

use heliograph_media::rtcp::ReportBlock;

use super::*;

const LAYERS: [Track; 3] = [Track::Video, Track::SecondLayer, Track::ThirdLayer];

/// A simulcast of VP8: what each layer counts.
struct Simulcast {
    world: World,
    seq: [u64; 3],
    picture_id: [u16; 3],
    /// Pictures so far.
    pictures: u64,
    /// Packets of a picture; more in larger layers.
    packets: [u64; 3],
    /// The layers that flow.
    flows: [bool; 3],
}

/// What the viewer got of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    index: u64,
    timestamp: u32,
    picture_id: u16,
    tl0: u8,
    layer: usize,
    /// Of the picture, counted by the publisher.
    picture: u16,
}

impl From<&Got> for Seen {
    fn from(got: &Got) -> Self {
        let bytes = got.ring.to_be_bytes();
        assert_eq!(bytes[..2], [0x90, 0xc0]);
        Self {
            index: got.index,
            timestamp: got.timestamp,
            picture_id: u16::from_be_bytes([bytes[2] & 0x7f, bytes[3]]),
            tl0: bytes[4],
            layer: bytes[5].into(),
            picture: u16::from_be_bytes([bytes[6], bytes[7]]),
        }
    }
}

impl Simulcast {
    /// Layers count timestamps differently: what belongs together lies 777 ticks apart.
    const APART: u64 = 777;

    fn new() -> Self {
        let mut world = World::new(true);
        for (layer, track) in LAYERS.into_iter().enumerate() {
            let timestamp = (1 << 33) + Self::APART * layer as u64;
            let clock = TrackClock { at: world.now, timestamp, rate: ClockRate::VIDEO };
            world.feed(vec![FeedItem::Clock { track, clock, settled: true }]);
        }
        world.feed(vec![FeedItem::Layers(Arc::new(LAYERS))]);
        Self {
            world,
            seq: [100_000, 200_000, 300_000],
            picture_id: [0x7ffe, 100, 5_000],
            pictures: 0,
            packets: [9, 4, 2],
            flows: [true; 3],
        }
    }

    /// The next picture in all layers, in those of `keyframes` as one, and the viewer's turns.
    fn picture(&mut self, keyframes: &[usize]) {
        self.publish(keyframes);
        self.world.turns();
        self.world.pass(PICTURE);
    }

    /// The next picture in all layers, not sent to the viewer yet.
    fn publish(&mut self, keyframes: &[usize]) {
        for (layer, track) in LAYERS.into_iter().enumerate() {
            if self.flows[layer] {
                let packets = self.packets_of(layer, keyframes.contains(&layer));
                self.world.feed(vec![FeedItem::Packets { track, packets }]);
            }
        }
        self.pictures += 1;
    }

    fn packets_of(&mut self, layer: usize, keyframe: bool) -> Vec<Arc<Packet>> {
        let (first, count) = (self.seq[layer], self.packets[layer]);
        self.seq[layer] += count;
        self.picture_id[layer] = (self.picture_id[layer] + 1) & 0x7fff;
        let [high, low] = self.picture_id[layer].to_be_bytes();
        let [picture_high, picture_low] = (self.pictures as u16).to_be_bytes();
        let timestamp = (1 << 33) + 3_600 * self.pictures + Self::APART * layer as u64;
        let packets = (0..count).map(|i| {
            let parts = if keyframe && i == 0 { StartParts::ALL } else { StartParts::NONE };
            let mut packet =
                Packet::clone(&self.world.packet(first + i, timestamp, [i == 0, i + 1 == count], parts));
            let tl0 = (self.pictures + 50 * layer as u64) as u8;
            let mut payload = vec![0x90, 0xc0, 0x80 | high, low, tl0, layer as u8, picture_high, picture_low];
            payload.resize(1_000, 7);
            packet.payload = Bytes::from(payload);
            Arc::new(packet)
        });
        packets.collect()
    }

    fn seen(&mut self) -> Vec<Seen> {
        self.world.got_video().iter().map(Seen::from).collect()
    }

    /// Watching live since the first keyframes.
    fn watching(layer: Option<Track>) -> Self {
        let mut simulcast = Self::new();
        if layer.is_some() {
            simulcast.world.player.pick_layer(layer);
        }
        simulcast.publish(&[0, 1, 2]);
        simulcast.world.start();
        for _ in 0..10 {
            simulcast.picture(&[]);
        }
        simulcast
    }

    fn report(&mut self, fraction_lost: u8) {
        let block = ReportBlock {
            ssrc: VIDEO,
            fraction_lost,
            cumulative_lost: 0,
            highest_seq: 0,
            jitter: 0,
            last_sr: 0,
            delay_since_last_sr: 0,
        };
        let mut plain = Vec::new();
        rtcp::write_receiver_report(&mut plain, Ssrc(9), &[block]);
        self.world.feedback(&plain);
    }
}

/// Numbers without a gap, timestamps and pictures that go on.
fn check_order(seen: &[Seen]) {
    for pair in seen.windows(2) {
        let [before, after] = pair else { unreachable!() };
        assert_eq!(after.index, before.index + 1);
        if (before.layer, before.picture) == (after.layer, after.picture) {
            assert_eq!((after.timestamp, after.picture_id), (before.timestamp, before.picture_id));
        } else {
            assert!(after.timestamp > before.timestamp, "{before:?} {after:?}");
            assert_eq!(after.picture_id, (before.picture_id + 1) & 0x7fff, "{before:?} {after:?}");
            assert_eq!(after.tl0, before.tl0.wrapping_add(1), "{before:?} {after:?}");
        }
    }
}

fn layers_of(seen: &[Seen]) -> Vec<usize> {
    let mut layers: Vec<_> = seen.iter().map(|seen| seen.layer).collect();
    layers.dedup();
    layers
}

#[test]
fn the_old_layer_goes_on_until_the_new_one_has_a_keyframe() {
    let mut simulcast = Simulcast::watching(None);
    assert_eq!(simulcast.world.player.layer(), Track::Video, "the best one");
    simulcast.world.player.pick_layer(Some(LAYERS[2]));
    simulcast.picture(&[]);
    let now = simulcast.world.now;
    assert_eq!(simulcast.world.player.take_keyframe_wish(now), Some(LAYERS[2]));
    assert_eq!(simulcast.world.player.take_keyframe_wish(now), None, "just asked");
    simulcast.picture(&[]);
    simulcast.picture(&[2]);
    for _ in 0..4 {
        simulcast.picture(&[]);
    }
    assert_eq!(simulcast.world.player.take_keyframe_wish(now + Duration::from_secs(5)), None);
    simulcast.world.player.pick_layer(Some(LAYERS[1]));
    simulcast.picture(&[1]);
    simulcast.picture(&[]);
    let seen = simulcast.seen();
    check_order(&seen);
    assert_eq!(layers_of(&seen), [0, 2, 1]);
    // No picture is missing; the keyframes show one that the viewer had already.
    let mut pictures: Vec<_> = seen.iter().map(|seen| seen.picture).collect();
    pictures.dedup();
    assert_eq!(pictures, (0..20).collect::<Vec<_>>());
    // Once what overlaps is over, timestamps are where the best layer has them.
    let last = seen.last().unwrap();
    assert_eq!(last.timestamp, 3_600 * u32::from(last.picture));
    assert_eq!(simulcast.world.counters.layer_switches, 2);
}

#[test]
fn a_keyframe_is_no_use_before_it_is_complete_or_long_after() {
    let mut simulcast = Simulcast::watching(Some(LAYERS[0]));
    simulcast.world.player.pick_layer(Some(LAYERS[1]));
    let mut keyframe = simulcast.packets_of(1, true);
    let end = keyframe.split_off(2);
    simulcast.world.feed(vec![FeedItem::Packets { track: LAYERS[1], packets: keyframe }]);
    simulcast.world.turns();
    assert_eq!(simulcast.world.player.layer(), LAYERS[0]);
    simulcast.world.now += Duration::from_millis(400);
    simulcast.world.feed(vec![FeedItem::Packets { track: LAYERS[1], packets: end }]);
    simulcast.pictures += 1;
    simulcast.picture(&[]);
    assert_eq!(simulcast.world.player.layer(), LAYERS[0], "seen long ago");
    simulcast.picture(&[1]);
    assert_eq!(simulcast.world.player.layer(), LAYERS[1]);
    assert_eq!(layers_of(&simulcast.seen()), [0, 1]);
}

#[test]
fn what_was_lost_after_a_switch_comes_again_as_it_was() {
    let mut simulcast = Simulcast::watching(None);
    simulcast.world.player.pick_layer(Some(LAYERS[2]));
    simulcast.picture(&[2]);
    simulcast.picture(&[]);
    let first: Vec<Got> = simulcast.world.got_video();
    let seen: Vec<Seen> = first.iter().map(Seen::from).collect();
    let switch = seen.iter().position(|seen| seen.layer == 2).unwrap();
    let lost: Vec<&Got> = first[switch - 2..switch + 2].iter().collect();
    simulcast.world.nack(&lost.iter().map(|got| got.index).collect::<Vec<_>>());
    let again = simulcast.world.got();
    assert_eq!(again.len(), 2, "nobody needs what came before the keyframe");
    for (lost, again) in lost[2..].iter().zip(&again) {
        assert_eq!((again.osn, again.timestamp), (Some(lost.index as u16), lost.timestamp));
        assert_eq!(again.ring, lost.ring, "the numbers in the payload too");
    }
}

#[test]
fn losses_move_a_viewer_down_and_time_moves_it_up() {
    let mut simulcast = Simulcast::watching(None);
    simulcast.report(128);
    simulcast.picture(&[1, 2]);
    assert_ne!(simulcast.world.player.layer(), LAYERS[0]);
    // One layer after the other, eight seconds each.
    for _ in 0..20 * 25 {
        simulcast.picture(&[0, 1]);
        simulcast.report(0);
    }
    assert_eq!(simulcast.world.player.layer(), LAYERS[0]);
    check_order(&simulcast.seen());
    // By hand nothing is moved.
    simulcast.world.player.pick_layer(Some(LAYERS[0]));
    for _ in 0..50 {
        simulcast.report(128);
        simulcast.picture(&[0, 1, 2]);
    }
    assert_eq!(layers_of(&simulcast.seen()), [0]);
}

#[test]
fn a_layer_that_stops_is_left_even_inside_a_picture() {
    let mut simulcast = Simulcast::watching(None);
    let mut begun = simulcast.packets_of(0, false);
    begun.truncate(2);
    simulcast.world.feed(vec![FeedItem::Packets { track: LAYERS[0], packets: begun }]);
    simulcast.flows[0] = false;
    for _ in 0..10 {
        simulcast.picture(&[]);
    }
    simulcast.world.feed(vec![FeedItem::Layers(Arc::new([LAYERS[1], LAYERS[2]]))]);
    simulcast.picture(&[1]);
    simulcast.picture(&[]);
    assert_eq!(simulcast.world.player.layer(), LAYERS[1]);
    let seen = simulcast.seen();
    assert_eq!(layers_of(&seen), [0, 1]);
    check_order(&seen);
}

#[test]
fn whoever_joins_gets_the_best_layer_that_can_be_shown() {
    let mut simulcast = Simulcast::new();
    simulcast.publish(&[2]);
    simulcast.world.start();
    assert_eq!(simulcast.world.player.layer(), LAYERS[2]);
    simulcast.picture(&[]);
    simulcast.picture(&[0]);
    simulcast.picture(&[]);
    let seen = simulcast.seen();
    check_order(&seen);
    assert_eq!(layers_of(&seen), [2, 0]);
    // The sender reports go by the same clock, whatever the layer.
    let mut picked = Simulcast::watching(Some(LAYERS[1]));
    assert_eq!(layers_of(&picked.seen()), [1]);
    let video = picked.world.player.video.as_ref().unwrap();
    assert_eq!(video.sender.cursor().passage().shift, -(Simulcast::APART as i64));
}
