//! RTMP publishers that nobody here has written (ffmpeg), and strangers at their door.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::ensure;
use heliograph_tests::{
    ffmpeg::{AAC, Ffmpeg, X264},
    ports::PortBlock,
    scratch::Scratch,
    server::{Server, ServerPlan},
    strangers,
    viewer::{whep::WhepViewer, ws::WsViewer},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::turn;

const SOON: Duration = Duration::from_secs(15);
/// 25 pictures a second: whole milliseconds, so RTMP's clock does not round.
const FRAME_TICKS: u64 = 3600;

fn url(server: &Server, rest: &str) -> String {
    format!("rtmp://127.0.0.1:{}/live/{rest}", server.ports().rtmp())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ffmpeg_is_watched_and_heard() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let key = &server.channel(0).key_text;
    for (form, audio) in [(key.clone(), AAC), (format!("one?key={key}"), "-c:a aac -ar 48000 -ac 1")] {
        let publisher = Ffmpeg::rtmp(&url(&server, &form), X264, audio)?;
        server.wait_for_state("one", "live", SOON).await?;
        let first = WsViewer::join(&server, "channel=one").await?;
        let report = first.watch().more(100, SOON).await?;
        report.check_complete(FRAME_TICKS)?;
        report.check_sound()?;
        let second = WhepViewer::join(&server, "/whep/one").await?;
        second.watch().more(50, SOON).await?;
        publisher.finish().await?;
        server.wait_for_state("one", "away", SOON).await?;
    }
    assert!(!server.log().contains("secretOf"), "the stream key is in the log");
    server.check_health()?;
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_rtmp_publisher_comes_back_to_the_same_viewers() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let url = url(&server, &server.channel(0).key_text);
    let publisher = Ffmpeg::rtmp(&url, X264, AAC)?;
    server.wait_for_state("one", "live", SOON).await?;
    let viewer = WsViewer::join(&server, "channel=one").await?;
    viewer.watch().more(50, SOON).await?;
    publisher.kill().await?;
    let publisher = Ffmpeg::rtmp(&url, X264, AAC)?;
    let report = viewer.watch().more(75, SOON).await?;
    assert_eq!(report.offers, 1, "the same peer connection");
    for track in [&report.video, &report.audio] {
        assert_eq!((track.ssrcs.len(), track.lost(), track.backwards), (1, 0, 0));
    }
    publisher.finish().await?;
    server.check_health()?;
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rtmps_with_the_certificate_of_the_page() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let folder = Scratch::new()?;
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    self_signed(&certificate, &key)?;
    // The page without TLS, so that the viewers here need no certificate.
    let mut relay = ServerPlan::new().parts("relay").start().await?;
    let ports = PortBlock::find()?;
    let plan = ServerPlan::new()
        .parts("ingest")
        .flag("--relay-url", relay.control_url(""))
        .flag("--ssl-cert", certificate.display())
        .flag("--ssl-key", key.display())
        .flag("--rtmps-port", ports.rtmps());
    let mut ingest = plan.start_on(ports).await?;
    let key = &ingest.channel(0).key_text;
    let url = format!("rtmps://127.0.0.1:{}/live/{key}", ports.rtmps());
    let publisher = Ffmpeg::rtmp(&url, X264, AAC)?;
    relay.wait_for_state("one", "live", SOON).await?;
    let viewer = WsViewer::join(&relay, "channel=one").await?;
    viewer.watch().more(50, SOON).await?.check_complete(FRAME_TICKS)?;
    publisher.finish().await?;
    ingest.check_health()?;
    ingest.stop().await?;
    relay.stop().await
}

fn self_signed(certificate: &Path, key: &Path) -> anyhow::Result<()> {
    let made = Command::new("openssl")
        .args(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost"
                .split(' '),
        )
        .arg("-keyout")
        .arg(key)
        .arg("-out")
        .arg(certificate)
        .output()?;
    ensure!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_publish_is_told_why() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().channels(&["one", "two"]).flag("--b-frames", "refuse").start().await?;
    let key = server.channel(0).key_text.clone();
    let publisher = Ffmpeg::rtmp(&url(&server, &key), X264, AAC)?;
    server.wait_for_state("one", "live", SOON).await?;
    let b_frames = "-c:v libx264 -preset ultrafast -bf 3 -b_strategy 0 -g 50 -pix_fmt yuv420p";
    let other = server.channel(1).key_text.clone();
    for (form, video, words) in [
        ("1000-wrong".to_owned(), X264, "wrong stream key"),
        (format!("two?key={key}"), X264, "wrong stream key"),
        ("nothing".to_owned(), X264, "wrong stream key"),
        (key.clone(), X264, "live already"),
        (other.clone(), b_frames, "B-frames"),
        (other, "-c:v flv1", "H.264, H.265 or AV1"),
    ] {
        let refused = Ffmpeg::rtmp(&url(&server, &form), video, AAC)?;
        let said = refused.gives_up(SOON).await?;
        assert!(
            said.contains(words) || words == "B-frames" || words == "H.264, H.265 or AV1",
            "{words}: {said}"
        );
    }
    // ffmpeg does not show what it is told while it sends; the log has it.
    let log = server.log();
    assert!(log.contains("B-frames") && log.contains("FLV video codec 2"), "{log}");
    server.wait_for_state("one", "live", SOON).await?;
    publisher.finish().await?;
    server.check_health()?;
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_at_the_rtmp_door_do_not_disturb_the_broadcast() -> anyhow::Result<()> {
    let _turn = turn::alone().await;
    let mut server = ServerPlan::new().start().await?;
    let publisher = Ffmpeg::rtmp(&url(&server, &server.channel(0).key_text), X264, AAC)?;
    server.wait_for_state("one", "live", SOON).await?;
    let viewer = WsViewer::join(&server, "channel=one").await?;
    viewer.watch().more(25, SOON).await?;
    let resident = server.resident_kib()?;

    // Many at once who say nothing: the sixty-fifth of an address is not let in.
    let door = (Server::HOST, server.ports().rtmp());
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(door).await?);
    }
    let mut closed = 0;
    for stream in &mut silent {
        let gone = timeout(Duration::from_millis(20), stream.read(&mut [0; 8])).await;
        closed += u32::from(matches!(gone, Ok(Ok(0) | Err(_))));
    }
    assert!(closed >= 236, "{closed} of 300 closed");
    drop(silent);

    // Broken, truncated and oversize.
    for way in 0..200_u8 {
        let mut stream = TcpStream::connect(door).await?;
        let mut junk: Vec<u8> = (0..4_000).map(|_| rand::random()).collect();
        junk[0] = if way % 2 == 0 { 3 } else { junk[0] };
        // After a good handshake: a message of 16 MB on each chunk stream.
        if way % 4 == 0 {
            junk.truncate(1 + 2 * 1536);
            for id in 3..40 {
                junk.extend([id, 0, 0, 0, 0xff, 0xff, 0xff, 9, 1, 0, 0, 0]);
            }
        }
        // Cut off whenever the server likes.
        let _ = stream.write_all(&junk).await;
    }

    // Wrong keys, one after the other: slower and slower.
    let begun = Instant::now();
    let mut waits = Vec::new();
    for _ in 0..8 {
        let began = Instant::now();
        let mut stream = strangers::rtmp(&server, Server::HOST, "1000-wrong").await?;
        let mut said = Vec::new();
        timeout(SOON, stream.read_to_end(&mut said)).await??;
        // In one chunk or cut by a chunk's header: the description comes behind the code.
        assert!(String::from_utf8_lossy(&said).contains("NetStream.Publish.BadName"));
        waits.push(began.elapsed());
    }
    println!("rtmp: eight wrong keys in {:?}: {waits:?}", begun.elapsed());
    assert!(waits[7] > waits[0] && waits[7] > Duration::from_secs(1), "{waits:?}");

    let report = viewer.watch().more(50, SOON).await?;
    report.check_continuous(FRAME_TICKS)?;
    let grown = server.resident_kib()?.saturating_sub(resident);
    assert!(grown < 40 * 1024, "{grown} KiB more");
    publisher.finish().await?;
    server.check_health()?;
    server.stop().await
}
