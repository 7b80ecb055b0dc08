//! The whole FTL door over real sockets on loopback, with a relay and an authoriser that write down what they hear.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::Duration;

use bytes::Bytes;
use heliograph_ingest::{
    auth::EndReason,
    ftl::{
        FtlSettings,
        client::{ClientError, ClientSettings, FtlClient, SpeedTestPlan, StreamKey},
    },
    house::{HouseSettings, Takeover},
};
use heliograph_relay::AllocateError;
use support::*;
use tokio::time::timeout;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

async fn client(world: &World, key: &str) -> Result<FtlClient, ClientError> {
    let settings = ClientSettings::new(StreamKey::parse(key).unwrap());
    FtlClient::connect("127.0.0.1", world.addr.port(), settings).await
}

/// One picture and the sound beside it.
async fn publish(client: &FtlClient, frame: u32) {
    let time = Duration::from_millis(20) * frame;
    client.audio(time, Bytes::from_static(OPUS)).await.unwrap();
    let nals = [SPS, PPS, IDR].map(Bytes::from_static).to_vec();
    client.video(time, nals).await.unwrap();
}

#[tokio::test]
async fn from_connect_to_disconnect() {
    let house = HouseSettings { grace: ms(300), metadata_interval: ms(400), ..HouseSettings::default() };
    let settings = settings();
    let pool = settings.media_ports.clone();
    let world = World::with(house, settings, FakeAuthoriser::new("secret"));
    let client = client(&world, "1234-secret").await.unwrap();
    for frame in 0..50 {
        publish(&client, frame).await;
        tokio::time::sleep(ms(20)).await;
    }
    let video =
        eventually("video", || Some(world.relay.rtp("c1234", 96)).filter(|all| all.len() >= 140)).await;
    let audio = world.relay.rtp("c1234", 97);
    assert!(audio.len() >= 40);
    // A sender report comes first, then the SPS; all under SSRCs of ours.
    let first = world.relay.received("c1234").remove(0).1;
    assert_eq!(first[..4], [0x80, 200, 0, 6]);
    assert_eq!(video[0][12..], *SPS);
    assert_eq!(first[4..8], video[0][8..12]);
    for packets in [&video, &audio] {
        let ssrc = &packets[0][8..12];
        assert_ne!(ssrc, [0, 0, 4, 0xd3]);
        assert_ne!(ssrc, [0, 0, 4, 0xd2]);
        assert!(packets.iter().all(|packet| packet[8..12] == *ssrc));
        for (number, packet) in packets.iter().enumerate() {
            assert_eq!(packet[2..4], u16::try_from(number).unwrap().to_be_bytes());
        }
    }
    let request = world.relay.requests().remove(0);
    assert_eq!(request.channel.unwrap().as_str(), "c1234");
    assert_eq!(request.tracks.len(), 2);
    let snapshot = eventually("a snapshot", || {
        world.house.snapshot().pop().filter(|snapshot| snapshot.metadata.packets >= 100)
    })
    .await;
    assert_eq!(snapshot.metadata.lost, 0);
    assert!(snapshot.metadata.round_trip.unwrap() < ms(100));
    assert!(client.stats().round_trip.is_some(), "pings come back");

    client.disconnect().await;
    let (publication, ending) = world.authoriser.ended(EndReason::Disconnected).await;
    assert_eq!(publication.channel_id, 1234);
    assert_eq!(publication.port, snapshot.port);
    assert!(pool.contains(&snapshot.port.unwrap()), "bug j: no port outside the pool");
    assert!(ending.bytes > 1000 && ending.duration > ms(900));
    let told = world.authoriser.told();
    assert!(matches!(&told[0], Told::Started(publication) if publication.port == snapshot.port));
    assert!(told.iter().any(|told| matches!(told, Told::Metadata(_, figures) if figures.packets > 0)));
    // A BYE tells the relay at once; after the grace time it gets its port back.
    let last = world.relay.received("c1234").pop().unwrap().1;
    assert_eq!(last[1], 203);
    eventually("the release", || Some(world.relay.released()).filter(|ports| ports.len() == 1)).await;
}

