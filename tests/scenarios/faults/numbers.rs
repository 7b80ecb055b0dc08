use std::time::{Duration, Instant};

use heliograph_ingest::ftl::client::{PingForm, SpeedTestPlan, StreamKey};
use heliograph_tests::{
    auth_service::AuthService,
    clip::{Clip, ClipPlan},
    hostile::RawFtl,
    publisher::ClipPublisher,
    server::ServerPlan,
    viewer::ws::WsViewer,
};

use crate::{FRAME_TICKS, turn};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_7_8_and_9_pings_losses_and_the_speed_test_of_obs() -> anyhow::Result<()> {
    let _turn = turn::alone().await;
    let mut server = ServerPlan::new().start().await?;
    let clip = Clip::standard().await?;
    let mut settings = server.channel(0).client_settings();
    settings.speed_test = Some(SpeedTestPlan::default());
    let begun = Instant::now();
    let publisher = ClipPublisher::start_with(server.ports().ftl(), settings, &clip).await?;
    let took = begun.elapsed();
    let result = publisher.client().speed_test().unwrap();
    println!("speed test: {result:?} in {took:?}");
    assert!(took < Duration::from_secs(2), "an echo ends it: {took:?}");
    assert!(result.round_trip_after.is_some() && result.estimate.as_kbps() > 10_000, "{result:?}");

    server.wait_for_state("one", "live", SOON).await?;
    let viewer = WsViewer::join(&server, "channel=one").await?;
    let report = viewer.watch().more(60, SOON).await?;
    report.check_complete(FRAME_TICKS)?;
    let largest = report.audio.octets / report.audio.packets;
    assert!(largest < 600, "the burst's 1392-byte packets are not sound: {largest} bytes on average");
    assert!(publisher.client().stats().round_trip.is_some(), "pings are echoed");
    server.check_health()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_11_one_dead_viewer_blocks_the_others() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let clip = Clip::standard().await?;
    let publisher = ClipPublisher::start(&server, 0, &clip).await?;
    server.wait_for_state("one", "live", SOON).await?;
    let mut dead = Vec::new();
    for _ in 0..3 {
        let viewer = WsViewer::join(&server, "channel=one").await?;
        viewer.watch().more(10, SOON).await?;
        viewer.freeze();
        dead.push(viewer);
    }
    for count in 4..=6 {
        let viewer = WsViewer::join(&server, "channel=one").await?;
        let report = viewer.watch().more(30, SOON).await?;
        report.check_complete(FRAME_TICKS)?;
        viewer.watch().until("the count", SOON, |report| report.viewers() == Some(count)).await?;
        dead.push(viewer);
    }
    publisher.finish().await;
    server.check_health()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_12_and_13_the_offer_is_lost_or_comes_after_its_candidates() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let clip = Clip::standard().await?;
    let publisher = ClipPublisher::start(&server, 0, &clip).await?;
    server.wait_for_state("one", "live", SOON).await?;
    // Many at once, and each after its predecessor left: always an offer, always first.
    let mut viewers = Vec::new();
    for _ in 0..20 {
        viewers.push(WsViewer::join(&server, "channel=one").await?);
    }
    for viewer in &viewers {
        let report = viewer.watch().more(5, SOON).await?;
        let first = |wanted: &str| report.events.iter().position(|(name, _)| name == wanted);
        assert!(first("offer") < first("candidate").or(Some(usize::MAX)), "{:?}", report.events);
        viewer.leave();
    }
    server.wait_for_viewers("one", 0, SOON).await?;
    let again = WsViewer::join(&server, "channel=one").await?;
    again.watch().more(30, SOON).await?.check_complete(FRAME_TICKS)?;
    // An answer that was never asked for, and words that mean nothing, do no harm.
    again.say(r#"{"event":"hello","data":{}}"#);
    again.watch().more(30, SOON).await?;
    publisher.finish().await;
    server.check_health()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_10_14_h_and_i_viewers_wait_for_the_next_keyframe_and_their_nacks_for_audio()
-> anyhow::Result<()> {
    let _turn = turn::alone().await;
    let mut server = ServerPlan::new().start().await?;
    let clip = Clip::make(ClipPlan { keyint: 249, intervals: 1, ..ClipPlan::default() })?.into();
    let publisher = ClipPublisher::start(&server, 0, &clip).await?;
    server.wait_for_state("one", "live", SOON).await?;
    publisher.phase(0.3).await;
    let viewer = WsViewer::join(&server, "channel=one").await?;
    let limit = Duration::from_secs(2);
    let report = viewer
        .watch()
        .until("a picture long before the next keyframe", limit, |report| report.video.frames > 0)
        .await?;
    assert!(report.first_picture().unwrap() < Duration::from_secs(1));
    // A request for a keyframe, which no FTL publisher can fulfil, is answered from the ring or not at all; it
    // breaks nothing.
    viewer.ask_keyframe();
    let report = viewer.watch().more(60, SOON).await?;
    assert_eq!((report.video.lost(), report.offers), (0, 1));
    publisher.finish().await;
    server.check_health()
}

#[tokio::test]
async fn fault_15_some_lines_leave_the_connection_hanging() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    for lines in [
        &["Video: maybe", "Audio: perhaps"][..],
        &["VideoPayloadType: many"],
        &["VideoIngestSSRC: "],
        &["a line without a colon"],
        &[],
    ] {
        let mut ftl = RawFtl::authenticated(&server, &server.channel(0).key).await?;
        let answer = ftl.announce(lines).await?;
        let code: u32 = answer.split([' ', '.']).next().unwrap().parse()?;
        assert!((200..600).contains(&code), "{lines:?}: {answer}");
        ftl.send("DISCONNECT\r\n\r\n").await?;
        ftl.rest().await?;
    }
    server.check_health()
}

#[tokio::test]
async fn fault_16_a_silent_control_connection_is_kept_for_ever() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let mut silent = RawFtl::connect(&server).await?;
    let mut halfway = RawFtl::connect(&server).await?;
    halfway.send("HMAC\r\n\r\n").await?;
    halfway.line().await?;
    for connection in [&mut silent, &mut halfway] {
        let rest = connection.rest().await?;
        assert!(rest.is_empty() || rest.starts_with(|first: char| first.is_ascii_digit()), "{rest:?}");
    }
    server.check_health()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_17_a_failed_allocation_tells_the_auth_service_nothing() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut service = AuthService::start("s").await?;
    let plan = ServerPlan::new().pools(10, 1).flag("--auth-ws-url", service.url());
    let mut server = plan.start().await?;
    let taken = server.http().post(server.control_url("/stream")).send().await?;
    assert_eq!(taken.status(), 200);
    let key = StreamKey::parse("5-s")?;
    let mut ftl = RawFtl::authenticated(&server, &key).await?;
    let answer = ftl.announce(&VALID).await?;
    assert!(answer.starts_with("500"), "{answer}");
    assert_eq!(service.next("end").await?["channel_id"], 5);
    server.check_health()
}

