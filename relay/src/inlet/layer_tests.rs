//! A publisher of several layers.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use heliograph_media::{MediaKind, NtpTime, PayloadType, Ssrc, rtcp::Rtcp};

use super::testing::{Publisher, World, ms};
use crate::{FeedItem, LayerDescription, Track, TrackDescription};

/// The same picture once more, from another encoder: other numbers, timestamps and SSRC.
fn layer_of(publisher: &Publisher, ssrc: u32, payload_type: u8, timestamp: u32) -> Publisher {
    let mut layer = publisher.clone();
    layer.video.ssrc = Ssrc(ssrc);
    layer.video.payload_type = PayloadType::new(payload_type).unwrap();
    layer.video.timestamp = timestamp;
    layer
}

fn described(layers: &[(&str, u8)]) -> Vec<TrackDescription> {
    let mut tracks = TrackDescription::defaults();
    tracks[0].rid = Some("a".to_owned());
    tracks[0].layers = layers
        .iter()
        .map(|&(rid, payload_type)| LayerDescription { rid: rid.to_owned(), payload_type })
        .collect();
    tracks
}

/// Both layers' pictures, forty milliseconds each.
fn play(world: &mut World, publisher: &mut Publisher, layer: &mut Publisher, pictures: u32) {
    for _ in 0..pictures {
        for packet in [publisher.picture(), layer.picture()].concat() {
            world.send(publisher.from, packet);
        }
        world.wait(Publisher::PICTURE);
    }
}

#[test]
fn layers_are_tracks_of_their_own_on_one_clock() {
    let mut world = World::new();
    world.inlet.allocated_again(world.now, &described(&[("b", 98)]));
    let mut publisher = Publisher::new(5000, 0x100);
    let mut layer = layer_of(&publisher, 0x900, 98, 3_000_000_000);
    play(&mut world, &mut publisher, &mut layer, 75);
    assert_eq!(world.refused("payload_type"), 0);
    assert_eq!(world.packets[Track::SecondLayer.index()].len(), world.packets[Track::Video.index()].len());
    let report = world.inlet.report(world.now);
    assert_eq!(
        report.layers.iter().map(|layer| layer.rid.as_deref()).collect::<Vec<_>>(),
        [Some("a"), Some("b")]
    );
    assert!(report.layers.iter().all(|layer| layer.fps.is_some_and(|fps| fps > 10.0)));
    let pictures = report.tracks.iter().filter(|track| track.kind == MediaKind::Video);
    assert_eq!(pictures.count(), 1, "the best layer stands for the picture");
    let told = world.events.iter().rev().find_map(|item| match item {
        FeedItem::Layers(layers) => Some(layers.to_vec()),
        _ => None,
    });
    assert_eq!(told, Some(vec![Track::Video, Track::SecondLayer]));

    // One instant has one moment in both layers, and reports say what one instant is: here that the second layer
    // was encoded 60 ms later than it seemed.
    let ntp = NtpTime::from_unix(Duration::from_secs(1_700_000_000));
    let later = NtpTime::from_unix(Duration::from_millis(1_700_000_000_060));
    let reports = [
        publisher.video.report(ntp, publisher.video.timestamp),
        layer.video.report(later, layer.video.timestamp),
    ];
    let apart = |world: &World| {
        let due = |track: Track| {
            let clock = world.clocks[track.index()].unwrap();
            clock.instant_of(world.newest(track).timestamp).unwrap()
        };
        due(Track::SecondLayer).saturating_duration_since(due(Track::Video))
    };
    assert!(apart(&world) < ms(1));
    for report in reports {
        world.send(publisher.from, report);
    }
    play(&mut world, &mut publisher, &mut layer, 1);
    assert!((ms(59)..ms(61)).contains(&apart(&world)), "{:?}", apart(&world));
}

#[test]
fn keyframes_are_asked_of_the_layer_that_is_meant() {
    let mut world = World::new();
    world.inlet.allocated_again(world.now, &described(&[("b", 98)]));
    let mut publisher = Publisher::new(5000, 0x100);
    let mut layer = layer_of(&publisher, 0x900, 98, 5);
    play(&mut world, &mut publisher, &mut layer, 10);
    world.transmits.clear();
    world.inlet.request_keyframe(world.now, Track::SecondLayer);
    world.read();
    let asked: Vec<_> = world
        .transmits
        .iter()
        .flat_map(|transmit| heliograph_media::rtcp::parse_compound(&transmit.packet).unwrap())
        .filter_map(|packet| match packet {
            Rtcp::Pli { media } => Some(media),
            _ => None,
        })
        .collect();
    assert_eq!(asked, [Ssrc(0x900)]);
}

#[test]
fn a_layer_that_begins_late_or_anew_disturbs_nobody() {
    let mut world = World::new();
    world.inlet.allocated_again(world.now, &described(&[("b", 98)]));
    let mut publisher = Publisher::new(5000, 0x100);
    world.play(&mut publisher, Duration::from_secs(8));
    // A queue builds up on the way, and the clock has not followed.
    world.wait(ms(150));
    world.play(&mut publisher, ms(400));
    let clock = world.clocks[Track::Video.index()].unwrap();
    for ssrc in [0x900, 0xa00] {
        let mut layer = layer_of(&publisher, ssrc, 98, ssrc.wrapping_mul(7_777_777));
        layer.pictures = 0;
        play(&mut world, &mut publisher, &mut layer, 25);
        let newest =
            |track: Track| world.clocks[track.index()].unwrap().instant_of(world.newest(track).timestamp);
        let (video, layer) = (newest(Track::Video).unwrap(), newest(Track::SecondLayer).unwrap());
        let apart = video.saturating_duration_since(layer).max(layer.saturating_duration_since(video));
        assert!(apart < ms(3), "{apart:?}");
    }
    let after = world.clocks[Track::Video.index()].unwrap();
    let (later, earlier) = after.shift_from(&clock);
    assert!(later.max(earlier) < ms(10), "{later:?} {earlier:?}");
}
