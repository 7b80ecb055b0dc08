//! What ends a session, and what is not begun at all.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{
    net::{Ipv4Addr, UdpSocket},
    time::{Duration, Instant},
};

use heliograph_relay::{
    CloseReason, Relay, RelaySettings, StreamId, ViewerEvent, ViewerHandle, WatchError, WatchRequest,
    capacity::Limit,
};
use support::{
    publisher::{Publisher, Shape},
    viewer::{Manners, Viewer},
};

const SHAPE: Shape = Shape { interval: 30, keyframe: 10, picture: 3, pictures: 0 };

fn request() -> WatchRequest {
    let local = Ipv4Addr::LOCALHOST.into();
    WatchRequest { local_ip: Some(local), remote: local, transport: "test" }
}

async fn ended(handle: &mut ViewerHandle) -> (CloseReason, Duration) {
    let began = Instant::now();
    loop {
        let event = tokio::time::timeout(Duration::from_secs(10), handle.next_event()).await.unwrap();
        if let Some(ViewerEvent::Ended(reason)) = event {
            return (reason, began.elapsed());
        }
    }
}

fn start(settings: RelaySettings) -> (Relay, StreamId, Publisher) {
    let relay = Relay::start(settings).unwrap();
    let (stream, port) = support::stream(&relay, "demo");
    let publisher = Publisher::start(port, SHAPE);
    (relay, stream, publisher)
}