#[tokio::test]
async fn bug_b_and_e_and_itg_fault_2_wrong_keys_are_405() {
    let world = World::start(settings());
    let Err(ClientError::Refused(refusal)) = client(&world, "1234-wrong").await else { panic!("let in") };
    assert_eq!(refusal.code, 405);
    assert!(world.relay.requests().is_empty());
    // The next one is let in: nobody is locked out.
    assert!(client(&world, "1234-secret").await.is_ok());
}

#[tokio::test]
async fn wrong_keys_wait_longer_each_time_but_right_ones_never() {
    let world = World::start(settings());
    let begun = std::time::Instant::now();
    for _ in 0..3 {
        let mut raw = Raw::connect(world.addr, "127.0.0.1", 1).await;
        assert_eq!(raw.prove("wrong").await, "405 wrong key or channel\n");
        assert_eq!(raw.hear().await, "", "closed after the number");
    }
    assert!(begun.elapsed() >= ms(100 + 200 + 400));
    let begun = std::time::Instant::now();
    let mut raw = Raw::connect(world.addr, "127.0.0.1", 1).await;
    assert_eq!(raw.prove("secret").await, "200\n");
    assert!(begun.elapsed() < ms(750), "a fourth wrong key would have waited longer");
}

#[tokio::test]
async fn itg_fault_7_and_9_speed_test_is_honest_and_its_junk_goes_nowhere() {
    let world = World::start(settings());
    let plan = SpeedTestPlan::default();
    let mut settings = ClientSettings::new(StreamKey::parse("7-secret").unwrap());
    settings.speed_test = Some(plan);
    let client = FtlClient::connect("127.0.0.1", world.addr.port(), settings).await.unwrap();
    let result = client.speed_test().unwrap();
    assert!(result.round_trip_before.is_some() && result.round_trip_after.is_some(), "{result:?}");
    assert_eq!(result.nacked, 0, "{result:?}");
    for frame in 0..10 {
        publish(&client, frame).await;
    }
    let audio = eventually("audio", || Some(world.relay.rtp("c7", 97)).filter(|all| all.len() >= 9)).await;
    for (number, packet) in audio.iter().enumerate() {
        assert_eq!(packet[12..], *OPUS);
        assert_eq!(packet[2..4], u16::try_from(number).unwrap().to_be_bytes(), "numbered from 0 again");
    }
    let health = eventually("health", || {
        world.house.snapshot().pop().map(|snapshot| snapshot.metadata).filter(|health| health.packets > 0)
    })
    .await;
    assert!(health.discarded > 100, "{health:?}");
}

#[tokio::test]
async fn itg_fault_18_both_forms_of_ping_are_echoed_byte_for_byte() {
    let world = World::start(settings());
    let raw = Raw::live(world.addr, "127.0.0.1", 5).await;
    for ping in ["81fa0018000000000 0f153650000000040e2010000000000", "81fa000c00f1536540e20100"] {
        let ping = hex::decode(ping.replace(' ', "")).unwrap();
        raw.send(&ping).await;
        assert_eq!(raw.datagram().await, ping);
    }
}

#[tokio::test]
async fn itg_fault_8_losses_are_asked_for_and_filled() {
    let world = World::start(FtlSettings { hold: Duration::from_secs(6), ..settings() });
    let raw = Raw::live(world.addr, "127.0.0.1", 1234).await;
    raw.send(&raw.video(0, 0, SPS)).await;
    raw.send(&raw.video(2, 0, IDR)).await;
    let nack = raw.datagram().await;
    assert_eq!(hex::encode(&nack), "81cd0003000004d3000004d300010000", "alone in its datagram");
    assert_eq!(world.relay.rtp("c1234", 96).len(), 1, "what follows is held");
    raw.send(&raw.video(1, 0, PPS)).await;
    let video =
        eventually("all three", || Some(world.relay.rtp("c1234", 96)).filter(|all| all.len() == 3)).await;
    let payloads: Vec<&[u8]> = video.iter().map(|packet| &packet[12..]).collect();
    assert_eq!(payloads, [SPS, PPS, IDR]);
}

