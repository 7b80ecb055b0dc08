//! SRT publishers that nobody here has written (ffmpeg with libsrt), and strangers at their door.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::ensure;
use heliograph_tests::{
    ffmpeg::{AAC, Ffmpeg, X264},
    scratch::Scratch,
    server::{Server, ServerPlan},
    viewer::{whep::WhepViewer, ws::WsViewer},
};
use tokio::net::UdpSocket;

use crate::turn;

const SOON: Duration = Duration::from_secs(15);
/// 25 pictures a second.
const FRAME_TICKS: u64 = 3600;

fn url(server: &Server, rest: &str) -> String {
    format!("srt://127.0.0.1:{}?{rest}", server.ports().srt())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ffmpeg_over_srt_is_watched_and_heard() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let key = server.channel(0).key_text.clone();
    for (form, audio) in [
        (format!("streamid={key}"), AAC),
        // In an address, `#!::r=one,m=publish,s=KEY`.
        (format!("streamid=%23!::r%3Done%2Cm%3Dpublish%2Cs%3D{key}&latency=60000"), "-c:a libopus -b:a 96k"),
    ] {
        let publisher = Ffmpeg::srt(&url(&server, &form), X264, audio)?;
        server.wait_for_state("one", "live", SOON).await?;
        let first = WsViewer::join(&server, "channel=one").await?;
        let report = first.watch().more(75, SOON).await?;
        report.check_complete(FRAME_TICKS)?;
        report.check_sound()?;
        let second = WhepViewer::join(&server, "/whep/one").await?;
        second.watch().more(25, SOON).await?;
        publisher.finish().await?;
        server.wait_for_state("one", "away", SOON).await?;
    }
    assert!(!server.log().contains("secretOf"), "the stream key is in the log");
    server.check_health()?;
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h265_over_srt_reaches_viewers_who_decode_it() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let h265 = "-c:v libx265 -preset ultrafast -tune zerolatency -x265-params log-level=error:keyint=25:bframes=0 \
                -b:v 800k -pix_fmt yuv420p";
    let publisher =
        Ffmpeg::srt(&url(&server, &format!("streamid={}", server.channel(0).key_text)), h265, AAC)?;
    let stream = server.wait_for_state("one", "live", SOON).await?;
    let codecs = stream["tracks"].to_string();
    assert!(codecs.contains("h265"), "{codecs}");
    let viewer = WsViewer::join(&server, "channel=one").await?;
    // x265 begins later than the sound does.
    viewer.watch().more(25, SOON).await?;
    viewer.watch().keep();
    let report = viewer.watch().more(60, SOON).await?;
    report.check_continuous(FRAME_TICKS)?;
    report.check_sound()?;
    is_decoded(&report.video.kept.unwrap_or_default())?;
    publisher.finish().await?;
    server.check_health()?;
    server.stop().await
}

/// H.265 as a viewer got it: another decoder than any here says what it sees.
pub(crate) fn is_decoded(payloads: &[Vec<u8>]) -> anyhow::Result<()> {
    let folder = Scratch::new()?;
    let file = folder.path().join("pictures.h265");
    std::fs::write(&file, byte_stream(payloads))?;
    let counted = Command::new("ffprobe")
        .args(
            "-v error -count_frames -show_entries stream=codec_name,width,nb_read_frames -of csv=p=0"
                .split(' '),
        )
        .arg(&file)
        .output()?;
    let (said, complaints) =
        (String::from_utf8_lossy(&counted.stdout), String::from_utf8_lossy(&counted.stderr));
    println!("h265: {} {complaints}", said.trim());
    let pictures: u32 = said.trim().rsplit(',').next().and_then(|last| last.parse().ok()).unwrap_or(0);
    ensure!(said.starts_with("hevc,640,") && pictures >= 20 && complaints.is_empty(), "{said} {complaints}");
    Ok(())
}