/// What every SDK announces.
const VALID: [&str; 13] = [
    "ProtocolVersion: 0.9",
    "VendorName: x",
    "VendorVersion: 1",
    "Video: true",
    "VideoCodec: H264",
    "VideoHeight: 720",
    "VideoWidth: 1280",
    "VideoPayloadType: 96",
    "VideoIngestSSRC: 6",
    "Audio: true",
    "AudioCodec: OPUS",
    "AudioPayloadType: 97",
    "AudioIngestSSRC: 5",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_18_and_19_short_pings_and_a_port_that_is_always_65535() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let clip = Clip::standard().await?;
    let mut settings = server.channel(0).client_settings();
    settings.media.ping_form = PingForm::Windows;
    let publisher = ClipPublisher::start_with(server.ports().ftl(), settings, &clip).await?;
    let range = server.ports().media(10);
    let (first, last) = range.split_once('-').unwrap();
    let port = publisher.client().media_addr().port();
    assert!((first.parse()?..=last.parse()?).contains(&port), "{port} outside {range}");
    server.wait_for_state("one", "live", SOON).await?;
    let viewer = WsViewer::join(&server, "channel=one").await?;
    viewer.watch().more(60, SOON).await?.check_complete(FRAME_TICKS)?;
    assert!(publisher.client().stats().round_trip.is_some(), "12-byte pings are echoed, too");
    publisher.finish().await;
    server.check_health()
}
