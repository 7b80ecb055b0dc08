use std::{
    net::{SocketAddr, UdpSocket},
    time::Duration,
};

use bytes::Bytes;
use heliograph_ingest::ftl::client::{ClientError, ClientSettings, StreamKey};
use heliograph_media::h264::{Packetiser, Piece};
use heliograph_tests::{
    auth_service::AuthService,
    clip::Clip,
    hostile::{RawFtl, STRANGER, told_port},
    publisher::ClipPublisher,
    server::{Server, ServerPlan},
    viewer::ws::WsViewer,
};
use serde_json::Value;

use crate::{FRAME_TICKS, turn};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn fault_a_and_1_the_program_exits_right_after_its_start() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    for parts in ["serve", "relay", "ingest"] {
        let mut server = ServerPlan::new().parts(parts).start().await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        server.check_health()?;
        server.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn fault_b_e_and_2_any_key_is_accepted() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let clip = Clip::standard().await?;
    for wrong in ["1000-wrong", "1000-secretOfone2", "9999-secretOfone", "0-x"] {
        let settings = ClientSettings::new(StreamKey::parse(wrong)?);
        let refused = ClipPublisher::start_with(server.ports().ftl(), settings, &clip).await.unwrap_err();
        assert!(
            matches!(&refused, ClientError::Refused(refusal) if refusal.code == 405),
            "{wrong}: {refused}"
        );
    }
    assert!(server.streams().await?.is_empty());
    server.check_health()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_c_and_d_the_auth_service_is_fixed_and_cannot_check_what_it_is_sent() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut service = AuthService::start("theirSecret").await?;
    let mut server = ServerPlan::new().flag("--auth-ws-url", service.url()).start().await?;
    let clip = Clip::standard().await?;
    let key = StreamKey::parse("4711-theirSecret")?;
    let settings = ClientSettings::new(key.clone());
    let publisher = ClipPublisher::start_with(server.ports().ftl(), settings, &clip).await?;
    let check = service.next("check").await?;
    assert_eq!(check["channel_id"], 4711);
    let challenge = check["challenge"].as_str().unwrap();
    let challenge: Vec<u8> = (0..challenge.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&challenge[at..at + 2], 16).unwrap())
        .collect();
    assert_eq!(check["digest"].as_str(), Some(key.answer(&challenge).as_str()), "the service can check it");
    let started = service.next("start").await?;
    assert!(started["port"].as_u64().is_some(), "{started}");
    server.wait_for_state("outside", "live", SOON).await?;
    publisher.finish().await;
    assert_eq!(service.next("end").await?["channel_id"], 4711);
    let wrong = ClientSettings::new(StreamKey::parse("4711-notTheirs")?);
    let refused = ClipPublisher::start_with(server.ports().ftl(), wrong, &clip).await.unwrap_err();
    assert!(matches!(&refused, ClientError::Refused(refusal) if refusal.code == 405), "{refused}");
    server.check_health()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_f_and_6_rtp_is_taken_from_any_address() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let clip = Clip::standard().await?;
    let publisher = ClipPublisher::start(&server, 0, &clip).await?;
    let stream = server.wait_for_state("one", "live", SOON).await?;
    let viewer = WsViewer::join(&server, "channel=one").await?;
    viewer.watch().more(30, SOON).await?;
    // A picture of the stranger's own, with the right SSRC and payload type, to both doors that media comes through.
    let stranger = UdpSocket::bind((STRANGER, 0))?;
    let relay = u16::try_from(stream["port"].as_u64().unwrap())?;
    let video_ssrc = server.channel(0).key.channel_id() + 1;
    for seq in 0..2000_u16 {
        let mut packet = vec![0x80, 0xe0];
        packet.extend(seq.to_be_bytes());
        packet.extend(0x7000_0000_u32.to_be_bytes());
        packet.extend(video_ssrc.to_be_bytes());
        packet.extend([0x65, 1, 2, 3]);
        stranger.send_to(&packet, publisher.client().media_addr())?;
        stranger.send_to(&packet, SocketAddr::from((Server::HOST, relay)))?;
    }
    let report = viewer.watch().more(60, SOON).await?;
    report.check_complete(FRAME_TICKS)?;
    server.check_health()
}

#[tokio::test]
async fn fault_g_anybody_can_create_and_delete_streams() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().flag("--rtp-port", "65535").start().await?;
    let http = server.http();
    let public = server.url("/stream");
    for request in [http.post(&public), http.delete(format!("{public}?port=65535"))] {
        let status = request.send().await?.status();
        assert!(status == 401 || status == 403, "on the public port: {status}");
    }
    let control = server.control_url("/stream");
    let from_page = http.post(&control).header("Origin", "http://evil.example").send().await?.status();
    assert_eq!(from_page, 403, "a web page on this machine");
    let rebound = http.post(&control).header("Host", "evil.example").send().await?.status();
    assert_eq!(rebound, 403, "a name that was made to point here");
    let token = std::fs::read_to_string(server.data().join("control.token"))?;
    let allowed = http.post(&public).bearer_auth(token.trim()).send().await?;
    assert_eq!(allowed.status(), 200, "with the token");
    assert!(allowed.json::<Value>().await?["port"].as_u64().is_some());
    server.check_health()
}