#[tokio::test]
async fn bug_f_and_itg_fault_6_nobody_else_can_send() {
    let world = World::start(settings());
    let raw = Raw::live(world.addr, "127.0.0.1", 9).await;
    raw.send(&raw.video(0, 0, SPS)).await;
    eventually("our SPS", || world.relay.rtp("c9", 96).pop()).await;
    let stranger = tokio::net::UdpSocket::bind("127.0.0.2:0").await.unwrap();
    let neighbour = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let ping = hex::decode("81fa000c00f1536540e20100").unwrap();
    for thief in [&stranger, &neighbour] {
        thief.send_to(&raw.video(1, 0, b"\x65stolen"), raw.to).await.unwrap();
        thief.send_to(&ping, raw.to).await.unwrap();
    }
    raw.send(&raw.video(1, 0, PPS)).await;
    let video = eventually("our PPS", || Some(world.relay.rtp("c9", 96)).filter(|all| all.len() == 2)).await;
    assert_eq!(video[1][12..], *PPS);
    for thief in [&stranger, &neighbour] {
        assert!(timeout(ms(50), thief.recv(&mut [0; 100])).await.is_err(), "no echo for strangers");
    }
}

#[tokio::test]
async fn a_restarted_publisher_keeps_its_channel_and_port() {
    let world = World::start(settings());
    let first = client(&world, "3-secret").await.unwrap();
    publish(&first, 0).await;
    let before = eventually("media", || world.relay.received("c3").pop()).await;
    drop(first); // killed without a word
    world.authoriser.ended(EndReason::ConnectionLost).await;
    let second = client(&world, "3-secret").await.unwrap();
    publish(&second, 0).await;
    let sps = eventually("media again", || {
        world.relay.rtp("c3", 96).into_iter().filter(|packet| packet[12..] == *SPS).nth(1)
    })
    .await;
    assert_eq!(sps[2..4], [0, 0]);
    let all = world.relay.received("c3");
    assert!(all.iter().all(|(from, _)| *from == before.0), "the same sender all along");
    let first_ssrc = &world.relay.rtp("c3", 96)[0][8..12];
    assert_ne!(sps[8..12], *first_ssrc, "a new session, a new SSRC");
    assert!(world.relay.released().is_empty());
}

#[tokio::test]
async fn a_silent_publisher_is_taken_over_and_a_sending_one_is_not() {
    let world = World::in_house(HouseSettings { takeover_silence: ms(1500), ..HouseSettings::default() });
    let mut first = Raw::live(world.addr, "127.0.0.1", 4).await;
    first.send(&first.video(0, 0, SPS)).await;
    let mut second = Raw::connect(world.addr, "127.0.0.2", 4).await;
    assert_eq!(second.prove("secret").await, "200\n");
    assert_eq!(second.describe().await, "406 channel is live already\n");
    assert_eq!(second.hear().await, "");
    tokio::time::sleep(ms(1600)).await;
    let third = Raw::live(world.addr, "127.0.0.2", 4).await;
    third.send(&third.video(0, 0, SPS)).await;
    assert_eq!(first.hear().await, "410 taken over by another publisher\n");
    world.authoriser.ended(EndReason::TakenOver).await;
    world.authoriser.ended(EndReason::ChannelInUse).await;
    eventually("media of both", || {
        (world.relay.rtp("c4", 96).iter().filter(|packet| packet[12..] == *SPS).count() == 2).then_some(())
    })
    .await;
    assert_eq!(world.house.snapshot().len(), 1);
}

