//! The way to the server, and what a viewer measures from there on, add up to the whole.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::{Duration, Instant};

use heliograph_media::{Bitrate, Ssrc, rtcp};

use super::testing::{Publisher, World, ms};
use crate::{Track, Uplink, UplinkBasis, Warning};

fn say(world: &mut World, publisher: &Publisher, write: impl FnOnce(&mut Vec<u8>)) {
    let mut datagram = Vec::new();
    write(&mut datagram);
    world.send(publisher.from, datagram.into());
}

fn uplink(world: &World) -> Uplink {
    let uplink = world.inlet.report(world.now).uplink;
    assert_eq!(world.uplink, uplink, "readers know it, too");
    uplink.unwrap()
}

/// When the newest picture came, and when it is due by the clock that readers have.
fn newest(world: &World) -> (Instant, Instant) {
    let newest = world.newest(Track::Video);
    let due = world.clocks[Track::Video.index()].unwrap().instant_of(newest.timestamp).unwrap();
    (newest.arrival, due)
}

/// How late the newest picture came, as readers measure it, and the way to the server on top of it.
fn whole(world: &World) -> Duration {
    let (arrival, due) = newest(world);
    arrival + uplink(world).delay - due
}

#[track_caller]
fn near(found: Duration, wanted: Duration) {
    // In a minute 6 ms of a queue are taken for drift.
    assert!(found.abs_diff(wanted) <= ms(8), "{found:?}, not {wanted:?}");
}

#[test]
fn a_queue_on_the_way_is_in_it_wherever_the_line_has_got_to() {
    let mut world = World::new();
    let mut publisher = Publisher::new(5000, 0x100);
    assert_eq!(world.inlet.report(world.now).uplink, None);
    let mut plays = |world: &mut World, seconds: u64, slower: Duration| {
        for _ in 0..seconds {
            say(world, &publisher, |out| rtcp::write_least_delay(out, Ssrc(0), ms(20)));
            for _ in 0..25 {
                world.play(&mut publisher, Publisher::PICTURE);
                world.wait(slower);
            }
        }
    };
    plays(&mut world, 6, Duration::ZERO);
    assert_eq!(uplink(&world).basis, UplinkBasis::Network);
    near(whole(&world), ms(20));
    // 4 s long each picture comes 1 ms later than the one before.
    plays(&mut world, 4, ms(1));
    near(whole(&world), ms(120));
    plays(&mut world, 2, Duration::ZERO);
    near(uplink(&world).on_arrival, ms(120));
    for _ in 0..10 {
        plays(&mut world, 6, Duration::ZERO);
        near(whole(&world), ms(120));
    }
    assert!(uplink(&world).delay > ms(40), "the line follows");
    world.wait(ms(15_000));
    assert_eq!(world.inlet.report(world.now).uplink, None, "away");
}

/// What had piled up while the publisher connected comes at once.
#[test]
fn a_backlog_at_each_return_is_no_way_of_the_newest_media_and_does_not_add_up() {
    let mut world = World::new();
    for session in 0..5 {
        let mut publisher = Publisher::new(5000 + session, 0x100 * u32::from(session + 1));
        for _ in 0..25 {
            let packets = publisher.picture().into_iter().chain([publisher.sound(), publisher.sound()]);
            packets.collect::<Vec<_>>().into_iter().for_each(|packet| world.send(publisher.from, packet));
        }
        for _ in 0..5 {
            say(&mut world, &publisher, |out| rtcp::write_least_delay(out, Ssrc(0), ms(20)));
            world.play(&mut publisher, ms(1_000));
        }
        let (arrival, due) = newest(&world);
        let ahead = due.saturating_duration_since(arrival);
        // The clock of the first session may leap before anybody goes by it.
        assert!(ahead <= if session == 0 { ms(8) } else { ms(1_000) }, "{ahead:?} in session {session}");
        near(whole(&world), ms(20));
        near(uplink(&world).on_arrival, ms(20));
        world.wait(ms(3_000));
    }
}

#[test]
fn a_publisher_with_a_clock_says_all_of_it() {
    let mut world = World::new();
    let mut publisher = Publisher::new(5000, 0x100);
    world.play(&mut publisher, ms(5_000));
    let next = publisher.video.timestamp;
    // The next picture was captured 70 ms ago and is due now.
    say(&mut world, &publisher, |out| rtcp::write_captured(out, publisher.video.ssrc, next, ms(70)));
    say(&mut world, &publisher, |out| rtcp::write_captured(out, publisher.audio.ssrc, 0, ms(5_000)));
    say(&mut world, &publisher, |out| rtcp::write_captured(out, Ssrc(0xdead), next, ms(5)));
    assert_eq!(uplink(&world).basis, UplinkBasis::Capture);
    near(uplink(&world).delay, ms(70));
}

#[test]
fn too_high_a_bitrate_is_told_for_as_long_as_the_ingest_says_so_and_ten_seconds() {
    let mut world = World::new();
    let mut publisher = Publisher::new(5000, 0x100);
    let told = |world: &World| {
        world.inlet.report(world.now).warnings.contains(&Warning::BitrateLimit { kbps: 8_000 })
    };
    world.play(&mut publisher, Publisher::PICTURE);
    assert!(!told(&world));
    say(&mut world, &publisher, |out| rtcp::write_over_limit(out, Ssrc(0), Bitrate::kbps(8_000)));
    world.wait(ms(9_900));
    assert!(told(&world), "bitrates waver");
    world.wait(ms(200));
    assert!(!told(&world));
}
