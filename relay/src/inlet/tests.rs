#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use bytes::Bytes;
use heliograph_media::{
    NtpTime, SeqNo, Ssrc,
    rtcp::{self, Rtcp},
};
use proptest::prelude::*;

use super::testing::{Publisher, Sender, World, address, ms};
use crate::{CodecParameters, StreamState, Track, Warning};

const VIDEO: usize = 0;
const AUDIO: usize = 1;

/// How much later the newest picture is due than the newest sound, by the clocks that viewers are told; both were
/// just sent for the same moment.
fn lip_sync_ms(world: &World, publisher: &Publisher) -> i64 {
    let due = |track: Track, ahead_ms: u64| {
        let clock = world.clocks[track.index()].unwrap();
        clock.instant_of(world.newest(track).timestamp).unwrap() + ms(ahead_ms)
    };
    // The publisher has counted on: one picture, and one sound, are not sent yet.
    assert!(publisher.pictures > 0);
    let (picture, sound) = (due(Track::Video, 40), due(Track::Audio, 20));
    let later = picture.saturating_duration_since(sound).as_millis();
    let earlier = sound.saturating_duration_since(picture).as_millis();
    i64::try_from(later).unwrap() - i64::try_from(earlier).unwrap()
}

fn consecutive(world: &World) {
    for packets in &world.packets {
        for pair in packets.windows(2) {
            assert_eq!(pair[1].seq, pair[0].seq.next());
            assert!(pair[1].timestamp >= pair[0].timestamp);
        }
    }
}

#[test]
fn a_stream_begins() {
    let mut world = World::new();
    let mut publisher = Publisher::new(5000, 0x100);
    assert_eq!(world.state(), StreamState::Waiting);
    world.play(&mut publisher, ms(1_000));
    assert_eq!(world.state(), StreamState::Live);
    assert_eq!(world.take_events(), ["epoch video", "parameters video", "epoch audio", "parameters audio"]);
    consecutive(&world);
    assert_eq!(world.packets[VIDEO].len(), 5 + 24 * 2);
    assert_eq!(world.packets[AUDIO].len(), 50);
    let Some(CodecParameters::H264(parameters)) = &world.parameters[VIDEO] else { panic!("H.264") };
    assert_eq!((parameters.width, parameters.height), (1280, 720));
    assert_eq!(parameters.profile_level_id, [0x42, 0xc0, 0x1f]);

    let starts: Vec<u64> = world.packets[VIDEO].iter().filter(|p| p.frame_start).map(|p| p.seq.0).collect();
    assert_eq!(starts[..3], [65_536, 65_541, 65_543]);
    assert_eq!(world.packets[VIDEO].iter().filter(|p| p.keyframe_start).count(), 1);
    assert_eq!(world.rings[VIDEO].newest_keyframe(), Some(SeqNo(65_536)));
    assert_eq!(lip_sync_ms(&world, &publisher), 0);

    world.play(&mut publisher, ms(3_000));
    let report = world.inlet.report(world.now);
    assert_eq!(report.tracks[VIDEO].fps, Some(30.0), "as announced");
    assert_eq!(report.warnings, []);
    assert!(report.tracks[AUDIO].bitrate_bps >= 1_100, "{}", report.tracks[AUDIO].bitrate_bps);
}

#[test]
fn a_restart_goes_on_where_relay_time_has_got_to() {
    for (seq, timestamp) in [(0, [0, 0]), (65_530, [u32::MAX - 9_000, 77]), (1_234, [5, u32::MAX - 100])] {
        let mut world = World::new();
        let mut first = Publisher::new(5000, 0x100);
        (first.video.seq, first.audio.seq) = (40_000, 50_000);
        (first.video.timestamp, first.audio.timestamp) = (1 << 31, 3 << 30);
        world.play(&mut first, ms(3_000));
        let last = [VIDEO, AUDIO].map(|track| world.packets[track].last().unwrap().clone());
        world.take_events();

        world.wait(Duration::from_secs(10));
        assert_eq!(world.state(), StreamState::Away);
        let mut second = Publisher::new(5001, 0x200);
        (second.video.seq, second.audio.seq) = (seq, seq);
        [second.video.timestamp, second.audio.timestamp] = timestamp;
        world.play(&mut second, ms(3_000));

        assert_eq!(world.take_events(), ["away", "epoch video", "back", "epoch audio"]);
        consecutive(&world);
        let sync = lip_sync_ms(&world, &second);
        assert!(sync.abs() <= 1, "{sync} ms from {seq}");
        for (track, rate) in [(VIDEO, 90), (AUDIO, 48)] {
            let next = world.packets[track].iter().find(|p| p.seq == last[track].seq.next()).unwrap();
            let elapsed = next.arrival - last[track].arrival;
            let expected = last[track].timestamp + u64::try_from(elapsed.as_millis()).unwrap() * rate;
            // Anchored at one instant: one track exactly, the other within a picture.
            assert!(next.timestamp.abs_diff(expected) <= 41 * rate, "{} {expected}", next.timestamp);
            assert!(next.frame_start);
        }
        assert!(world.rings[VIDEO].newest_keyframe() > Some(last[VIDEO].seq));
    }
}