#[tokio::test]
async fn fault_j_allocated_ports_come_from_anywhere() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().pools(10, 4).start().await?;
    let range = server.ports().rtp(4);
    let (first, last) = range.split_once('-').unwrap();
    let (first, last): (u64, u64) = (first.parse()?, last.parse()?);
    for _ in 0..4 {
        let answer = server.http().post(server.control_url("/stream")).send().await?.error_for_status()?;
        let port = answer.json::<Value>().await?["port"].as_u64().unwrap();
        assert!((first..=last).contains(&port), "{port} outside {range}");
    }
    let outside = server.http().post(server.control_url("/stream?port=9")).send().await?;
    assert_eq!(outside.status(), 400);
    server.check_health()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_k_payload_types_are_fixed_although_the_client_announces_its_own() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let clip = Clip::standard().await?;
    let mut ftl = RawFtl::authenticated(&server, &server.channel(0).key).await?;
    let told = ftl
        .announce(&[
            "ProtocolVersion: 0.9",
            "VendorName: odd",
            "VendorVersion: 1",
            "Video: true",
            "VideoCodec: H264",
            "VideoHeight: 360",
            "VideoWidth: 640",
            "VideoPayloadType: 102",
            "VideoIngestSSRC: 5001",
            "Audio: true",
            "AudioCodec: OPUS",
            "AudioPayloadType: 111",
            "AudioIngestSSRC: 5000",
        ])
        .await?;
    let to = SocketAddr::from((Server::HOST, told_port(&told)?));
    let send = tokio::spawn(async move {
        let socket = tokio::net::UdpSocket::bind((Server::HOST, 0)).await.unwrap();
        let (mut seq, mut ticks) = (0_u16, tokio::time::interval(clip.frame_time()));
        for frame in 0_u32.. {
            ticks.tick().await;
            let nals = &clip.frames[frame as usize % clip.frames.len()];
            for (marker, payload) in payloads(nals) {
                let header = header(102, marker, seq, frame * 3000, 5001);
                socket.send_to(&[&header[..], &payload].concat(), to).await.unwrap();
                seq = seq.wrapping_add(1);
            }
            let sound = &clip.audio[frame as usize % clip.audio.len()];
            let header = header(111, false, frame as u16, frame * 960, 5000);
            socket.send_to(&[&header[..], sound].concat(), to).await.unwrap();
        }
    });
    server.wait_for_state("one", "live", SOON).await?;
    let viewer = WsViewer::join(&server, "channel=one").await?;
    viewer.watch().more(60, SOON).await?.check_complete(FRAME_TICKS)?;
    send.abort();
    server.check_health()
}

/// An access unit as RTP payloads with their marker bits.
fn payloads(nals: &[Bytes]) -> Vec<(bool, Vec<u8>)> {
    let pieces = Packetiser::FTL.packets(nals.iter().map(AsRef::as_ref));
    let payload = |piece: Piece<'_>| {
        let mut payload = Vec::new();
        piece.write_to(&mut payload);
        (piece.marker, payload)
    };
    pieces.map(payload).collect()
}

/// An RTP header.
fn header(payload_type: u8, marker: bool, seq: u16, timestamp: u32, ssrc: u32) -> [u8; 12] {
    let mut header = [0x80; 12];
    header[1] = payload_type | u8::from(marker) << 7;
    header[2..4].copy_from_slice(&seq.to_be_bytes());
    header[4..8].copy_from_slice(&timestamp.to_be_bytes());
    header[8..].copy_from_slice(&ssrc.to_be_bytes());
    header
}

#[tokio::test]
async fn fault_l_a_connect_with_too_few_words_brings_the_task_down() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    for connect in ["CONNECT", "CONNECT ", "CONNECT 1000", "CONNECT $", "CONNECT 1000 $"] {
        let mut ftl = RawFtl::connect(&server).await?;
        ftl.send("HMAC\r\n\r\n").await?;
        ftl.line().await?;
        ftl.send(&format!("{connect}\r\n\r\n")).await?;
        let answer = ftl.line().await?;
        assert!(answer.starts_with("400") || answer.starts_with("405"), "{connect}: {answer}");
    }
    server.check_health()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fault_m_and_5_nobody_can_learn_which_port_a_channel_has() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().channels(&["one", "two"]).start().await?;
    let clip = Clip::standard().await?;
    let first = ClipPublisher::start(&server, 0, &clip).await?;
    let second = ClipPublisher::start(&server, 1, &clip).await?;
    let one = server.wait_for_state("one", "live", SOON).await?;
    let two = server.wait_for_state("two", "live", SOON).await?;
    assert_ne!(one["port"], two["port"]);
    assert_eq!(one["tracks"].as_array().map(Vec::len), Some(2), "{one}");
    assert_eq!(
        (one["tracks"][0]["width"].as_u64(), one["tracks"][0]["height"].as_u64()),
        (Some(640), Some(360))
    );
    first.finish().await;
    second.finish().await;
    server.check_health()
}