#[tokio::test]
async fn by_setting_a_sending_publisher_is_taken_over_once() {
    let world = World::in_house(HouseSettings { takeover: Takeover::ALLOWED, ..HouseSettings::default() });
    let mut first = Raw::live(world.addr, "127.0.0.1", 4).await;
    let _second = Raw::live(world.addr, "127.0.0.2", 4).await;
    assert!(first.hear().await.starts_with("410 "));
    let mut again = Raw::connect(world.addr, "127.0.0.1", 4).await;
    again.prove("secret").await;
    assert!(again.describe().await.starts_with("406 "));
}

#[tokio::test]
async fn shutdown_tells_everybody_410_and_gives_everything_back() {
    let world = World::start(settings());
    let client = client(&world, "8-secret").await.unwrap();
    let mut knocking = Raw::connect(world.addr, "127.0.0.1", 1).await;
    knocking.say("HMAC\r\n\r\n").await;
    knocking.hear().await;
    publish(&client, 0).await;
    let port = world.relay.port("c8").unwrap();
    let begun = std::time::Instant::now();
    let (end, ()) = tokio::join!(client.ended(), world.house.shutdown(Duration::from_secs(5)));
    assert!(matches!(&*end, ClientError::Ended(refusal) if refusal.code == 410), "{end}");
    assert!(begun.elapsed() < Duration::from_secs(4));
    assert!(knocking.hear().await.starts_with("410 "));
    assert_eq!(world.relay.released(), [port]);
    assert_eq!(world.authoriser.ends()[0].1.reason, EndReason::ServerShutdown);
    assert!(tokio::net::TcpStream::connect(world.addr).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_mute_authoriser_is_500_before_the_encoder_gives_up() {
    let world = World::with(HouseSettings::default(), settings(), FakeAuthoriser::mute());
    let Err(ClientError::Refused(refusal)) = client(&world, "1-any").await else { panic!("let in") };
    assert_eq!(refusal.code, 500);
}

#[tokio::test]
async fn itg_fault_17_a_failed_allocation_is_500_and_told_to_the_authoriser() {
    let world = World::start(settings());
    world.relay.fail(AllocateError::Unreachable("gone".to_owned()));
    let Err(ClientError::Refused(refusal)) = client(&world, "1-secret").await else { panic!("let in") };
    assert_eq!(refusal.code, 500);
    let (publication, ending) = world.authoriser.ended(EndReason::RelayUnavailable).await;
    assert_eq!((publication.port, ending.bytes), (None, 0));
}

#[tokio::test]
async fn a_dry_pool_is_500_and_refills() {
    let ports = settings().media_ports;
    let one = *ports.start()..=*ports.start();
    let world = World::start(FtlSettings { media_ports: one, port_rest: ms(200), ..settings() });
    let first = Raw::live(world.addr, "127.0.0.1", 1).await;
    let mut second = Raw::connect(world.addr, "127.0.0.1", 2).await;
    second.prove("secret").await;
    assert_eq!(second.describe().await, "500 no media port\n");
    drop(first);
    world.authoriser.ended(EndReason::ConnectionLost).await;
    tokio::time::sleep(ms(250)).await;
    Raw::live(world.addr, "127.0.0.1", 2).await;
}

#[tokio::test]
async fn sixty_four_strangers_of_one_address() {
    let world = World::start(settings());
    let mut strangers = Vec::new();
    for _ in 0..64 {
        strangers.push(Raw::connect(world.addr, "127.0.0.1", 1).await);
    }
    // The last one must have been admitted before the next knocks.
    strangers[63].say("HMAC\r\n\r\n").await;
    strangers[63].hear().await;
    let mut one_more = Raw::connect(world.addr, "127.0.0.1", 1).await;
    assert_eq!(one_more.hear().await, "500 too many connections\n");
    // Another address is not concerned, and a proven key frees a place.
    Raw::live(world.addr, "127.0.0.2", 1).await;
    assert_eq!(strangers[0].prove("secret").await, "200\n");
    Raw::live(world.addr, "127.0.0.1", 2).await;
}

#[tokio::test]
async fn itg_fault_16_vanished_publishers_free_their_ports() {
    let house = HouseSettings { grace: ms(100), ..HouseSettings::default() };
    let quick = FtlSettings { silence_timeout: ms(700), ..settings() };
    let world = World::with(house, quick, FakeAuthoriser::new("secret"));
    let mut raw = Raw::live(world.addr, "127.0.0.1", 1).await;
    assert_eq!(raw.hear().await, "408 nothing heard for too long\n");
    world.authoriser.ended(EndReason::Silent).await;
    eventually("the release", || world.relay.released().pop()).await;
}

#[tokio::test]
async fn alive_without_media_is_408() {
    let world = World::start(FtlSettings { media_timeout: ms(700), ..settings() });
    let mut raw = Raw::live(world.addr, "127.0.0.1", 1).await;
    let ping = hex::decode("81fa000c00f1536540e20100").unwrap();
    let pinging = async {
        loop {
            raw.media.send_to(&ping, raw.to).await.unwrap();
            tokio::time::sleep(ms(25)).await;
        }
    };
    let mut buffer = [0; 256];
    let heard = tokio::select! {
        heard = tokio::io::AsyncReadExt::read(&mut raw.stream, &mut buffer) => heard.unwrap(),
        () = pinging => 0,
    };
    assert_eq!(&buffer[..heard], b"408 no media for too long\n");
    world.authoriser.ended(EndReason::NoMedia).await;
}

#[tokio::test]
async fn itg_fault_15_and_bug_l_nonsense_is_400() {
    let world = World::start(settings());
    for nonsense in ["CONNECT\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", ".\n", "\u{0}\u{0}\n", &"x".repeat(3000)] {
        let mut raw = Raw::connect(world.addr, "127.0.0.1", 1).await;
        raw.say(nonsense).await;
        assert!(raw.hear().await.starts_with("400 "), "{nonsense:?}");
        assert_eq!(raw.hear().await, "");
    }
    let mut raw = Raw::connect(world.addr, "127.0.0.1", 1).await;
    raw.prove("secret").await;
    raw.say("Video: maybe\r\n\r\n").await;
    assert!(raw.hear().await.starts_with("400 "));
    world.authoriser.ended(EndReason::ProtocolError).await;
}

#[tokio::test]
async fn over_ipv6() {
    let world = World::start(FtlSettings { listen: vec!["[::1]:0".parse().unwrap()], ..settings() });
    let raw = Raw::live(world.addr, "::1", 3_000_000_000).await;
    raw.send(&raw.video(0, 0, SPS)).await;
    eventually("media", || world.relay.rtp("c3000000000", 96).pop()).await;
    let ping = hex::decode("81fa000c00f1536540e20100").unwrap();
    raw.send(&ping).await;
    assert_eq!(raw.datagram().await, ping);
}

#[tokio::test]
async fn a_relay_that_was_restarted_is_asked_again() {
    let world = World::start(settings());
    let raw = Raw::live(world.addr, "127.0.0.1", 6).await;
    raw.send(&raw.video(0, 0, SPS)).await;
    eventually("media", || world.relay.rtp("c6", 96).pop()).await;
    world.relay.crash();
    let mut seq = 0;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while world.relay.rtp("c6", 96).is_empty() {
        seq += 1;
        raw.send(&raw.video(seq, u32::from(seq) * 3000, IDR)).await;
        tokio::time::sleep(ms(20)).await;
        assert!(tokio::time::Instant::now() < deadline, "media never came back");
    }
    assert_eq!(world.relay.requests().len(), 2);
}
