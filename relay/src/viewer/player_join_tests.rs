//! Joining when the beginning gets lost.

use super::*;

impl World {
    /// A keyframe as an encoder with two slices sends it: two packets of parameter sets, eight of each slice.
    fn keyframe_in_slices(&mut self) {
        let first = self.next[0];
        self.next[0] += 18;
        let timestamp = (1 << 33) + 3_600 * self.picture;
        self.picture += 1;
        let packets = (0..18).map(|i| {
            let parts = match i {
                0 => StartParts::SEQUENCE_PARAMETERS,
                1 => StartParts::PICTURE_PARAMETERS,
                2 | 10 => StartParts::KEY_PICTURE,
                _ => StartParts::NONE,
            };
            self.packet(first + i, timestamp, [i == 0, i == 17], parts)
        });
        let packets = packets.collect();
        self.publish(packets);
        self.now += PICTURE;
    }
}

/// Where in the ring, and whether as RTX.
fn places(got: &[Got]) -> Vec<(u64, bool)> {
    got.iter().filter(|got| got.ssrc != AUDIO).map(|got| (got.ring - 100_000, got.ssrc == RTX)).collect()
}

#[test]
fn parameter_sets_go_twice_before_the_first_slice() {
    let mut world = World::new(true);
    world.keyframe_in_slices();
    world.past(3, 1000, 4);
    world.start();
    let got = world.got();
    let expected = [(0, false), (1, false), (0, true), (1, true), (2, false), (3, false)];
    assert_eq!(places(&got)[..6], expected);
    assert_eq!(got.iter().filter(|got| got.ssrc == RTX).count(), 2);

    // A keyframe of the stream as it goes on is nothing to a decoder that has them.
    world.pass(Duration::from_millis(100));
    world.got();
    world.keyframe_in_slices();
    world.turns();
    assert!(world.got().iter().all(|got| got.ssrc != RTX));
}

#[test]
fn who_asks_for_a_keyframe_while_one_comes_gets_its_beginnings_again() {
    let mut world = World::new(true);
    world.keyframe_in_slices();
    world.past(3, 1000, 4);
    world.start();
    world.got();
    world.pass(Duration::from_millis(30));
    world.got();
    world.pli();
    world.pass(Duration::from_millis(2));
    let beginnings = [(0, true), (1, true), (2, true), (10, true)];
    assert_eq!(places(&world.got()), beginnings);
    world.pli();
    world.pass(Duration::from_millis(10));
    assert_eq!(places(&world.got()), beginnings, "once more against loss, and not for every request");
    world.pli();
    world.pass(Duration::from_millis(30));
    assert_eq!(world.got(), []);
    assert_eq!(world.counters.replays, 0);
}

#[test]
fn whoever_joins_gets_what_was_lost_twice() {
    let mut world = World::new(true);
    world.past(30, 1000, 10);
    world.start();
    let sent = world.got_video();
    world.pass(Duration::from_millis(30));
    world.got();
    let again = |world: &mut World, index| {
        world.nack(&[index]);
        world.pass(Duration::from_millis(20));
        world.got().iter().filter(|got| got.ssrc == RTX).count()
    };
    assert_eq!(again(&mut world, sent[4].index), 2);
    world.pass(2 * EAGER);
    assert_eq!(again(&mut world, sent[5].index), 1, "one of hundreds");
}

#[test]
fn a_session_that_begins_with_its_sound_is_not_joined_in_another_ones_pictures() {
    for picture_goes_on in [false, true] {
        let mut world = World::new(true);
        world.past(30, 1000, 4);
        world.now += Duration::from_secs(2);
        let first = SeqNo(world.next[1]);
        world.feed(vec![FeedItem::Epoch { track: Track::Audio, first }]);
        world.start();
        world.pass(Duration::from_millis(20));
        assert_eq!(world.got_video(), [], "the keyframe of this session has yet to come");
        let expected = if picture_goes_on {
            // Only the sound began anew.
            world.past(1, 1000, 4);
            100_000
        } else {
            let first = world.next[0];
            world.keyframe_in_slices();
            first
        };
        world.turns();
        world.pass(Duration::from_millis(50));
        assert_eq!(world.got_video()[0].ring, expected);
    }
}

#[test]
fn what_could_not_be_opened_begins_again() {
    let mut world = World::new(true);
    world.past(5, 1000, 10);
    world.start();
    world.pass(Duration::from_millis(30));
    let unheard = world.got_video();
    world.past(1, 1000, 10);
    world.with(|player, now, stream, lane| {
        player.start_again(now, stream);
        player.on_fast(now, stream, lane);
    });
    world.pass(Duration::from_millis(100));
    let got = world.got_video();
    assert_eq!((got[0].ring, got[0].index), (100_000, unheard.last().unwrap().index + 1));
    assert_eq!(got.last().unwrap().ring, world.next[0] - 1);
    assert!(gap_free(&got));
}

#[test]
fn sound_that_has_waited_is_left_out() {
    let mut world = World::new(true);
    world.past(2, 50, 3);
    world.start();
    world.pass(Duration::from_secs(1));
    world.past(3, 1000, 3);
    world.turns();
    let before: Vec<u64> = world.got().iter().filter(|got| got.ssrc == AUDIO).map(|got| got.index).collect();
    assert!(!before.is_empty());
    // Another session; everything at once.
    world.feed(vec![FeedItem::Epoch { track: Track::Audio, first: SeqNo(world.next[1]) }]);
    let first = world.next[1];
    let burst = |world: &mut World, count: u64, every: Duration| {
        for _ in 0..count {
            world.sound();
            world.turns();
            world.now += every;
        }
    };
    burst(&mut world, 15, Duration::ZERO);
    assert!(world.got().iter().all(|got| got.ssrc != AUDIO));
    burst(&mut world, 20, Duration::from_millis(20));
    let after: Vec<Got> = world.got().into_iter().filter(|got| got.ssrc == AUDIO).collect();
    assert_eq!(after.len(), 15, "a tenth of a second is needed to tell");
    assert_eq!(after[0].ring, first + 20);
    let numbers: Vec<u64> = before.iter().copied().chain(after.iter().map(|got| got.index)).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
}
