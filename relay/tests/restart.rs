//! Publishers that vanish, come back, and take over, seen from a viewer who stays.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::Duration;

use heliograph_relay::{ChannelName, Relay, StreamRequest, StreamState};
use str0m::rtp::RtpPacket;
use support::{
    publisher::{self, Publisher, Shape},
    viewer::{Manners, Seen, Viewer},
};

const SHAPE: Shape = Shape { interval: 60, keyframe: 40, picture: 5, pictures: 0 };

async fn becomes(relay: &Relay, port: u16, state: StreamState) {
    for _ in 0..500 {
        if relay.stream_by_port(port).is_some_and(|stream| stream.state == state) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never {state:?}");
}

type Packets = [(Duration, RtpPacket)];

/// Index of the first packet of the second session: there the publisher begins to count again.
fn second_session(packets: &Packets, count: impl Fn(&RtpPacket) -> Option<u64>) -> usize {
    let mut newest = 0;
    for (index, (_, packet)) in packets.iter().enumerate() {
        match count(packet) {
            Some(number) if number < newest => return index,
            Some(number) => newest = number,
            None => {}
        }
    }
    panic!("no second session");
}

fn picture(packet: &RtpPacket) -> Option<u64> {
    publisher::which(&packet.payload).map(|(number, ..)| number)
}

fn sound(packet: &RtpPacket) -> Option<u64> {
    Some(u64::from_be_bytes(packet.payload[1..9].try_into().unwrap()))
}

/// Seconds from the last packet of the first session to the first of the second one: by the clock on the wall and by
/// the timestamps.
fn gap(packets: &Packets, second: usize, rate: f64) -> (f64, f64) {
    let [(before, last), (after, first)] = &packets[second - 1..=second] else { panic!() };
    let ticks = first.header.timestamp.wrapping_sub(last.header.timestamp);
    ((*after - *before).as_secs_f64(), f64::from(ticks) / rate)
}

fn check(seen: &Seen) {
    assert_eq!(Seen::holes(&seen.video), 0, "video numbers go on without a gap");
    assert_eq!(Seen::holes(&seen.audio), 0, "and so do audio's");
    for packets in [&seen.video, &seen.audio] {
        assert!(packets.windows(2).all(|pair| pair[0].1.header.ssrc == pair[1].1.header.ssrc), "one SSRC");
    }
    // The parameter sets come before the first fragment that counts.
    let fragment = second_session(&seen.video, picture);
    let video = fragment - 2;
    assert_eq!(&seen.video[video].1.payload[..], publisher::SPS, "a new session begins with a keyframe");
    assert_eq!(picture(&seen.video[fragment].1), Some(0), "and with its first one");
    let audio = second_session(&seen.audio, sound);
    for (name, packets, second, rate) in
        [("video", &seen.video, video, 90_000.0), ("audio", &seen.audio, audio, 48_000.0)]
    {
        let (wall, timestamps) = gap(packets, second, rate);
        assert!((wall - timestamps).abs() < 0.15, "{name}: {wall} {timestamps}");
    }
    let after = seen.video.last().unwrap().0 - seen.video[video].0;
    assert!(after > Duration::from_secs(1), "and plays on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_killed_without_a_word_comes_back() {
    let relay = support::relay(1);
    let (stream, port) = support::stream(&relay, "demo");
    let first = Publisher::start_as(port, SHAPE, [1, 2]);
    becomes(&relay, port, StreamState::Live).await;
    let viewer = Viewer::by_offer(&relay, stream, Manners::default()).await.unwrap();
    let watching = tokio::spawn(viewer.watch(Duration::from_secs(7)));
    tokio::time::sleep(Duration::from_millis(2_000)).await;
    drop(first);
    becomes(&relay, port, StreamState::Away).await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let _second = Publisher::start_as(port, SHAPE, [3, 4]);
    becomes(&relay, port, StreamState::Live).await;
    let (handle, seen) = watching.await.unwrap();
    assert!(handle.is_connected());
    check(&seen);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_take_over_needs_no_silence() {
    let relay = support::relay(1);
    let (stream, port) = support::stream(&relay, "demo");
    let _first = Publisher::start_as(port, SHAPE, [1, 2]);
    becomes(&relay, port, StreamState::Live).await;
    let viewer = Viewer::by_offer(&relay, stream, Manners::default()).await.unwrap();
    let watching = tokio::spawn(viewer.watch(Duration::from_secs(5)));
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    // The ingest lets another encoder in and says so; the old one has not understood yet.
    let channel = Some(ChannelName::new("demo").unwrap());
    let again = relay.allocate_now(StreamRequest { channel, ..StreamRequest::default() }).unwrap();
    assert_eq!(again.port, port);
    let _second = Publisher::start_as(port, SHAPE, [3, 4]);
    let (handle, seen) = watching.await.unwrap();
    assert!(handle.is_connected());
    check(&seen);
    assert!(relay.stream_by_port(port).unwrap().refused["foreign_source"] > 100);
}