#[test]
fn an_encoder_that_counts_from_zero_is_anchored_whatever_comes_first() {
    let mut world = World::new();
    let mut publisher = Publisher::new(5000, 0x100);
    // Sound leaves the gate 90 ms late, but says so.
    let keyframe = publisher.picture();
    for packet in keyframe {
        world.send(publisher.from, packet);
    }
    world.wait(ms(90));
    let sound = publisher.sound();
    world.send(publisher.from, sound);
    let presented = [Track::Video, Track::Audio]
        .map(|track| world.clocks[track.index()].unwrap().instant_of(world.newest(track).timestamp).unwrap());
    assert_eq!(presented[0], presented[1]);
}

#[test]
fn a_take_over_drops_the_old_session() {
    let mut world = World::new();
    let mut old = Publisher::new(5000, 0x100);
    world.play(&mut old, ms(1_000));
    // The same forwarder, a new session; the old one has not quite stopped.
    let mut new = Publisher::new(5000, 0x200);
    for round in 0..10 {
        for packet in new.picture() {
            world.send(new.from, packet);
        }
        for packet in old.picture() {
            world.send(old.from, packet);
        }
        let sounds = [new.sound(), old.sound()];
        for packet in sounds {
            world.send(new.from, packet);
        }
        world.wait(ms(40));
        assert_eq!(world.refused("old_session"), 3 * (round + 1));
    }
    consecutive(&world);
    // Once silent for long enough, the same numbers may come back.
    world.play(&mut new, Duration::from_secs(6));
    world.take_events();
    old.pictures = 0;
    world.play(&mut old, ms(1_000));
    assert_eq!(world.take_events(), ["epoch video", "epoch audio"]);
    consecutive(&world);
}

#[test]
fn a_new_allocation_lets_a_new_source_in_at_once() {
    let mut world = World::new();
    let mut old = Publisher::new(5000, 0x100);
    let mut new = Publisher::new(6000, 0x200);
    world.play(&mut old, ms(500));
    world.play(&mut new, ms(200));
    assert_eq!(world.refused("foreign_source"), 23);
    world.inlet.allocated_again(world.now, &crate::TrackDescription::defaults());
    world.take_events();
    new.pictures = 0;
    world.play(&mut new, ms(500));
    assert_eq!(world.take_events(), ["epoch video", "epoch audio"]);
    world.play(&mut old, ms(200));
    assert_eq!(world.refused("foreign_source"), 23 + 20);
}

#[test]
fn after_a_goodbye_nobody_waits_for_silence() {
    let mut world = World::new();
    let mut old = Publisher::new(5000, 0x100);
    let mut new = Publisher::new(6000, 0x200);
    world.play(&mut old, ms(500));
    let goodbye = |ssrcs: &[Ssrc]| {
        let mut datagram = Vec::new();
        rtcp::write_bye(&mut datagram, ssrcs);
        Bytes::from(datagram)
    };
    world.send(new.from, goodbye(&[Ssrc(0x999)]));
    world.send("192.0.2.1:5000".parse().unwrap(), goodbye(&[old.audio.ssrc, old.video.ssrc]));
    let early = new.sound();
    world.send(new.from, early);
    assert_eq!(world.refused("foreign_source"), 1);
    world.take_events();
    world.send(old.from, goodbye(&[old.audio.ssrc, old.video.ssrc]));
    world.play(&mut new, ms(500));
    assert_eq!(world.take_events(), ["epoch video", "epoch audio"]);
    consecutive(&world);
}

#[test]
fn the_same_ssrc_may_start_anew() {
    // Told apart by the timestamps, and after a silence.
    for (played, pause) in [(120_000, 0), (20_000, 0), (400, 3_000), (120_000, 30_000)] {
        let mut world = World::new();
        let mut publisher = Publisher::new(5000, 0x100);
        world.play(&mut publisher, ms(played));
        world.wait(ms(pause));
        let mut again = Publisher::new(5000, 0x100);
        let before = world.newest(Track::Video).seq;
        world.take_events();
        world.play(&mut again, ms(3_000));
        let events = world.take_events();
        let epochs: Vec<_> = events.iter().filter(|event| event.starts_with("epoch")).collect();
        assert_eq!(epochs, ["epoch video", "epoch audio"], "{played} {pause}: {events:?}");
        consecutive(&world);
        let sync = lip_sync_ms(&world, &again);
        assert!(sync.abs() <= 41, "{sync} ms after {played} {pause}");
        assert_eq!(world.packets[VIDEO].iter().filter(|p| p.seq > before).count(), 2 * 5 + 73 * 2);
    }
}

/// Everything comes later than the clock says when the pictures begin anew: they go where the sound is.
#[test]
fn pictures_that_begin_anew_stay_with_their_sound() {
    for silent in [0, 1_520] {
        let mut world = World::new();
        let mut publisher = Publisher::new(5000, 0x100);
        world.play(&mut publisher, ms(10_000));
        world.wait(ms(150));
        world.play(&mut publisher, ms(1_000));
        let before = world.newest(Track::Video).timestamp;
        for _ in 0..silent / 20 {
            let sound = publisher.sound();
            world.send(publisher.from, sound);
            world.wait(ms(20));
        }
        publisher.video.ssrc = Ssrc(0x222);
        publisher.video.timestamp = 4_000_000_000;
        publisher.pictures = 0;
        world.play(&mut publisher, ms(40));
        let sync = lip_sync_ms(&world, &publisher);
        assert!(sync.abs() <= 20, "{sync} ms");
        let step = (world.newest(Track::Video).timestamp - before) / 90;
        assert!((silent + 20..=silent + 60).contains(&step), "{step} ms");
    }
}

