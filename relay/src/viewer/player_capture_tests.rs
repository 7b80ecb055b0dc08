//! What a viewer is told of when pictures and sound were captured.

use super::*;
use crate::{Uplink, UplinkBasis};

/// Id of the extension.
const CAPTURE: u8 = 6;

impl World {
    /// A viewer that wants to be told, of a stream that takes 70 ms to here.
    fn telling(rtx: bool) -> Self {
        let mut world = Self::new(rtx);
        let asking = |track: NegotiatedTrack| NegotiatedTrack {
            capture_time_ext: Some(CAPTURE),
            mid_ext: None,
            ..track
        };
        let keys = SrtpKeys { local: key(1), remote: key(2) };
        let media = PlayerMedia {
            video: Some(asking(track(VIDEO, VIDEO_PT, rtx))),
            audio: Some(asking(track(AUDIO, 111, false))),
            cname: "cname".into(),
            playout: PlayoutDelay::default(),
            video_codec: Codec::Vp8,
            layer: None,
        };
        world.player = Player::new(media, &keys, &mut StdRng::seed_from_u64(1)).unwrap();
        world.uplink(Some(70));
        world
    }

    fn uplink(&mut self, ms: Option<u64>) {
        let uplink = |delay| Uplink { delay, on_arrival: delay, basis: UplinkBasis::Network };
        self.feed(vec![FeedItem::Uplink(ms.map(Duration::from_millis).map(uplink))]);
    }

    /// One picture and one sound, live.
    fn show(&mut self, pictures: u64) -> Vec<Got> {
        let mut got = Vec::new();
        for _ in 0..pictures {
            self.past(1, 1000, 3);
            self.turns();
            got.append(&mut self.got());
        }
        got
    }
}

/// Capture times, each with the timestamp of its packet.
fn told(got: &[Got], ssrc: Ssrc) -> Vec<(u32, NtpTime)> {
    let time = |got: &Got| {
        let data = heliograph_media::rtp::extension(&got.sealed, CAPTURE)?;
        assert_eq!(data.len(), 16);
        assert_eq!(data[8..], [0; 8], "by the clock of the sender reports");
        Some((got.timestamp, NtpTime(u64::from_be_bytes(data[..8].try_into().unwrap()))))
    };
    got.iter().filter(|got| got.ssrc == ssrc).filter_map(time).collect()
}

/// Milliseconds between two capture times.
fn apart(earlier: NtpTime, later: NtpTime) -> u128 {
    (later.since(earlier).unwrap().as_micros() + 500) / 1_000
}

#[test]
fn pictures_tell_once_a_second_and_while_they_are_squeezed() {
    let mut world = World::telling(true);
    world.past(49, 50, 10);
    let present = world.now;
    world.start();
    world.pass(Duration::from_millis(250));
    let replay = world.got();
    let times = told(&replay, VIDEO);
    assert_eq!(times.len(), 49, "the whole past in its own time");
    assert!(times.windows(2).all(|pair| apart(pair[0].1, pair[1].1) == 40), "{times:?}");
    assert!(replay.iter().all(|got| got.ssrc != RTX || told(std::slice::from_ref(got), RTX).is_empty()));

    world.now = present + PICTURE;
    // The replay ends here; the first pictures after it are still a bit squeezed.
    world.show(25);
    let live = world.show(100);
    let pictures = told(&live, VIDEO);
    assert_eq!(pictures.len(), 4);
    let (timestamp, captured) = pictures[2];
    let since_first = timestamp.wrapping_sub(pictures[0].0) / 90;
    assert_eq!(apart(pictures[0].1, captured), u128::from(since_first));
    // Two seconds of it: in this world a sound of 20 ms goes with a picture of 40.
    assert_eq!(told(&live, AUDIO).len(), 2);
    for got in &live {
        let len = if told(std::slice::from_ref(got), got.ssrc).is_empty() { 20 } else { 40 };
        assert_eq!(got.header_len, len, "one element of five words");
    }
}

#[test]
fn what_is_learned_of_the_way_is_told_with_the_next_picture() {
    let mut world = World::telling(true);
    world.past(2, 50, 3);
    world.start();
    world.pass(Duration::from_millis(50));
    let before = *told(&world.show(2), VIDEO).last().unwrap_or(&(0, NtpTime::default()));
    world.uplink(Some(95));
    let after = told(&world.show(5), VIDEO);
    assert_eq!(after.len(), 1);
    if before.0 != 0 {
        let ticks = u128::from(after[0].0.wrapping_sub(before.0) / 90);
        assert_eq!(apart(before.1, after[0].1), ticks - 25);
    }
    world.uplink(None);
    assert_eq!(told(&world.show(60), VIDEO), [], "nobody knows");
}

#[test]
fn who_has_not_asked_or_gets_the_same_packets_again_is_told_nothing() {
    let mut world = World::new(true);
    world.uplink(Some(70));
    world.past(10, 50, 3);
    world.start();
    world.pass(Duration::from_millis(100));
    let mut got = world.got();
    got.append(&mut world.show(50));
    assert!(got.iter().all(|got| heliograph_media::rtp::extension(&got.sealed, CAPTURE).is_none()));

    let mut world = World::telling(true);
    world.past(2, 50, 3);
    world.start();
    world.pass(Duration::from_millis(50));
    let live = world.show(30);
    let telling = live.iter().find(|got| told(std::slice::from_ref(got), VIDEO).len() == 1).unwrap().clone();
    world.nack(&[telling.index]);
    let again = world.got();
    assert_eq!((again[0].ssrc, again[0].osn), (RTX, Some(telling.index as u16)));
    assert_eq!(told(&again, RTX), []);
}

#[test]
fn no_packet_becomes_too_long() {
    let mut world = World::telling(true);
    world.past(2, 50, 1);
    world.start();
    world.pass(Duration::from_millis(50));
    world.show(30);
    let long = |world: &World, bytes: usize| {
        let mut packet =
            (*world.packet(world.next[0], (1 << 33) + 3_600 * world.picture, [true; 2], StartParts::NONE))
                .clone();
        let mut payload = packet.payload.to_vec();
        payload.resize(bytes, 7);
        packet.payload = payload.into();
        Arc::new(packet)
    };
    for (bytes, tells) in [(1_380, false), (1_200, true)] {
        world.picture += 26;
        let packet = long(&world, bytes);
        world.next[0] += 1;
        world.publish(vec![packet]);
        world.turns();
        let got = world.got_video();
        assert_eq!(told(&got, VIDEO).len(), usize::from(tells), "{bytes}");
        assert!(got.iter().all(|got| got.sealed.len() <= 1_420), "{bytes}");
    }
}

#[test]
fn before_the_clocks_are_settled_nothing_is_told() {
    let mut world = World::telling(true);
    let settle = |world: &mut World, settled| {
        for track in [Track::Video, Track::Audio] {
            let clock = *world.stream.view().clock(track).unwrap();
            world.feed(vec![FeedItem::Clock { track, clock, settled }]);
        }
    };
    settle(&mut world, false);
    world.past(2, 50, 3);
    world.start();
    world.pass(Duration::from_millis(50));
    let live = world.show(60);
    assert_eq!((told(&live, VIDEO), told(&live, AUDIO)), (vec![], vec![]));
    settle(&mut world, true);
    let live = world.show(2);
    assert_eq!((told(&live, VIDEO).len(), told(&live, AUDIO).len()), (1, 1));
}
