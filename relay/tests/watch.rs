//! Watching through real sockets, on a WebRTC stack that is not ours.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{collections::BTreeSet, time::Duration};

use heliograph_relay::{CloseReason, StreamState, ViewerEvent};
use support::{
    publisher::{self, Publisher, Shape},
    viewer::{Manners, Seen, Viewer},
};

const SHAPE: Shape = Shape { interval: 60, keyframe: 70, picture: 9, pictures: 0 };

async fn live(relay: &heliograph_relay::Relay, port: u16) {
    for _ in 0..200 {
        if relay.stream_by_port(port).is_some_and(|stream| stream.state == StreamState::Live) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the stream does not go live");
}

/// When the last packet of the first keyframe came, and that it began with its parameter sets.
fn first_keyframe(seen: &Seen) -> Duration {
    let (_, first) = &seen.video[0];
    assert_eq!(&first.payload[..], publisher::SPS, "the first packet is the parameter set");
    let mut missing: Option<BTreeSet<u64>> = None;
    for (at, packet) in &seen.video {
        let Some((number, index, count)) = publisher::which(&packet.payload) else { continue };
        assert_eq!(number % SHAPE.interval, 0, "nothing but the keyframe comes first");
        let missing = missing.get_or_insert_with(|| (0..count).collect());
        missing.remove(&index);
        if missing.is_empty() {
            return *at;
        }
    }
    panic!("no complete keyframe");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_complete_keyframe_at_once_wherever_in_the_interval_one_joins() {
    let relay = support::relay(1);
    let (stream, port) = support::stream(&relay, "demo");
    let publisher = Publisher::start(port, SHAPE);
    live(&relay, port).await;
    for percent in [10, 50, 95] {
        publisher.wait_for(percent).await;
        let viewer = if percent == 50 {
            Viewer::by_answer(&relay, stream, Manners::default()).await.unwrap()
        } else {
            Viewer::by_offer(&relay, stream, Manners::default()).await.unwrap()
        };
        let (handle, seen) = viewer.watch(Duration::from_millis(2_600)).await;
        let connected = seen.connected.unwrap();
        let whole = first_keyframe(&seen);
        let late = whole.saturating_sub(connected);
        println!("joined at {percent} %: connected {connected:?}, keyframe complete {late:?} later");
        // A loaded test machine is slow; a wait for the next keyframe would be slower.
        assert!(late < Duration::from_millis(400), "{late:?}");
        assert_eq!(Seen::holes(&seen.video), 0, "numbers without a gap");
        assert_eq!(Seen::holes(&seen.audio), 0);

        // The present was reached: with the last packets came the pictures of the last moments.
        let newest = seen.video.iter().rev().find_map(|(_, packet)| publisher::which(&packet.payload));
        let published = publisher.sent.load(std::sync::atomic::Ordering::Acquire);
        assert!(newest.unwrap().0 + 30 > published, "{newest:?} of {published}");
        // Sound is never replayed: no more of it than time has passed.
        let sounds = seen.audio.len() as u32;
        let heard = seen.audio.last().unwrap().0 - seen.audio[0].0;
        assert!(
            Duration::from_millis(20) * sounds < heard + Duration::from_millis(150),
            "{sounds} in {heard:?}"
        );

        for (name, packets) in [("video", &seen.video), ("audio", &seen.audio)] {
            let report = packets.iter().find(|(_, packet)| packet.last_sender_info.is_some());
            let (at, _) = report.unwrap_or_else(|| panic!("no sender report for {name}"));
            assert!(*at < connected + Duration::from_millis(1_600), "{name}: first report after {at:?}");
        }
        let delay = &seen.video[0].1.header.ext_vals;
        assert_eq!(delay.play_delay_max.map(|max| max.as_micros()), Some(500_000), "from the first packet");
        assert!(handle.is_connected() && handle.end_reason().is_none());
    }
}

/// Reports of both tracks put sound and picture where the publisher put them.
#[tokio::test(flavor = "multi_thread")]
async fn sender_reports_keep_picture_and_sound_together() {
    let relay = support::relay(1);
    let (stream, port) = support::stream(&relay, "demo");
    let publisher = Publisher::start(port, SHAPE);
    live(&relay, port).await;
    publisher.wait_for(50).await;
    let viewer = Viewer::by_offer(&relay, stream, Manners::default()).await.unwrap();
    let (_handle, seen) = viewer.watch(Duration::from_secs(4)).await;
    // For each track: the wall time (by its reports) of the publisher's instant zero.
    let mut zero = Vec::new();
    for (packets, ticks_at_zero) in [(&seen.video, 0_u64), (&seen.audio, 0)] {
        let mut of_reports = Vec::new();
        for (_, packet) in packets {
            let Some(report) = packet.last_sender_info else { continue };
            let published = match publisher::which(&packet.payload) {
                _ if packet.payload[0] == 0xfc => {
                    let sound = u64::from_be_bytes(packet.payload[1..9].try_into().unwrap());
                    Duration::from_millis(20) * sound as u32
                }
                Some((number, ..)) => Duration::from_nanos(33_333_333) * number as u32,
                None => continue,
            };
            let ahead = packet.time.as_seconds() - report.rtp_time.as_seconds();
            // str0m unwraps both from the same 32 bits, but not always into the same turn.
            if ahead.abs() > 1_000.0 {
                continue;
            }
            let wall = report.ntp_time.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64() + ahead;
            of_reports.push(wall - published.as_secs_f64());
        }
        assert!(!of_reports.is_empty() && ticks_at_zero == 0);
        let (low, high) =
            of_reports.iter().fold((f64::MAX, f64::MIN), |(low, high), &at| (low.min(at), high.max(at)));
        assert!(high - low < 0.02, "reports agree with each other: {}", high - low);
        zero.push(low);
    }
    let skew = zero[0] - zero[1];
    println!("skew {:.1} ms", skew * 1e3);
    assert!(skew.abs() < 0.05, "{skew}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_is_sent_again() {
    let relay = support::relay(1);
    let (stream, port) = support::stream(&relay, "demo");
    let publisher = Publisher::start(port, SHAPE);
    live(&relay, port).await;
    publisher.wait_for(20).await;
    let manners = Manners { lose_one_in: Some(23), ..Manners::default() };
    let viewer = Viewer::by_offer(&relay, stream, manners).await.unwrap();
    let (_handle, seen) = viewer.watch(Duration::from_secs(5)).await;
    let numbers = Seen::numbers(&seen.video);
    let recent = numbers.last().unwrap() - 60;
    let missing = Seen::holes(&seen.video);
    let workers = relay.workers();
    println!("lost {} of {}, {missing} missing in the end, {workers:?}", seen.lost, seen.video.len());
    assert!(seen.lost > 50);
    assert!(workers[0].resent > 40);
    // The newest may still be on their way, and what was lost before a newer keyframe is not asked for again.
    let old: BTreeSet<u64> = (numbers[0]..recent).filter(|seq| numbers.binary_search(seq).is_err()).collect();
    assert!((old.len() as u32) < seen.lost / 10, "{old:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyframe_request_is_answered_from_the_ring() {
    let relay = support::relay(1);
    let (stream, port) = support::stream(&relay, "demo");
    let publisher = Publisher::start(port, Shape { interval: 300, ..SHAPE });
    live(&relay, port).await;
    while publisher.sent.load(std::sync::atomic::Ordering::Acquire) < 20 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let manners = Manners { ask_keyframe_after: Some(Duration::from_millis(700)), ..Manners::default() };
    let viewer = Viewer::by_offer(&relay, stream, manners).await.unwrap();
    let (_handle, seen) = viewer.watch(Duration::from_millis(2_000)).await;
    let starts = seen.video.iter().filter(|(_, packet)| packet.payload[..] == *publisher::SPS).count();
    assert_eq!(starts, 2, "once for joining, once for asking");
    assert_eq!(Seen::holes(&seen.video), 0, "under new numbers");
    assert_eq!(relay.workers()[0].replays, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_counts_and_the_end() {
    let relay = support::relay(2);
    let (stream, port) = support::stream(&relay, "demo");
    let _publisher = Publisher::start(port, SHAPE);
    live(&relay, port).await;
    let first = Viewer::by_offer(&relay, stream, Manners::default()).await.unwrap();
    let first = tokio::spawn(first.watch(Duration::from_millis(1_000)));
    let second = Viewer::by_answer(&relay, stream, Manners::default()).await.unwrap();
    let second = tokio::spawn(second.watch(Duration::from_millis(1_000)));
    let (mut first, _) = first.await.unwrap();
    let (second, _) = second.await.unwrap();
    assert_eq!(relay.stream_by_port(port).unwrap().viewers, 2);
    assert_eq!(relay.workers().iter().map(|worker| worker.sessions).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(first.next_event().await, Some(ViewerEvent::Connected));
    assert!(matches!(first.next_event().await, Some(ViewerEvent::Count(1 | 2))));
    drop(second);
    let event = tokio::time::timeout(Duration::from_secs(3), first.next_event()).await.unwrap();
    assert_eq!(event, Some(ViewerEvent::Count(1)));
    assert!(relay.release(port, CloseReason::StreamEnded));
    loop {
        let event = tokio::time::timeout(Duration::from_secs(3), first.next_event()).await.unwrap().unwrap();
        if let ViewerEvent::Ended(reason) = event {
            assert_eq!(reason, CloseReason::StreamEnded);
            break;
        }
    }
    assert_eq!(relay.workers().iter().map(|worker| worker.sessions).sum::<u32>(), 0);
    let gone = Viewer::by_offer(&relay, stream, Manners::default()).await.err();
    assert_eq!(gone, Some(heliograph_relay::WatchError::UnknownStream));
    relay.shutdown(Duration::from_secs(2)).await;
}

/// On wildcard sockets answers leave from the address that was hit: 127.0.0.1 and ::1 on one socket.
#[tokio::test(flavor = "multi_thread")]
async fn both_address_families_on_one_socket() {
    let settings = heliograph_relay::RelaySettings { media_addr: None, ..support::settings(1) };
    let relay = heliograph_relay::Relay::start(settings).unwrap();
    let (stream, port) = support::stream(&relay, "demo");
    let _publisher = Publisher::start(port, SHAPE);
    live(&relay, port).await;
    for ipv6 in [false, true] {
        let manners = Manners { ipv6, ..Manners::default() };
        let viewer = Viewer::by_answer(&relay, stream, manners).await.unwrap();
        let (_handle, seen) = viewer.watch(Duration::from_millis(800)).await;
        assert!(seen.connected.is_some(), "ipv6 {ipv6}");
        assert!(seen.video.len() > 70 && Seen::holes(&seen.video) == 0, "ipv6 {ipv6}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_whose_address_changes_goes_on() {
    let relay = support::relay(1);
    let (stream, port) = support::stream(&relay, "demo");
    let _publisher = Publisher::start(port, SHAPE);
    live(&relay, port).await;
    let manners = Manners { move_after: Some(Duration::from_secs(1)), ..Manners::default() };
    let viewer = Viewer::by_offer(&relay, stream, manners).await.unwrap();
    let (handle, seen) = viewer.watch(Duration::from_secs(9)).await;
    let moved = seen.moved.unwrap();
    let again = seen.video.iter().map(|(at, _)| *at).find(|at| *at > moved + Duration::from_millis(50));
    println!("moved at {moved:?}, media again at {again:?}");
    assert!(again.is_some());
    assert!(handle.end_reason().is_none());
}
