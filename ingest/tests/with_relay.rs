//! FTL into a real relay: what the machines of both crates promise each other on loopback.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{net::Ipv4Addr, ops::RangeInclusive, sync::Arc, time::Duration};

use bytes::Bytes;
use heliograph_ingest::{
    ftl::{
        FtlServer,
        client::{ClientSettings, FtlClient, SpeedTestPlan, StreamKey},
    },
    house::{House, HouseSettings},
};
use heliograph_media::MediaKind;
use heliograph_relay::{Relay, RelaySettings, StreamSnapshot, StreamState};
use support::*;

fn ports(size: u16) -> RangeInclusive<u16> {
    loop {
        let first = 25_000 + rand::random::<u16>() % 5000;
        let range = first..=first + (size - 1);
        if range.clone().all(|port| std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok()) {
            return range;
        }
    }
}

/// 1280x720, level 3.1, as x264 writes it for OBS.
const REAL_SPS: &[u8] = &[
    0x67, 0x4d, 0x40, 0x1f, 0xec, 0xa0, 0x28, 0x02, 0xdd, 0x80, 0x88, 0x00, 0x00, 0x03, 0x00, 0x08, 0x00,
    0x00, 0x03, 0x01, 0xe4, 0x78, 0xc1, 0x8c, 0xb0,
];

async fn connect(port: u16, speed_test: bool) -> FtlClient {
    let mut settings = ClientSettings::new(StreamKey::parse("5-secret").unwrap());
    settings.speed_test = speed_test.then(SpeedTestPlan::default);
    FtlClient::connect("127.0.0.1", port, settings).await.unwrap()
}

/// Ten pictures a second and their sound, for a while.
async fn publish(client: &FtlClient, pictures: u32) {
    for picture in 0..pictures {
        let time = Duration::from_millis(100) * picture;
        for packet in 0..5 {
            let time = time + Duration::from_millis(20) * packet;
            client.audio(time, Bytes::from_static(OPUS)).await.unwrap();
        }
        let nals = [REAL_SPS, PPS, IDR].map(Bytes::from_static).to_vec();
        client.video(time, nals).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn packets(stream: &StreamSnapshot, kind: MediaKind) -> u64 {
    stream.tracks.iter().find(|track| track.kind == kind).unwrap().packets
}

#[tokio::test]
async fn a_publisher_and_its_restart_are_one_stream_of_the_relay() {
    let relay = Relay::start(RelaySettings {
        rtp_ports: ports(2),
        ports: ports(2),
        media_addr: Some(Ipv4Addr::LOCALHOST.into()),
        ..RelaySettings::default()
    })
    .unwrap();
    let house = HouseSettings { grace: Duration::from_secs(5), ..HouseSettings::default() };
    let house = House::new(house, FakeAuthoriser::new("secret"), Arc::new(relay.clone()));
    let server = FtlServer::start(settings(), Arc::clone(&house)).unwrap();
    let ftl_port = server.local_addrs()[0].port();
    let stream = || relay.stream_by_channel("c5");

    let first = connect(ftl_port, true).await;
    publish(&first, 10).await;
    let live = eventually("live", || stream().filter(|stream| stream.state == StreamState::Live)).await;
    let video = live.tracks.iter().find(|track| track.kind == MediaKind::Video).unwrap();
    assert_eq!((video.width, video.height), (Some(1280), Some(720)));
    assert!(live.tracks.iter().all(|track| track.lost == 0 && track.malformed == 0), "{live:?}");
    assert!(packets(&live, MediaKind::Audio) < 100, "no junk of the speed test");

    drop(first); // killed without a word
    eventually("away", || stream().filter(|stream| stream.state == StreamState::Away)).await;
    let second = connect(ftl_port, false).await;
    publish(&second, 10).await;
    let again =
        eventually("live again", || stream().filter(|stream| stream.state == StreamState::Live)).await;
    assert_eq!((again.id, again.port), (live.id, live.port), "the same stream, so the same viewers");
    for kind in [MediaKind::Video, MediaKind::Audio] {
        assert!(packets(&again, kind) > packets(&live, kind) + 20, "{kind}");
    }
    assert!(again.tracks.iter().all(|track| track.lost == 0), "{again:?}");

    // Nobody takes over from one who is sending; after a DISCONNECT and the grace time the stream ends.
    second.disconnect().await;
    house.shutdown(Duration::from_secs(5)).await;
    eventually("the end", || stream().is_none().then_some(())).await;
    relay.shutdown(Duration::from_secs(2)).await;
}