/// Payloads of RFC 7798 as a file: single units, aggregations, fragments. They may begin in the middle of a picture.
fn byte_stream(payloads: &[Vec<u8>]) -> Vec<u8> {
    const START: [u8; 4] = [0, 0, 0, 1];
    let mut out = Vec::new();
    let mut begun = false;
    // Where a unit begins of which a fragment is missing yet.
    let mut open = None;
    for payload in payloads {
        let (&[first, second], body) = payload.split_first_chunk().expect("a header");
        let kind = first >> 1 & 0x3f;
        // The video parameter set is what a decoder begins with.
        begun |= kind == 32 || kind == 48 && body[2] >> 1 == 32;
        if !begun {
            continue;
        }
        match kind {
            48 => {
                let mut rest = body;
                while let Some((&[a, b], behind)) = rest.split_first_chunk() {
                    let (unit, behind) = behind.split_at(u16::from_be_bytes([a, b]).into());
                    out.extend(START.iter().chain(unit));
                    rest = behind;
                }
            }
            49 => {
                if body[0] & 0x80 != 0 {
                    open = Some(out.len());
                    out.extend(START);
                    out.extend([first & 0x81 | (body[0] & 0x3f) << 1, second]);
                }
                out.extend(&body[1..]);
                if body[0] & 0x40 != 0 {
                    open = None;
                }
            }
            _ => out.extend(START.iter().chain(payload)),
        }
    }
    out.truncate(open.unwrap_or(out.len()));
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_srt_publisher_comes_back_to_the_same_viewers() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let url = url(&server, &format!("streamid={}", server.channel(0).key_text));
    let publisher = Ffmpeg::srt(&url, X264, AAC)?;
    server.wait_for_state("one", "live", SOON).await?;
    let viewer = WsViewer::join(&server, "channel=one").await?;
    viewer.watch().more(25, SOON).await?;
    // UDP does not tell: silence does, and the same publisher need not wait for it at all.
    publisher.kill().await?;
    let publisher = Ffmpeg::srt(&url, X264, AAC)?;
    let report = viewer.watch().more(50, SOON).await?;
    assert_eq!(report.offers, 1, "the same peer connection");
    for track in [&report.video, &report.audio] {
        assert_eq!((track.ssrcs.len(), track.lost(), track.backwards), (1, 0, 0));
    }
    // One that is gone for good is missed.
    let killed = Instant::now();
    publisher.kill().await?;
    while !server.log().contains("connection_lost") {
        ensure!(killed.elapsed() < SOON, "nobody misses the publisher");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("srt: a killed publisher is missed after {:?}", killed.elapsed());
    server.check_health()?;
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn srt_with_a_passphrase() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().flag("--srt-passphrase", "correct-horse").start().await?;
    let key = server.channel(0).key_text.clone();
    let url = |rest: &str| url(&server, &format!("streamid={key}{rest}"));
    for (wrong, words) in
        [("", "Password required or unexpected"), ("&passphrase=battery-staple", "Incorrect passphrase")]
    {
        let refused = Ffmpeg::srt(&url(wrong), X264, AAC)?;
        let said = refused.gives_up(SOON).await?;
        assert!(said.contains(words), "{words}: {said}");
    }
    for length in ["", "&pbkeylen=32"] {
        let publisher = Ffmpeg::srt(&url(&format!("&passphrase=correct-horse{length}")), X264, AAC)?;
        server.wait_for_state("one", "live", SOON).await?;
        let viewer = WsViewer::join(&server, "channel=one").await?;
        viewer.watch().more(50, SOON).await?.check_complete(FRAME_TICKS)?;
        publisher.finish().await?;
        server.wait_for_state("one", "away", SOON).await?;
    }
    server.check_health()?;
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_publish_over_srt_is_told_why() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().channels(&["one", "two"]).start().await?;
    let key = server.channel(0).key_text.clone();
    let other = server.channel(1).key_text.clone();
    let publisher = Ffmpeg::srt(&url(&server, &format!("streamid={key}")), X264, AAC)?;
    server.wait_for_state("one", "live", SOON).await?;
    // ffmpeg shows libsrt's words, which has one for all numbers of servers; those are checked beside their code.
    let server_says = "Application-defined rejection";
    for (form, video, words) in [
        ("streamid=1000-wrong".to_owned(), X264, server_says),
        (format!("streamid=two?key={key}"), X264, server_says),
        (format!("streamid={key}"), X264, server_says),
        (format!("streamid=read:{key}"), X264, server_says),
        (String::new(), X264, server_says),
        (format!("streamid={other}&passphrase=correct-horse"), X264, "Password required or unexpected"),
        // Let in, then sent away.
        (format!("streamid={other}"), "-c:v mpeg2video", ""),
    ] {
        let refused = Ffmpeg::srt(&url(&server, &form), video, AAC)?;
        let said = refused.gives_up(SOON).await?;
        println!("srt: {}", said.trim());
        assert!(said.contains(words), "{words}: {said}");
    }
    let log = server.log();
    assert!(log.contains("H.264 or H.265") && log.contains("MPEG-2 video"), "{log}");
    server.wait_for_state("one", "live", SOON).await?;
    publisher.finish().await?;
    server.check_health()?;
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_at_the_srt_door_do_not_disturb_the_broadcast() -> anyhow::Result<()> {
    let _turn = turn::alone().await;
    let mut server = ServerPlan::new().start().await?;
    let publisher =
        Ffmpeg::srt(&url(&server, &format!("streamid={}", server.channel(0).key_text)), X264, AAC)?;
    server.wait_for_state("one", "live", SOON).await?;
    let viewer = WsViewer::join(&server, "channel=one").await?;
    viewer.watch().more(25, SOON).await?;
    let resident = server.resident_kib()?;

    // Junk, and handshakes that are nearly right, from many addresses.
    let door = (Server::HOST, server.ports().srt());
    let mut answers = 0_u32;
    for _ in 0..100 {
        let stranger = UdpSocket::bind((Server::HOST, 0)).await?;
        for kind in 0..60_u8 {
            let mut junk: Vec<u8> = (0..64 + usize::from(kind) * 20).map(|_| rand::random()).collect();
            if kind % 3 != 0 {
                junk[..2].copy_from_slice(&[0x80, 0]);
                junk[16..20].copy_from_slice(&[0, 0, 0, 5]);
                let shake = if kind % 3 == 1 { [0, 0, 0, 1] } else { [0xff; 4] };
                junk[36..40].copy_from_slice(&shake);
            }
            stranger.send_to(&junk, door).await?;
        }
        // No cookie comes back to whoever asked for none.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let mut buffer = [0; 2048];
        while let Ok((length, _)) = stranger.try_recv_from(&mut buffer) {
            assert_eq!(length, 64, "no longer than the question");
            answers += 1;
        }
    }
    assert!(answers <= 100 * 20, "{answers} answers");

    let report = viewer.watch().more(50, SOON).await?;
    report.check_continuous(FRAME_TICKS)?;
    let grown = server.resident_kib()?.saturating_sub(resident);
    println!("srt: {grown} KiB more after 6000 datagrams of strangers, {answers} answers");
    assert!(grown < 20 * 1024, "{grown} KiB more");
    publisher.finish().await?;
    server.check_health()?;
    server.stop().await
}