#[test]
fn the_same_numbers_so_soon_look_like_duplicates_for_a_moment_only() {
    let mut world = World::new();
    let mut publisher = Publisher::new(5000, 0x100);
    world.play(&mut publisher, ms(2_000));
    world.take_events();
    let mut again = Publisher::new(5000, 0x100);
    world.play(&mut again, ms(4_000));
    let mut events = world.take_events();
    events.sort_unstable();
    assert_eq!(events, ["away", "back", "epoch audio", "epoch video"]);
    consecutive(&world);
    assert!(lip_sync_ms(&world, &again).abs() <= 41);
}

#[test]
fn a_leap_of_the_timestamps_is_an_epoch_and_one_odd_packet_is_not() {
    let mut world = World::new();
    let mut publisher = Publisher::new(5000, 0x100);
    world.play(&mut publisher, ms(2_000));
    world.take_events();
    publisher.video.timestamp = publisher.video.timestamp.wrapping_add(90_000 * 100);
    publisher.audio.timestamp = publisher.audio.timestamp.wrapping_add(48_000 * 100);
    publisher.pictures = 0;
    world.play(&mut publisher, ms(2_000));
    assert_eq!(world.take_events(), ["epoch video", "epoch audio"]);
    consecutive(&world);
    let span = world.newest(Track::Audio).timestamp - world.packets[AUDIO][0].timestamp;
    assert!(span < 48_000 * 5, "{span}");

    let odd = Sender { timestamp: 0x1234_5678, ..publisher.audio.clone() }.packet(false, &[0xfc]);
    publisher.audio.seq = publisher.audio.seq.wrapping_add(1);
    world.send(publisher.from, odd);
    world.play(&mut publisher, ms(2_000));
    assert_eq!(world.take_events(), ["lost audio 1"]);
    assert!(world.refused("jump") >= 1);
}

#[test]
fn numbers_and_timestamps_wrap_without_a_trace() {
    for start in [65_530_u16, 65_000, 32_760, 0] {
        let mut world = World::new();
        let mut publisher = Publisher::new(5000, 0x100);
        (publisher.video.seq, publisher.audio.seq) = (start, start);
        (publisher.video.timestamp, publisher.audio.timestamp) = (u32::MAX - 90_000, u32::MAX - 48_000);
        world.play(&mut publisher, Duration::from_secs(30));
        consecutive(&world);
        assert_eq!(world.take_events().len(), 4);
        for pair in world.packets[AUDIO].windows(2) {
            assert_eq!(pair[1].timestamp - pair[0].timestamp, 960);
        }
        assert!(lip_sync_ms(&world, &publisher).abs() <= 1);
    }
}

