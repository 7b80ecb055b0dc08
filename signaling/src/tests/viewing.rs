//! Watching over the WebSocket: what a page sees, in which order, and what happens when things go wrong.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use futures_util::SinkExt;
use heliograph_media::Codec;
use heliograph_relay::{
    CloseReason, StreamState, Uplink, UplinkBasis, ViewerEvent, WatchError, capacity::Limit,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tokio_tungstenite::tungstenite::Message;

use super::{
    fake_relay::{FakeViewer, offer},
    page::{Page, Site},
};

/// Waits for something that another task does.
async fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..500 {
        if done() {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("not in time: {what}");
}

async fn connected(site: &Site, page: &mut Page, place: usize) -> Arc<FakeViewer> {
    let viewer = site.relay.viewer(place).await;
    page.answer().await;
    until("the answer", || !viewer.answers.lock().unwrap().is_empty()).await;
    viewer.events.send(ViewerEvent::Connected).unwrap();
    viewer
}

#[tokio::test]
async fn the_old_page_works_unchanged() {
    let site = Site::open(|settings| settings.default_port = Some(65_535));
    site.relay.publish(65_535, None, StreamState::Waiting);
    // It never names a port, gets its offer unasked, answers, trickles, and shows the count.
    let mut page = site.join("").await;
    page.expect_state("waiting").await;
    assert_eq!(page.expect("offer").await, json!({"type": "offer", "sdp": offer(1)}));
    let viewer = connected(&site, &mut page, 0).await;
    page.say(&json!({"event": "candidate", "data": {"candidate": "candidate:1 1 udp 1 x.local 9 typ host",
        "sdpMid": "0", "sdpMLineIndex": 0, "usernameFragment": "f"}}))
        .await;
    until("the candidate", || viewer.candidates.lock().unwrap().len() == 1).await;
    viewer.events.send(ViewerEvent::Count(3)).unwrap();
    assert_eq!(page.expect("info").await, json!({"no_connections": 3}));
    assert_eq!(*viewer.answers.lock().unwrap(), ["v=0\r\nanswer"]);
    assert_eq!(site.relay.watched.lock().unwrap()[0].remote.to_string(), "127.0.0.1");
    assert_eq!(site.relay.watched.lock().unwrap()[0].local_ip.unwrap().to_string(), "127.0.0.1");

    page.0.close(None).await.unwrap();
    until("the viewer leaves", || viewer.gone.load(Ordering::SeqCst)).await;
    assert_eq!(*viewer.closed.lock().unwrap(), Some(CloseReason::ViewerLeft));
}

#[tokio::test]
async fn ports_and_names_that_lead_nowhere_are_refused_before_the_upgrade() {
    let site = Site::open(|_| {});
    site.relay.publish(24_000, Some("den"), StreamState::Live);
    for query in
        ["", "?port=24001", "?port=0", "?port=-1", "?port=70000", "?port=abc", "?channel=", "?channel=a%20b"]
    {
        assert_eq!(site.refused(query).await, (404, "unknown stream\n".to_owned()), "{query}");
    }
    let site = Site::open(|settings| settings.default_port = Some(24_000));
    site.relay.publish(24_000, None, StreamState::Live);
    for query in ["", "?port=abc", "?port=", "?port=24000", "?other=1"] {
        site.join(query).await.expect_state("live").await;
    }
}

#[tokio::test]
async fn without_an_upgrade_it_is_an_ordinary_mistake() {
    let site = Site::open(|settings| settings.default_port = Some(24_000));
    site.relay.publish(24_000, None, StreamState::Live);
    let mut socket = TcpStream::connect(site.address).await.unwrap();
    socket.write_all(b"GET /websocket HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
}

#[tokio::test]
async fn a_channel_is_followed_through_its_life() {
    let site = Site::open(|_| {});
    let mut page = site.join("?channel=den").await;
    assert_eq!(page.expect("state").await, json!({"state": "offline", "channel": "den"}));

    site.relay.publish(24_000, Some("den"), StreamState::Waiting);
    assert_eq!(
        page.expect("state").await,
        json!({"state": "waiting", "channel": "den", "port": 24000, "name": "den on air"})
    );
    site.relay.set_state(24_000, StreamState::Live);
    page.expect_state("live").await;
    assert_eq!(page.expect("offer").await["sdp"], offer(1));
    let viewer = connected(&site, &mut page, 0).await;

    site.relay.set_state(24_000, StreamState::Away);
    page.expect_state("away").await;
    site.relay.set_state(24_000, StreamState::Live);
    page.expect_state("live").await;
    assert!(!viewer.gone.load(Ordering::SeqCst), "the peer connection stays");

    site.relay.end(24_000, &CloseReason::StreamEnded);
    page.expect_state("offline").await;
    until("the old session is dropped", || viewer.gone.load(Ordering::SeqCst)).await;
    // A late answer to the old offer harms nobody.
    page.answer().await;

    site.relay.publish(24_001, Some("den"), StreamState::Live);
    assert_eq!(page.expect("state").await["port"], 24_001);
    assert_eq!(page.expect("offer").await["sdp"], offer(2));
}

#[tokio::test]
async fn another_stream_s_changes_are_no_news() {
    let site = Site::open(|_| {});
    site.relay.publish(24_000, Some("den"), StreamState::Live);
    let mut page = site.join("?channel=den").await;
    page.expect_state("live").await;
    page.expect("offer").await;
    for port in 24_001..24_020 {
        site.relay.publish(port, None, StreamState::Live);
    }
    site.relay.set_state(24_000, StreamState::Away);
    page.expect_state("away").await;
}

#[tokio::test]
async fn a_viewer_of_a_port_leaves_with_the_stream_and_is_told_why() {
    // The server that this one replaces closed its viewers' sockets without a word.
    for (reason, code) in
        [(CloseReason::StreamEnded, "stream_ended"), (CloseReason::PublisherGone, "publisher_gone")]
    {
        let site = Site::open(|_| {});
        site.relay.publish(24_000, Some("den"), StreamState::Live);
        let mut page = site.join("?port=24000").await;
        page.expect_state("live").await;
        page.expect("offer").await;
        connected(&site, &mut page, 0).await;
        site.relay.end(24_000, &reason);
        page.expect_close(code, 1000).await;
    }
}

#[tokio::test]
async fn a_port_that_gets_another_stream_is_not_followed() {
    let site = Site::open(|_| {});
    site.relay.publish(24_000, Some("den"), StreamState::Live);
    site.relay.refusals.lock().unwrap().extend([WatchError::TooManyPending]);
    let mut page = site.join("?port=24000").await;
    page.expect_state("live").await;
    site.relay.end(24_000, &CloseReason::StreamEnded);
    site.relay.publish(24_000, Some("other"), StreamState::Live);
    page.expect_close("stream_ended", 1000).await;
}

#[tokio::test]
async fn itg_fault_12_an_offer_is_never_lost_and_a_candidate_never_comes_before_it() {
    let site = Site::open(|_| {});
    site.relay.publish(24_000, None, StreamState::Live);
    *site.relay.join_delay.lock().unwrap() = Duration::from_millis(300);
    for number in 1..=3 {
        let mut page = site.join("?port=24000").await;
        // A hasty page: its candidate comes while the relay is still making the offer.
        page.say(&json!({"event": "candidate", "data": {"candidate": "candidate:1"}})).await;
        page.expect_state("live").await;
        let (event, data) = page.event().await;
        assert_eq!((event.as_str(), &data["sdp"]), ("offer", &Value::from(offer(number))));
        let viewer = connected(&site, &mut page, number - 1).await;
        viewer.events.send(ViewerEvent::Count(1)).unwrap();
        page.expect("info").await;
    }
}

#[tokio::test]
async fn itg_fault_11_a_dead_viewer_delays_nobody() {
    let site = Site::open(|settings| settings.write_limit = Duration::from_millis(500));
    site.relay.publish(24_000, None, StreamState::Live);
    // This one reads nothing, not even the answer to its upgrade.
    let mut dead = TcpStream::connect(site.address).await.unwrap();
    dead.write_all(
        b"GET /websocket?port=24000 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    )
    .await
    .unwrap();
    let victim = site.relay.viewer(0).await;
    for count in 0..200_000 {
        victim.events.send(ViewerEvent::Count(count)).unwrap();
    }
    let began = Instant::now();
    for place in 1..=5 {
        let mut page = site.join("?port=24000").await;
        page.expect_state("live").await;
        page.expect("offer").await;
        let viewer = connected(&site, &mut page, place).await;
        viewer.events.send(ViewerEvent::Count(6)).unwrap();
        page.expect("info").await;
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    until("the dead viewer is dropped", || victim.gone.load(Ordering::SeqCst)).await;
}

#[tokio::test]
async fn itg_fault_13_after_a_reconnect_everything_is_new() {
    let site = Site::open(|_| {});
    site.relay.publish(24_000, None, StreamState::Live);
    let mut first = site.join("?port=24000").await;
    first.expect_state("live").await;
    assert_eq!(first.expect("offer").await["sdp"], offer(1));
    connected(&site, &mut first, 0).await;
    // The socket breaks without a word.
    drop(first);
    let mut second = site.join("?port=24000").await;
    second.expect_state("live").await;
    assert_eq!(second.expect("offer").await["sdp"], offer(2), "an offer of a session of its own");
    let viewer = connected(&site, &mut second, 1).await;
    until("the answer reaches the new session", || viewer.answers.lock().unwrap().len() == 1).await;
    assert_eq!(site.relay.viewer(0).await.answers.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_answer_longer_than_the_old_4096_bytes_is_taken() {
    let site = Site::open(|_| {});
    site.relay.publish(24_000, None, StreamState::Live);
    let mut page = site.join("?port=24000").await;
    page.expect_state("live").await;
    page.expect("offer").await;
    let sdp = format!("v=0\r\n{}", "a=x\r\n".repeat(9_000));
    page.say(&json!({"event": "answer", "data": {"type": "answer", "sdp": sdp}})).await;
    let viewer = site.relay.viewer(0).await;
    until("the answer", || viewer.answers.lock().unwrap().first() == Some(&sdp)).await;
}

#[tokio::test]
async fn what_cannot_be_understood_closes_the_socket_with_a_reason() {
    let bad_sdp = json!({"event": "answer", "data": {"type": "answer", "sdp": "hello"}}).to_string();
    let bad_candidate = json!({"event": "candidate", "data": {"candidate": "hello"}}).to_string();
    for (text, code, status) in [
        ("not json", "bad_message", 1007),
        ("{\"event\":\"answer\"}", "bad_message", 1007),
        (bad_sdp.as_str(), "bad_answer", 1008),
        (bad_candidate.as_str(), "bad_candidate", 1008),
    ] {
        let site = Site::open(|_| {});
        site.relay.publish(24_000, None, StreamState::Live);
        let mut page = site.join("?port=24000").await;
        page.expect_state("live").await;
        page.expect("offer").await;
        page.say_text(text).await;
        page.expect_error_and_close(code, status).await;
        let viewer = site.relay.viewer(0).await;
        until("the session is dropped", || viewer.gone.load(Ordering::SeqCst)).await;
    }
}

#[tokio::test]
async fn the_clock_is_told_at_any_time_and_the_question_comes_back() {
    let site = Site::open(|_| {});
    site.relay.publish(24_000, None, StreamState::Live);
    let mut page = site.join("?port=24000").await;
    page.expect_state("live").await;
    page.say(&json!({"event": "clock", "data": {"client_us": 42}})).await;
    page.expect("offer").await;
    let wanted = json!({"client_us": 42, "server_us": 1_700_000_000_123_456_u64});
    assert_eq!(page.expect("clock").await, wanted);
    let uplink = Uplink {
        delay: Duration::from_micros(33_400),
        on_arrival: Duration::from_millis(35),
        basis: UplinkBasis::Capture,
    };
    site.relay.set_uplink(24_000, uplink);
    page.say(&json!({"event": "clock", "data": {"client_us": 43}})).await;
    assert_eq!(
        page.expect("clock").await["uplink"],
        json!({"delay_ms": 33, "arrival_ms": 35, "basis": "capture"})
    );
}

#[tokio::test]
async fn unknown_events_and_binary_frames_are_taken_in_good_humour() {
    let site = Site::open(|_| {});
    site.relay.publish(24_000, None, StreamState::Live);
    let mut page = site.join("?port=24000").await;
    page.expect_state("live").await;
    page.expect("offer").await;
    page.say(&json!({"event": "applause", "data": {"loud": true}})).await;
    page.say(&json!({"event": "candidate", "data": null})).await;
    let answer = json!({"event": "answer", "data": {"type": "answer", "sdp": "v=0"}}).to_string();
    page.0.send(Message::binary(answer.into_bytes())).await.unwrap();
    let viewer = site.relay.viewer(0).await;
    until("the answer", || !viewer.answers.lock().unwrap().is_empty()).await;
}

#[tokio::test]
async fn a_second_answer_is_a_mistake() {
    let site = Site::open(|_| {});
    site.relay.publish(24_000, None, StreamState::Live);
    let mut page = site.join("?port=24000").await;
    page.expect_state("live").await;
    page.expect("offer").await;
    page.answer().await;
    page.answer().await;
    page.expect_error_and_close("unexpected_answer", 1008).await;
}

#[tokio::test]
async fn too_large_and_too_many() {
    let site = Site::open(|_| {});
    site.relay.publish(24_000, None, StreamState::Live);
    let mut page = site.join("?port=24000").await;
    page.expect_state("live").await;
    page.expect("offer").await;
    page.say_text(&"x".repeat(70_000)).await;
    page.expect_error_and_close("message_too_large", 1009).await;

    let mut page = site.join("?port=24000").await;
    page.expect_state("live").await;
    page.expect("offer").await;
    for _ in 0..250 {
        if page.0.send(Message::text(r#"{"event":"noise"}"#)).await.is_err() {
            break;
        }
    }
    page.expect_error_and_close("too_many_messages", 1008).await;
}

#[tokio::test]
async fn an_offer_must_be_answered_in_time() {
    let site = Site::open(|settings| settings.answer_limit = Duration::from_millis(200));
    site.relay.publish(24_000, None, StreamState::Live);
    let mut page = site.join("?port=24000").await;
    page.expect_state("live").await;
    page.expect("offer").await;
    page.expect_error_and_close("answer_timeout", 1008).await;
}

#[tokio::test]
async fn a_few_pings_follow_an_offer() {
    let site = Site::open(|settings| settings.ping_interval = Duration::from_secs(60));
    site.relay.publish(24_000, None, StreamState::Live);
    let mut page = site.join("?port=24000").await;
    page.expect_state("live").await;
    page.expect("offer").await;
    let mut pings = 0;
    let _ = timeout(Duration::from_secs(1), async {
        loop {
            pings += u32::from(matches!(page.frame().await, Some(Message::Ping(_))));
        }
    })
    .await;
    // After 40, 80, 160 and 320 ms; a busy machine leaves some out.
    assert!((1..=4).contains(&pings), "{pings}");
}

#[tokio::test]
async fn silence_ends_a_socket_and_pongs_are_not_silence() {
    let site = Site::open(|settings| {
        settings.ping_interval = Duration::from_millis(50);
        settings.silence_limit = Duration::from_millis(400);
    });
    // A page that reads answers pings by itself.
    let mut page = site.join("?channel=den").await;
    page.expect_state("offline").await;
    let awake = timeout(Duration::from_millis(1200), async {
        loop {
            let Some(Message::Ping(_)) = page.frame().await else { panic!("only pings") };
        }
    });
    awake.await.expect_err("it lives on");

    // One that does not even do that is dropped.
    let mut silent = site.join("?channel=den").await;
    silent.expect_state("offline").await;
    let began = Instant::now();
    sleep(Duration::from_millis(700)).await;
    let mut frames = Vec::new();
    while let Some(frame) = silent.frame().await {
        frames.push(frame);
    }
    assert!(
        matches!(frames.last(), Some(Message::Close(Some(frame))) if frame.reason == "silent"),
        "{frames:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn the_relay_s_reasons_reach_the_page() {
    for (reason, code, status) in [
        (CloseReason::ConsentLost, "consent_lost", 1000),
        (CloseReason::HandshakeTimeout, "handshake_timeout", 1000),
        (CloseReason::HandshakeFailed("no common profile".into()), "handshake_failed", 1000),
        (CloseReason::Kicked, "kicked", 1000),
        (CloseReason::ServerShutdown, "server_shutdown", 1001),
        (CloseReason::Internal("secret detail".into()), "internal", 1011),
    ] {
        let site = Site::open(|_| {});
        site.relay.publish(24_000, Some("den"), StreamState::Live);
        // The same for viewers of a channel: it is their own session that failed.
        for (place, query) in ["?port=24000", "?channel=den"].into_iter().enumerate() {
            let mut page = site.join(query).await;
            page.expect_state("live").await;
            page.expect("offer").await;
            let viewer = connected(&site, &mut page, place).await;
            viewer.events.send(ViewerEvent::Ended(reason.clone())).unwrap();
            page.expect_close(code, status).await;
        }
    }
}

#[tokio::test]
async fn a_viewer_without_the_codec_is_told_and_keeps_the_sound() {
    let site = Site::open(|_| {});
    site.relay.publish(24_000, None, StreamState::Live);
    let mut page = site.join("?port=24000").await;
    page.expect_state("live").await;
    page.expect("offer").await;
    let viewer = connected(&site, &mut page, 0).await;
    viewer.events.send(ViewerEvent::MissingCodec(Codec::H264)).unwrap();
    assert_eq!(page.expect("error").await["code"], "missing_codec");
    viewer.events.send(ViewerEvent::Count(1)).unwrap();
    page.expect("info").await;
}

#[tokio::test]
async fn a_full_server_says_so() {
    let site = Site::open(|_| {});
    site.relay.publish(24_000, None, StreamState::Live);
    site.relay.refusals.lock().unwrap().push(WatchError::Full);
    let mut page = site.join("?port=24000").await;
    page.expect_state("live").await;
    page.expect_error_and_close("full", 1013).await;
}

#[tokio::test]
async fn a_crowd_behind_one_address_comes_in_one_after_the_other() {
    let site = Site::open(|_| {});
    site.relay.publish(24_000, None, StreamState::Live);
    site.relay.refusals.lock().unwrap().extend([WatchError::TooManyPending, WatchError::TooManyPending]);
    let mut page = site.join("?port=24000").await;
    page.expect_state("live").await;
    page.expect("offer").await;
}

#[tokio::test]
async fn waiting_sockets_are_counted_by_address_and_watching_ones_are_not() {
    let site = Site::open(|settings| settings.max_pending_sockets_per_address = 1);
    site.relay.publish(24_000, None, StreamState::Live);
    let mut watching = site.join("?port=24000").await;
    watching.expect_state("live").await;
    watching.expect("offer").await;
    assert_eq!(site.refused("?channel=den").await.0, 429);
    connected(&site, &mut watching, 0).await;
    let mut waiting = None;
    for _ in 0..100 {
        waiting = site.try_join("?channel=den").await.ok();
        if waiting.is_some() {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    waiting.expect("a place").expect_state("offline").await;
}

#[tokio::test]
async fn a_shutdown_is_told_to_everybody_and_waited_for() {
    let site = Site::open(|_| {});
    site.relay.publish(24_000, None, StreamState::Live);
    let mut watching = site.join("?port=24000").await;
    watching.expect_state("live").await;
    watching.expect("offer").await;
    let viewer = connected(&site, &mut watching, 0).await;
    let mut waiting = site.join("?channel=den").await;
    waiting.expect_state("offline").await;

    site.settings.shutdown.begin();
    watching.expect_close("server_shutdown", 1001).await;
    waiting.expect_close("server_shutdown", 1001).await;
    assert!(site.settings.shutdown.finished(Duration::from_secs(5)).await);
    assert_eq!(*viewer.closed.lock().unwrap(), Some(CloseReason::ServerShutdown));
    assert_eq!(site.refused("?channel=den").await.0, 503);
    assert_eq!(site.relay.viewer_count(), 1);
}

#[tokio::test]
async fn a_viewer_asks_for_another_playout_delay() {
    let site = Site::open(|_| {});
    site.relay.publish(24_000, Some("den"), StreamState::Live);
    let mut page = site.join("?channel=den").await;
    page.expect_state("live").await;
    page.expect("offer").await;
    let viewer = connected(&site, &mut page, 0).await;
    page.say(&json!({"event": "playout", "data": {"max_ms": 9000}})).await;
    assert_eq!(page.expect("playout").await, json!({"min_ms": 0, "max_ms": 4000, "limit_ms": 4000}));
    assert_eq!(viewer.playout.lock().unwrap().len(), 1);

    // The wish is the viewer's, not the session's: it holds for the next offer, too.
    site.relay.end(24_000, &CloseReason::StreamEnded);
    page.expect_state("offline").await;
    site.relay.publish(24_000, Some("den"), StreamState::Live);
    page.expect_state("live").await;
    page.expect("offer").await;
    assert_eq!(page.expect("playout").await["max_ms"], 4000);
    page.say(&json!({"event": "playout", "data": null})).await;
    assert_eq!(page.expect("playout").await, json!({"min_ms": 0, "max_ms": 500, "limit_ms": 4000}));
}

#[tokio::test]
async fn a_viewer_tells_how_late_it_is() {
    let site = Site::open(|_| {});
    site.relay.publish(24_000, Some("den"), StreamState::Live);
    let mut page = site.join("?channel=den").await;
    page.expect_state("live").await;
    page.expect("offer").await;
    let viewer = connected(&site, &mut page, 0).await;
    page.say(&json!({"event": "delay", "data": {"delay_ms": 140}})).await;
    // The answer to what comes after it proves that it was read.
    page.say(&json!({"event": "clock", "data": {"client_us": 1}})).await;
    page.expect("clock").await;
    assert_eq!(*viewer.delays.lock().unwrap(), [Duration::from_millis(140)]);
    page.say(&json!({"event": "delay", "data": {"delay_ms": 60_001}})).await;
    page.expect_error_and_close("bad_message", 1007).await;
}

#[tokio::test]
async fn a_wish_may_come_before_there_is_anything_to_watch() {
    let site = Site::open(|_| {});
    let mut page = site.join("?channel=den").await;
    page.expect_state("offline").await;
    page.say(&json!({"event": "playout", "data": {"min_ms": 100, "max_ms": 1500}})).await;
    site.relay.publish(24_000, Some("den"), StreamState::Live);
    page.expect_state("live").await;
    page.expect("offer").await;
    assert_eq!(page.expect("playout").await, json!({"min_ms": 100, "max_ms": 1500, "limit_ms": 4000}));
}

#[tokio::test]
async fn at_the_machines_limit_a_viewer_is_told_that_the_server_is_full() {
    let site = Site::open(|_| {});
    site.relay.publish(24_000, Some("den"), StreamState::Live);
    site.relay.refusals.lock().unwrap().push(WatchError::Overloaded(Limit::Cpu));
    let mut page = site.join("?channel=den").await;
    page.expect_state("live").await;
    let error = page.expect("error").await;
    assert_eq!(error["code"], "full");
    let message = error["message"].as_str().unwrap();
    assert!(message.ends_with("its egress workers have no processor time left"), "{message}");
    page.expect_close("full", 1013).await;
}

#[tokio::test]
async fn a_viewer_asks_for_a_layer() {
    let site = Site::open(|_| {});
    site.relay.publish(24_000, Some("den"), StreamState::Live);
    let mut page = site.join("?channel=den").await;
    page.expect_state("live").await;
    page.expect("offer").await;
    let viewer = connected(&site, &mut page, 0).await;
    page.say(&json!({"event": "layer", "data": "m"})).await;
    page.say(&json!({"event": "layer", "data": null})).await;
    page.say(&json!({"event": "layer", "data": "l"})).await;
    page.say(&json!({"event": "clock", "data": {"client_us": 1}})).await;
    page.expect("clock").await;
    let asked = || viewer.layers.lock().unwrap().clone();
    assert_eq!(asked(), [Some("m".to_owned()), None, Some("l".to_owned())]);

    // It holds for the next offer, too.
    site.relay.end(24_000, &CloseReason::StreamEnded);
    page.expect_state("offline").await;
    site.relay.publish(24_000, Some("den"), StreamState::Live);
    page.expect_state("live").await;
    page.expect("offer").await;
    let viewer = connected(&site, &mut page, 1).await;
    assert_eq!(*viewer.layers.lock().unwrap(), [Some("l".to_owned())]);
}