fn sessions(relay: &Relay) -> u32 {
    relay.workers().iter().map(|worker| worker.sessions).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_falls_silent_is_gone_after_its_time() {
    let silence_timeout = Duration::from_millis(6_500);
    let (relay, stream, _publisher) = start(RelaySettings { silence_timeout, ..support::settings(1) });
    let viewer = Viewer::by_offer(&relay, stream, Manners::default()).await.unwrap();
    let (mut handle, seen) = viewer.watch(Duration::from_secs(1)).await;
    assert!(seen.connected.is_some());
    let (reason, after) = ended(&mut handle).await;
    assert_eq!(reason, CloseReason::ConsentLost);
    assert!(after > Duration::from_secs(4), "{after:?}");
    assert_eq!(handle.next_event().await, Some(ViewerEvent::Ended(CloseReason::ConsentLost)));
    assert_eq!(sessions(&relay), 0);
}

/// An alert may be forged once the keys to check it are gone: it shortens patience and ends nothing by itself.
#[tokio::test(flavor = "multi_thread")]
async fn an_alert_shortens_patience() {
    let silence_after_alert = Duration::from_secs(2);
    let (relay, stream, _publisher) = start(RelaySettings { silence_after_alert, ..support::settings(1) });
    let manners = Manners { alert_at_end: true, ..Manners::default() };
    let viewer = Viewer::by_answer(&relay, stream, manners).await.unwrap();
    let (mut handle, seen) = viewer.watch(Duration::from_millis(2_500)).await;
    assert!(seen.connected.is_some());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(handle.end_reason(), None, "not at once");
    let (reason, after) = ended(&mut handle).await;
    assert_eq!(reason, CloseReason::ConsentLost);
    assert!(after < Duration::from_secs(5), "{after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_come_to_nothing_are_bounded_and_time_out() {
    let settings = RelaySettings {
        answer_timeout: Duration::from_millis(600),
        connect_timeout: Duration::from_millis(600),
        max_pending_per_address: 2,
        ..support::settings(1)
    };
    let (relay, stream, _publisher) = start(settings);
    let (mut silent, _) = relay.watch_offer(stream, request()).await.unwrap();
    // Answers, and never shows up on UDP.
    let mut answered = Viewer::by_offer(&relay, stream, Manners::default()).await.unwrap();
    let refused = relay.watch_offer(stream, request()).await.err();
    assert_eq!(refused, Some(WatchError::TooManyPending));
    let elsewhere = WatchRequest { remote: [192, 0, 2, 1].into(), ..request() };
    let (other, _) = relay.watch_offer(stream, elsewhere).await.unwrap();
    drop(other);
    assert_eq!(ended(&mut silent).await.0, CloseReason::HandshakeTimeout);
    assert_eq!(ended(&mut answered.handle).await.0, CloseReason::HandshakeTimeout);
    assert_eq!(sessions(&relay), 0);
    assert!(relay.watch_offer(stream, request()).await.is_ok(), "and there is room again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_house_refuses_and_harms_nobody() {
    let (relay, stream, _publisher) = start(RelaySettings { max_viewers: 1, ..support::settings(1) });
    let viewer = Viewer::by_offer(&relay, stream, Manners::default()).await.unwrap();
    assert_eq!(relay.watch_offer(stream, request()).await.err(), Some(WatchError::Full));
    let (handle, seen) = viewer.watch(Duration::from_millis(700)).await;
    assert!(seen.video.len() > 20);
    drop(handle);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(relay.watch_offer(stream, request()).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_told_in_words() {
    let (relay, stream, _publisher) = start(support::settings(1));
    let bad = relay.watch_answer(stream, request(), "v=0\r\nnonsense").await.err();
    assert!(matches!(bad, Some(WatchError::BadSdp(_))), "{bad:?}");
    let (mut handle, _) = relay.watch_offer(stream, request()).await.unwrap();
    assert!(matches!(handle.accept_answer("?"), Err(WatchError::BadSdp(_))));
    assert!(handle.remote_candidate("candidate:1 1 udp 1 192.0.2.1 9 typ host").is_ok());
    assert!(handle.remote_candidate("\u{7}").is_err());
    assert_eq!(handle.ice_restart("abcd"), Err(WatchError::WrongState));
    assert_eq!(relay.watch_offer(StreamId(9_999), request()).await.err(), Some(WatchError::UnknownStream));
}

/// Datagrams of strangers: no answers, no harm.
#[tokio::test(flavor = "multi_thread")]
async fn garbage_does_not_disturb_those_who_watch() {
    use rand::{RngExt, SeedableRng};
    let (relay, stream, _publisher) = start(support::settings(1));
    let viewer = Viewer::by_offer(&relay, stream, Manners::default()).await.unwrap();
    let port = relay.workers()[0].port;
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.set_nonblocking(true).unwrap();
    let watching = tokio::spawn(viewer.watch(Duration::from_secs(2)));
    let mut rng = rand::rngs::StdRng::seed_from_u64(5);
    let began = Instant::now();
    let mut sent = 0;
    while began.elapsed() < Duration::from_millis(1_500) {
        let mut datagram = vec![0_u8; rng.random_range(0..1_600)];
        rng.fill(&mut datagram[..]);
        if let Some(first) = datagram.first_mut() {
            *first = [0, 1, 20, 22, 63, 128, 200, 255][rng.random_range(0..8)];
        }
        if rng.random_range(0..3) == 0 && datagram.len() > 20 {
            datagram[4..8].copy_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
        }
        sent += u32::from(stranger.send_to(&datagram, ("127.0.0.1", port)).is_ok());
        if sent.is_multiple_of(50) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let (handle, seen) = watching.await.unwrap();
    assert!(sent > 1_000);
    assert!(handle.is_connected() && handle.end_reason().is_none());
    assert_eq!(support::viewer::Seen::holes(&seen.video), 0);
    assert!(stranger.recv_from(&mut [0; 64]).is_err(), "no answer to a stranger");
    assert!(relay.workers()[0].received_rejected > 1_000);
}

/// The public address that a STUN server saw, for each worker's own socket, becomes a candidate.
#[tokio::test(flavor = "multi_thread")]
async fn a_discovered_address_is_offered() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let settings =
        RelaySettings { stun_server: Some(server.local_addr().unwrap().to_string()), ..support::settings(2) };
    let (relay, stream, _publisher) = start(settings);
    let answering = std::thread::spawn(move || {
        let mut asked = Vec::new();
        let mut request = [0; 512];
        server.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        while asked.len() < 2 {
            let (_, from) = server.recv_from(&mut request).unwrap();
            // RFC 8489: success, XOR-MAPPED-ADDRESS 203.0.113.7 with port 4000 + worker.
            let port = (4_000 + asked.len() as u16) ^ 0x2112;
            let mut answer = vec![1, 1, 0, 12];
            answer.extend(&request[4..20]);
            answer.extend([0, 0x20, 0, 8, 0, 1]);
            answer.extend(port.to_be_bytes());
            answer.extend([203 ^ 0x21, 0x12, 113 ^ 0xa4, 7 ^ 0x42]);
            server.send_to(&answer, from).unwrap();
            if !asked.contains(&from) {
                asked.push(from);
            }
        }
    });
    answering.join().unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (_first, one) = relay.watch_offer(stream, request()).await.unwrap();
    let (_second, other) = relay.watch_offer(stream, request()).await.unwrap();
    for offer in [&one, &other] {
        assert!(offer.contains(" 203.0.113.7 400"), "{offer}");
        assert!(offer.contains(" 127.0.0.1 "), "{offer}");
    }
}

/// Two workers that may use next to nothing of a core: the first viewer fills one, the second the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_worker_takes_nobody_more_and_everybody_stays() {
    // 9,000 packets a second are enough to measure what one costs.
    const LIVELY: Shape = Shape { interval: 30, keyframe: 300, picture: 300, pictures: 0 };
    let settings = RelaySettings {
        max_egress_cpu: Some(0.002),
        silence_timeout: Duration::from_secs(120),
        ..support::settings(2)
    };
    let relay = Relay::start(settings).unwrap();
    let (stream, port) = support::stream(&relay, "demo");
    let _publisher = Publisher::start(port, LIVELY);
    let until = async |what: &str, done: &dyn Fn() -> bool| {
        for _ in 0..400 {
            if done() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{what}: {:?}", relay.capacity());
    };
    until("figures", &|| relay.capacity().workers.len() == 2).await;
    assert!(!relay.capacity().full, "nobody watches yet");

    let mut handles = Vec::new();
    for viewers in 1..=2 {
        let viewer = Viewer::by_offer(&relay, stream, Manners::default()).await.unwrap();
        let (handle, seen) = viewer.watch(Duration::from_secs(1)).await;
        assert!(seen.connected.is_some());
        handles.push(handle);
        let full = || relay.capacity().workers.iter().filter(|worker| worker.full).count();
        until("full workers", &|| full() == viewers).await;
    }
    let sessions: Vec<u32> = relay.workers().iter().map(|worker| worker.sessions).collect();
    assert_eq!(sessions, [1, 1], "the second viewer went where there was room");
    assert_eq!(relay.watch_offer(stream, request()).await.err(), Some(WatchError::Overloaded(Limit::Cpu)));
    let capacity = relay.capacity();
    assert_eq!((capacity.full, capacity.limited_by, capacity.viewers), (true, Limit::Cpu, 2));
    assert!(handles.iter().all(|handle| handle.is_connected() && handle.end_reason().is_none()));
    assert!(relay.audience().refused.contains(&("overloaded", 1)));
    assert_eq!(relay.audience().joins.count, 2);

    drop(handles);
    until("room again", &|| !relay.capacity().full).await;
    assert!(relay.watch_offer(stream, request()).await.is_ok());
}