#[test]
fn loss_is_told_once_it_is_certain() {
    let mut world = World::new();
    let mut publisher = Publisher::new(5000, 0x100);
    world.play(&mut publisher, ms(1_000));
    world.take_events();
    // One picture of two packets and its first sound.
    world.play_through(&mut publisher, ms(40), |packet| packet > 2);
    world.play(&mut publisher, ms(900));
    assert_eq!(world.take_events(), [""; 0]);
    world.play(&mut publisher, ms(200));
    let mut events = world.take_events();
    events.sort_unstable();
    assert_eq!(events, ["lost audio 1", "lost video 2"]);
    assert_eq!(world.inlet.report(world.now).tracks.iter().map(|t| t.lost).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(world.refused("jump"), 0);
}

#[test]
fn late_packets_come_to_their_place_and_duplicates_nowhere() {
    let mut world = World::new();
    let mut publisher = Publisher::new(5000, 0x100);
    world.play(&mut publisher, ms(1_000));
    world.take_events();
    let late = publisher.picture();
    world.play(&mut publisher, ms(800));
    let before = world.rings[VIDEO].next();
    for packet in late.iter().rev() {
        world.send(publisher.from, packet.clone());
        world.send(publisher.from, packet.clone());
    }
    assert_eq!(world.rings[VIDEO].next(), before);
    assert_eq!(world.refused("duplicate"), 2);
    assert!(world.rings[VIDEO].get(SeqNo(65_536 + 5 + 24 * 2)).unwrap().frame_start);
    world.play(&mut publisher, ms(2_000));
    assert_eq!(world.take_events(), [""; 0], "nothing was lost in the end");
}

#[test]
fn a_keyframe_with_a_hole_is_no_place_to_start_until_the_hole_is_filled() {
    let mut world = World::new();
    let mut publisher = Publisher::new(5000, 0x100);
    world.play(&mut publisher, ms(2_000));
    let first = world.rings[VIDEO].newest_keyframe();
    let mut keyframe = publisher.picture();
    let missing = keyframe.remove(3);
    for packet in keyframe {
        world.send(publisher.from, packet);
    }
    world.play(&mut publisher, ms(400));
    assert_eq!(world.rings[VIDEO].newest_keyframe(), first);
    world.send(publisher.from, missing);
    assert_eq!(world.rings[VIDEO].newest_keyframe(), Some(SeqNo(65_536 + 5 + 49 * 2)));
}

#[test]
fn video_waits_for_a_keyframe_with_its_parameter_sets() {
    let mut world = World::new();
    let mut publisher = Publisher::new(5000, 0x100);
    // In the middle of a picture group, and the next keyframe has no parameter sets.
    publisher.pictures = 40;
    world.play(&mut publisher, ms(360));
    assert_eq!(world.state(), StreamState::Live, "sound flows");
    let idr = publisher.video.packet(true, &[0x65, 0x88, 0x84]);
    world.send(publisher.from, idr);
    publisher.pictures = 51;
    publisher.video.timestamp += 3_600;
    world.play(&mut publisher, ms(40));
    assert!(world.packets[VIDEO].is_empty());
    assert_eq!(world.refused("before_keyframe"), 9 * 2 + 1, "all but what may still be a beginning");
    world.play(&mut publisher, ms(3_500));
    assert!(world.inlet.report(world.now).warnings.is_empty());
    let opening = &world.packets[VIDEO][0];
    assert!(opening.keyframe_start && opening.frame_start);
    assert_eq!(opening.seq, SeqNo(65_536));
    consecutive(&world);
    assert_eq!(lip_sync_ms(&world, &publisher), 40, "the picture put in between took no time");
}

#[test]
fn sources_are_latched_by_payload_type() {
    let mut world = World::new();
    let mut publisher = Publisher::new(5000, 0x100);
    let mut thief = Publisher::new(6000, 0x666);
    world.play(&mut publisher, ms(1_000));
    world.take_events();
    // One socket per medium, as ffmpeg has it, is fine from the beginning only.
    for _ in 0..25 {
        world.play(&mut publisher, ms(40));
        let mut attack = thief.picture();
        attack.push(thief.sound());
        for packet in attack {
            world.send(thief.from, packet);
        }
    }
    assert_eq!(world.take_events(), [""; 0]);
    assert_eq!(world.refused("foreign_source"), 5 + 24 * 2 + 25);
    world.wait(ms(1_900));
    let sound = thief.sound();
    world.send(thief.from, sound.clone());
    assert_eq!(world.take_events(), ["away"]);
    world.wait(ms(110));
    world.send(thief.from, sound);
    assert_eq!(world.take_events(), ["epoch audio", "back"]);
}

#[test]
fn ffmpeg_uses_a_socket_per_medium_and_others_for_rtcp() {
    let mut world = World::new();
    let mut publisher = Publisher::new(5000, 0x100);
    publisher.video.timestamp = 3_000_000_000;
    for _ in 0..50 {
        for packet in publisher.picture() {
            world.send(address(5000), packet);
        }
        for _ in 0..2 {
            let sound = publisher.sound();
            world.send(address(5002), sound);
            world.wait(ms(20));
        }
    }
    assert_eq!(world.refused("foreign_source"), 0);
    let to = |world: &mut World| {
        let mut to: Vec<u16> = world.transmits.drain(..).map(|transmit| transmit.to.port()).collect();
        to.sort_unstable();
        to.dedup();
        to
    };
    assert_eq!(to(&mut world), [5000, 5002]);
    world.send(address(5001), publisher.video.report(NtpTime(1 << 32), 3_000_000_000));
    world.send("192.0.2.1:5001".parse().unwrap(), publisher.audio.report(NtpTime(1 << 32), 0));
    assert_eq!(world.refused("foreign_rtcp"), 1);
    world.play(&mut publisher, ms(400));
    world.wait(ms(300));
    let sound = publisher.sound();
    world.send(address(5002), sound);
    world.wait(ms(600));
    assert_eq!(to(&mut world), [5001, 5002]);
}

#[test]
fn sender_reports_of_both_tracks_say_what_belongs_together() {
    // Sound arrives 300 ms after the picture that belongs to it, and the timestamps are random.
    for (reported, expected) in [(true, 300), (false, 0)] {
        let mut world = World::new();
        let mut publisher = Publisher::new(5000, 0x100);
        (publisher.video.timestamp, publisher.audio.timestamp) = (3_000_000_000, 4_000_000_000);
        for step in 0..250_u64 {
            for packet in publisher.picture() {
                world.send(publisher.from, packet);
            }
            for _ in 0..2 {
                let sound = publisher.sound();
                world.send(publisher.from, sound);
                world.wait(ms(20));
            }
            if reported && step % 25 == 24 {
                // Wall clock of the picture's timestamp, and of the sound 300 ms earlier.
                let wall = |ms: u64| NtpTime::from_unix(Duration::from_millis(1_700_000_000_000 + ms));
                let now = (step + 1) * 40;
                let reports = [
                    publisher.video.report(wall(now), publisher.video.timestamp),
                    publisher.audio.report(wall(now - 300), publisher.audio.timestamp),
                ];
                for report in reports {
                    world.send(publisher.from, report);
                }
            }
        }
        let sync = lip_sync_ms(&world, &publisher);
        assert!((sync - expected).abs() <= 1, "{sync} {expected}");
        // Learned late, but no timestamp moved.
        for pair in world.packets[AUDIO].windows(2) {
            assert_eq!(pair[1].timestamp - pair[0].timestamp, 960);
        }
    }
}

#[test]
fn reports_that_make_no_sense_change_nothing() {
    let mut world = World::new();
    let mut publisher = Publisher::new(5000, 0x100);
    for step in 0..20_u64 {
        world.play(&mut publisher, ms(200));
        let wall = |s: u64| NtpTime::from_unix(Duration::from_secs(1_700_000_000 + s));
        for report in [
            publisher.video.report(NtpTime(0), publisher.video.timestamp),
            publisher.video.report(wall(step), publisher.video.timestamp),
            publisher.audio.report(wall(step + 600), publisher.audio.timestamp),
            Bytes::from_static(&[0x80, 0xc8, 0, 9]),
        ] {
            world.send(publisher.from, report);
        }
    }
    assert_eq!(lip_sync_ms(&world, &publisher), 0);
    assert_eq!(world.refused("bad_rtcp"), 20);
}

#[test]
fn without_reports_the_quickest_packets_decide() {
    let mut world = World::new();
    let mut publisher = Publisher::new(5000, 0x100);
    (publisher.video.timestamp, publisher.audio.timestamp) = (3_000_000_000, 4_000_000_000);
    // The first sound comes 150 ms late, the others in time.
    for packet in publisher.picture() {
        world.send(publisher.from, packet);
    }
    let sound = [publisher.sound(), publisher.sound()];
    world.wait(ms(150));
    for packet in sound {
        world.send(publisher.from, packet);
    }
    for _ in 0..3 {
        for packet in publisher.picture() {
            world.send(publisher.from, packet);
        }
        for _ in 0..2 {
            let sound = publisher.sound();
            world.send(publisher.from, sound);
        }
    }
    world.wait(ms(10));
    assert!(lip_sync_ms(&world, &publisher).abs() >= 100, "misled by the first packet");
    world.play(&mut publisher, ms(4_000));
    assert!(lip_sync_ms(&world, &publisher).abs() <= 1);
}

#[test]
fn drift_moves_both_clocks_alike() {
    let mut world = World::new();
    let mut publisher = Publisher::new(5000, 0x100);
    // 400 ppm slow: each picture takes 16 us longer than it says.
    for _ in 0..25 * 120 {
        world.play(&mut publisher, Publisher::PICTURE);
        world.wait(Duration::from_micros(16));
    }
    assert_eq!(lip_sync_ms(&world, &publisher), 0);
    let clock = world.clocks[VIDEO].unwrap();
    let newest = world.newest(Track::Video);
    let late = newest.arrival.saturating_duration_since(clock.instant_of(newest.timestamp).unwrap());
    assert!(late < ms(5), "{late:?} behind after 48 ms of drift");
}

#[test]
fn a_publisher_that_falls_behind_is_followed_without_a_leap() {
    let mut world = World::new();
    let mut publisher = Publisher::new(5000, 0x100);
    world.play(&mut publisher, ms(10_000));
    // From here on everything comes a second later, as through a queue on the way.
    world.wait(ms(1_000));
    let (mut before, mut late) = (world.clocks[VIDEO].unwrap(), ms(0));
    for _ in 0..120 {
        world.play(&mut publisher, ms(2_000));
        let clock = world.clocks[VIDEO].unwrap();
        let (later, earlier) = clock.shift_from(&before);
        assert!(later.max(earlier) <= ms(20), "{later:?} later, {earlier:?} earlier");
        assert_eq!(lip_sync_ms(&world, &publisher), 0);
        let newest = world.newest(Track::Video);
        late = newest.arrival.saturating_duration_since(clock.instant_of(newest.timestamp).unwrap());
        before = clock;
    }
    assert!((ms(150)..ms(250)).contains(&late), "{late:?} behind, not 1 s");
}

#[test]
fn the_clocks_are_not_settled_before_it_is_known_how_late_the_first_packets_were() {
    let mut world = World::new();
    let mut publisher = Publisher::new(5000, 0x100);
    // They have waited for a connection that took 1.2 s, and come all at once.
    for _ in 0..30 {
        let packets = publisher.picture().into_iter().chain([publisher.sound(), publisher.sound()]);
        packets.for_each(|packet| world.send(publisher.from, packet));
    }
    world.play(&mut publisher, ms(1_500));
    assert!(world.clocks[VIDEO].is_some() && !world.settled);
    world.play(&mut publisher, ms(1_000));
    assert!(world.settled);
    let clock = world.clocks[VIDEO].unwrap();
    let newest = world.newest(Track::Video);
    let due = clock.instant_of(newest.timestamp).unwrap();
    let off =
        due.saturating_duration_since(newest.arrival).max(newest.arrival.saturating_duration_since(due));
    assert!(off < ms(5), "{off:?}");
    world.play(&mut publisher, ms(10_000));
    let (later, earlier) = world.clocks[VIDEO].unwrap().shift_from(&clock);
    assert!(world.settled && later.max(earlier) < ms(5), "{later:?} later, {earlier:?} earlier");
}

/// Of a session whose sound begins before its pictures, nothing says how they belong together.
#[test]
fn the_clocks_are_not_settled_before_the_tracks_are_laid_on_each_other() {
    for delay in [0, 700] {
        let mut world = World::new();
        let mut publisher = Publisher::new(5000, 0x100);
        publisher.video.timestamp = 777_777_777;
        publisher.audio.timestamp = 333_333_333;
        let play = |world: &mut World, publisher: &mut Publisher, time, with_pictures: bool| {
            let until = world.now + ms(time);
            while world.now < until {
                let pictures = if with_pictures { publisher.picture() } else { Vec::new() };
                let packets = pictures.into_iter().chain([publisher.sound(), publisher.sound()]);
                packets.for_each(|packet| world.send(publisher.from, packet));
                world.wait(Publisher::PICTURE);
            }
        };
        play(&mut world, &mut publisher, delay, false);
        let begun = world.now;
        while !world.settled {
            play(&mut world, &mut publisher, 40, true);
        }
        let (clocks, took) = (world.clocks, world.now - begun);
        assert!((ms(1_990)..ms(2_300)).contains(&took), "{took:?}");
        play(&mut world, &mut publisher, 5_000, true);
        for (before, after) in clocks.into_iter().zip(world.clocks).take(2) {
            let (later, earlier) = after.unwrap().shift_from(&before.unwrap());
            assert!(later.max(earlier) < ms(5), "{later:?} later, {earlier:?} earlier");
        }
    }
}

#[test]
fn a_publisher_that_begins_again_at_once_settles_nothing() {
    let mut world = World::new();
    let mut publisher = Publisher::new(5000, 0x100);
    world.play(&mut publisher, ms(1_000));
    let mut publisher = Publisher::new(5000, 0x200);
    world.play(&mut publisher, ms(1_000));
    assert!(!world.settled);
    world.play(&mut publisher, ms(1_500));
    assert!(world.settled);
}

#[test]
fn sound_alone_settles_its_clock() {
    let mut world = World::new();
    let mut publisher = Publisher::new(5000, 0x100);
    for _ in 0..110 {
        let packet = publisher.sound();
        world.send(publisher.from, packet);
        world.wait(ms(20));
    }
    assert!(world.settled);
}

#[test]
fn silence_is_away_then_idle() {
    let mut world = World::new();
    let mut publisher = Publisher::new(5000, 0x100);
    world.wait(Duration::from_secs(59));
    assert!(!world.inlet.is_idle(world.now));
    world.play(&mut publisher, ms(1_000));
    world.take_events();
    world.wait(ms(900));
    assert_eq!(world.state(), StreamState::Live);
    world.wait(ms(300));
    assert_eq!((world.state(), world.take_events()), (StreamState::Away, vec!["away".to_owned()]));
    world.play(&mut publisher, ms(40));
    assert_eq!((world.state(), world.take_events()), (StreamState::Live, vec!["back".to_owned()]));
    world.wait(Duration::from_secs(58));
    // Junk keeps nothing alive.
    world.send(publisher.from, Bytes::from_static(b"hello"));
    assert!(!world.inlet.is_idle(world.now));
    world.wait(Duration::from_secs(2));
    assert!(world.inlet.is_idle(world.now));
    world.inlet.allocated_again(world.now, &crate::TrackDescription::defaults());
    assert!(!world.inlet.is_idle(world.now));

    let mut permanent = World::with_idle_timeout(None);
    permanent.wait(Duration::from_secs(3_600));
    assert!(!permanent.inlet.is_idle(permanent.now));
}

#[test]
fn junk_is_counted_by_cause() {
    let mut world = World::new();
    let mut publisher = Publisher::new(5000, 0x100);
    world.play(&mut publisher, ms(200));
    let before = world.packets.each_ref().map(Vec::len);
    let speed_test = publisher.audio.packet(false, &[0; 1_392]);
    let ping = [0x81, 0xfa, 0, 24, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0, 0, 0, 0];
    let mut stranger = publisher.audio.clone();
    stranger.payload_type = heliograph_media::PayloadType::new(111).unwrap();
    let empty = publisher.audio.packet(false, &[]);
    let broken = publisher.video.packet(false, &[0xff, 1, 2]);
    for datagram in [
        speed_test,
        Bytes::copy_from_slice(&ping),
        Bytes::copy_from_slice(&ping[..12]),
        Bytes::copy_from_slice(&ping[..8]),
        stranger.packet(false, &[0xfc]),
        empty,
        broken,
        Bytes::new(),
        Bytes::from(vec![0xff; 2_048]),
    ] {
        world.send(publisher.from, datagram);
    }
    assert_eq!(world.packets.each_ref().map(Vec::len), before);
    let count = |label| world.refused(label);
    assert_eq!(
        ["opus_too_long", "payload_type", "not_rtp", "empty", "bad_h264"].map(count),
        [1, 2, 4, 1, 1],
        "{:?}",
        world.inlet.report(world.now).refused
    );
    assert_eq!(world.inlet.malformed(), 8);
}

#[test]
fn junk_does_not_take_the_port() {
    let mut world = World::new();
    let mut junk = Publisher::new(6000, 0x666);
    let packet = junk.audio.packet(false, &[0; 1_392]);
    world.send(junk.from, packet);
    let mut publisher = Publisher::new(5000, 0x100);
    world.play(&mut publisher, ms(40));
    assert_eq!(world.refused("foreign_source"), 0);
}

#[test]
fn receiver_reports_tell_what_was_lost() {
    let mut world = World::new();
    let mut publisher = Publisher::new(5000, 0x100);
    (publisher.video.seq, publisher.audio.seq) = (65_500, 65_500);
    world.play(&mut publisher, ms(1_000));
    world.send(publisher.from, publisher.audio.report(NtpTime(0x0001_0002_0003_0004), 0));
    world.transmits.clear();
    world.play_through(&mut publisher, ms(2_000), |packet| packet % 4 != 3);
    let last = world.transmits.last().unwrap();
    assert_eq!(last.to, publisher.from);
    let Rtcp::ReceiverReport { ssrc, reports } = &rtcp::parse_compound(&last.packet).unwrap()[0] else {
        panic!("a receiver report comes first")
    };
    assert_eq!((*ssrc, reports.len()), (Ssrc(0xaaaa_aaaa), 2));
    assert_eq!([reports[0].ssrc, reports[1].ssrc], [Ssrc(0x101), Ssrc(0x100)]);
    let lost: i32 = reports.iter().map(|report| report.cumulative_lost).sum();
    assert!((40..=55).contains(&lost), "{lost}");
    assert_eq!(reports[1].last_sr, 0x0002_0003);
    assert!(reports[0].highest_seq > 1 << 16);
}

#[test]
fn keyframes_are_asked_for_where_that_helps() {
    let plis = |world: &mut World| {
        let is_pli = |transmit: &super::Transmit| {
            let packets = rtcp::parse_compound(&transmit.packet).unwrap();
            packets.contains(&Rtcp::Pli { media: Ssrc(0x101) })
        };
        world.transmits.drain(..).filter(is_pli).count()
    };
    let mut world = World::new();
    let mut publisher = Publisher::new(5000, 0x100);
    publisher.interval = 1_000;
    world.play(&mut publisher, ms(2_000));
    for _ in 0..10 {
        world.inlet.request_keyframe(world.now, Track::Video);
        world.play(&mut publisher, ms(40));
    }
    world.wait(ms(0));
    assert_eq!(plis(&mut world), 1, "one in flight");
    assert!(!world.inlet.answers_keyframe_requests());
    world.play(&mut publisher, Duration::from_secs(31));
    world.inlet.request_keyframe(world.now, Track::Video);
    world.read();
    assert_eq!(plis(&mut world), 1, "another trial");
    publisher.pictures = 0;
    world.play(&mut publisher, ms(400));
    assert!(world.inlet.answers_keyframe_requests());

    // A session that starts in the middle is asked at once, too.
    let mut second = Publisher::new(5000, 0x100);
    (second.video.ssrc, second.audio.ssrc) = (Ssrc(0x101 + 0x1000), Ssrc(0x1100));
    second.pictures = 1;
    world.play(&mut second, ms(40));
    assert!(!world.inlet.answers_keyframe_requests(), "a new publisher is unknown");
    assert_eq!(plis(&mut world), 0);
}

#[test]
fn a_sound_publisher_hears_nothing_for_minutes_and_its_key_interval_is_known() {
    let mut world = World::new();
    let mut publisher = Publisher::new(5000, 0x100);
    publisher.interval = 60;
    world.play(&mut publisher, Duration::from_secs(200));
    let report = world.inlet.report(world.now);
    assert_eq!(report.warnings, []);
    let video = &report.tracks[VIDEO];
    let interval = Publisher::PICTURE * 60;
    let told = Duration::from_millis(video.keyframe_interval_ms.unwrap());
    assert!(told.abs_diff(interval) < ms(5), "{told:?} instead of {interval:?}");
    assert!(video.drift_ppm.unwrap().abs() < 100, "{:?}", video.drift_ppm);
}

#[test]
fn the_streamer_hears_what_is_wrong() {
    let mut world = World::new();
    let mut publisher = Publisher::new(5000, 0x100);
    publisher.interval = u32::MAX;
    let warnings = |world: &World| world.inlet.report(world.now).warnings;
    for _ in 0..100 {
        for packet in publisher.picture() {
            world.send(publisher.from, packet);
        }
        world.wait(Publisher::PICTURE);
    }
    assert_eq!(warnings(&world)[0], Warning::NoAudio);
    world.play(&mut publisher, Duration::from_secs(15));
    assert_eq!(warnings(&world), []);
    assert_eq!(world.rings[VIDEO].newest_keyframe(), Some(SeqNo(65_536)));
    world.play(&mut publisher, Duration::from_secs(2));
    assert_eq!(warnings(&world)[0], Warning::KeyframesTooFarApart);
    assert_eq!(world.rings[VIDEO].newest_keyframe(), None, "whoever joins now waits");
    publisher.pictures = 0;
    world.play(&mut publisher, ms(400));
    assert!(
        matches!(warnings(&world)[..], [Warning::KeyframeInterval { seconds: 20.. }]),
        "{:?}",
        warnings(&world)
    );
    assert!(world.rings[VIDEO].newest_keyframe().is_some());
    for _ in 0..400 {
        let sound = publisher.sound();
        world.send(publisher.from, sound);
        world.wait(ms(20));
    }
    assert_eq!(warnings(&world)[0], Warning::NoVideo);
}

#[test]
fn sound_that_comes_first_after_a_pause_says_nothing_of_keyframes() {
    let mut world = World::new();
    let mut publisher = Publisher::new(5000, 0x100);
    world.play(&mut publisher, Duration::from_secs(4));
    world.wait(Duration::from_secs(25));
    let mut second = Publisher::new(5000, 0x200);
    for _ in 0..4 {
        let sound = second.sound();
        world.send(second.from, sound);
        world.wait(ms(20));
        assert_eq!(world.inlet.report(world.now).warnings, []);
    }
    world.play(&mut second, Duration::from_secs(1));
    assert_eq!(world.inlet.report(world.now).warnings, []);
}

#[test]
fn one_track_alone_is_a_stream() {
    let mut world = World::new();
    let mut publisher = Publisher::new(5000, 0x100);
    for _ in 0..200 {
        let sound = publisher.sound();
        world.send(publisher.from, sound);
        world.wait(ms(20));
    }
    assert_eq!(world.state(), StreamState::Live);
    assert_eq!(world.packets[AUDIO].len(), 200);
    world.inlet.allocated_again(
        world.now,
        &[crate::TrackDescription::opus(heliograph_media::PayloadType::new(111).unwrap())],
    );
    let sound = publisher.sound();
    world.send(publisher.from, sound);
    assert_eq!(world.packets[AUDIO].len(), 200, "another payload type now");
    assert_eq!(world.inlet.report(world.now).tracks.len(), 1);
    publisher.audio.payload_type = heliograph_media::PayloadType::new(111).unwrap();
    let sound = publisher.sound();
    world.send(publisher.from, sound);
    assert_eq!(world.packets[AUDIO].len(), 201);
}

/// What may happen next on a hostile network.
#[derive(Clone, Debug)]
enum Step {
    Wait(u16),
    Bytes(u16, Vec<u8>),
    Packet { from: u16, ssrc: u8, video: bool, seq: u16, timestamp: u32, payload: Vec<u8>, marker: bool },
    Picture,
    Sound,
    Allocate,
    Keyframe,
}

fn step() -> impl Strategy<Value = Step> {
    let payload = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        Just(super::testing::SPS.to_vec()),
        Just(super::testing::PPS.to_vec()),
        Just(vec![0x65, 0x88, 0x84]),
        Just(vec![0x41, 0x9a, 0x24]),
        Just(vec![0; 1_300]),
    ];
    let number = prop_oneof![0..20_u16, 65_500..=65_535_u16, any::<u16>()];
    let timestamp = prop_oneof![0..200_000_u32, any::<u32>()];
    let packet = (0..3_u16, 0..3_u8, any::<bool>(), number, timestamp, payload, any::<bool>()).prop_map(
        |(from, ssrc, video, seq, timestamp, payload, marker)| Step::Packet {
            from,
            ssrc,
            video,
            seq,
            timestamp,
            payload,
            marker,
        },
    );
    prop_oneof![
        2 => (0..5_000_u16).prop_map(Step::Wait),
        2 => (0..3_u16, proptest::collection::vec(any::<u8>(), 0..80)).prop_map(|(from, bytes)| Step::Bytes(from, bytes)),
        12 => packet,
        4 => Just(Step::Picture),
        2 => Just(Step::Sound),
        1 => Just(Step::Allocate),
        1 => Just(Step::Keyframe),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// `World::read` checks the rings after every step.
    #[test]
    fn whatever_comes_the_rings_hold(steps in proptest::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        let mut publisher = Publisher::new(5000, 1);
        for step in steps {
            match step {
                Step::Wait(time) => world.wait(ms(u64::from(time))),
                Step::Bytes(from, bytes) => world.send(address(5000 + from), Bytes::from(bytes)),
                Step::Packet { from, ssrc, video, seq, timestamp, payload, marker } => {
                    let template = if video { &publisher.video } else { &publisher.audio };
                    let ssrc = Ssrc(template.ssrc.0 + u32::from(ssrc) * 2);
                    let packet = Sender { ssrc, seq, timestamp, ..template.clone() }.packet(marker, &payload);
                    world.send(address(5000 + from), packet);
                }
                Step::Picture => {
                    for packet in publisher.picture() {
                        world.send(publisher.from, packet);
                    }
                }
                Step::Sound => {
                    let sound = publisher.sound();
                    world.send(publisher.from, sound);
                }
                Step::Allocate => {
                    let tracks = crate::TrackDescription::defaults();
                    world.inlet.allocated_again(world.now, &tracks);
                }
                Step::Keyframe => world.inlet.request_keyframe(world.now, Track::Video),
            }
            world.read();
            world.inlet.report(world.now);
        }
        for packets in &world.packets {
            let mut seen: Vec<_> = packets.iter().map(|packet| packet.seq).collect();
            seen.sort_unstable();
            seen.dedup();
            prop_assert_eq!(seen.len(), packets.len(), "a number is given once");
        }
    }
}
