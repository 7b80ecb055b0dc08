#![allow(clippy::unwrap_used, reason = "tests")]
use tokio::net::TcpListener;

use super::*;
use crate::ftl::client::{PingForm, StreamKey, ping};

/// A scripted server: answers the handshake, then hands over both sockets.
async fn serve(listener: TcpListener) -> (TcpStream, UdpSocket) {
    let (mut stream, peer) = listener.accept().await.unwrap();
    let media = UdpSocket::bind((peer.ip(), 0)).await.unwrap();
    read_until(&mut stream, "HMAC\r\n\r\n").await;
    stream.write_all(b"200 00ff\n").await.unwrap();
    assert!(read_until(&mut stream, "\r\n\r\n").await.starts_with("CONNECT 7 $"));
    stream.write_all(b"200\n").await.unwrap();
    read_until(&mut stream, ".\r\n\r\n").await;
    let port = media.local_addr().unwrap().port();
    stream.write_all(format!("200 hi. Use UDP port {port}\n").as_bytes()).await.unwrap();
    (stream, media)
}

async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.ends_with(end) {
        text.push(char::from(stream.read_u8().await.unwrap()));
    }
    text
}

async fn connected(settings: ClientSettings) -> (FtlClient, TcpStream, UdpSocket) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (client, (stream, media)) =
        tokio::join!(FtlClient::connect("127.0.0.1", port, settings), serve(listener));
    (client.unwrap(), stream, media)
}

fn settings() -> ClientSettings {
    ClientSettings::new(StreamKey::parse("7-secret").unwrap())
}

/// The next datagram of a kind.
async fn next(media: &UdpSocket, wanted: impl Fn(&[u8]) -> bool) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 2048];
    loop {
        let (len, from) = media.recv_from(&mut buffer).await.unwrap();
        if wanted(&buffer[..len]) {
            return (buffer[..len].to_vec(), from);
        }
    }
}

#[tokio::test]
async fn media_flows_pings_are_measured_and_disconnect_is_said() {
    let (client, mut stream, media) = connected(settings()).await;
    let (echo, from) = next(&media, ping::is_ping).await;
    media.send_to(&echo, from).await.unwrap();
    client.stats.clone().wait_for(|stats| stats.round_trip.is_some()).await.unwrap();
    client.audio(Duration::ZERO, Bytes::from_static(&[0xfc, 0])).await.unwrap();
    let nals =
        vec![Bytes::from_static(&[0x67, 1]), Bytes::from_static(&[0x68, 1]), Bytes::from_static(&[0x65, 1])];
    client.video(Duration::ZERO, nals).await.unwrap();
    let (first, from) = next(&media, |datagram| datagram[1] & 0x7f == 96).await;
    assert_eq!(hex::encode(&first), "806000000000000000000008".to_owned() + "6701");
    assert_eq!(from, client.local_media_addr());
    let stats = client.disconnect().await;
    assert_eq!(stats.video_packets, 3);
    assert!(stats.round_trip.is_some_and(|round_trip| round_trip < Duration::from_secs(1)));
    assert_eq!(read_until(&mut stream, "\r\n\r\n").await, "DISCONNECT\r\n\r\n");
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_code_ends_the_session_with_its_meaning() {
    let (client, mut stream, _media) = connected(settings()).await;
    stream.write_all(b"410 shutting down\n").await.unwrap();
    let end = client.ended().await;
    assert!(matches!(&*end, ClientError::Ended(refusal) if refusal.code == 410), "{end}");
    assert_eq!(read_until(&mut stream, "\r\n\r\n").await, "DISCONNECT\r\n\r\n");
    let late = client.audio(Duration::ZERO, Bytes::new()).await.unwrap_err();
    assert!(matches!(&*late, ClientError::Ended(_)), "{late}");
}

#[tokio::test]
async fn dropping_vanishes_without_a_word() {
    let (client, mut stream, _media) = connected(settings()).await;
    drop(client);
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
}

#[tokio::test]
async fn silence_keeps_the_sockets_open() {
    let mut settings = settings();
    settings.media.ping_form = PingForm::Windows;
    let (client, mut stream, media) = connected(settings).await;
    assert_eq!(next(&media, ping::is_ping).await.0.len(), 12);
    client.go_silent().await.unwrap();
    client.audio(Duration::ZERO, Bytes::from_static(&[0xfc])).await.unwrap();
    // What was sent before the silence may still arrive; then nothing does.
    let quiet = Duration::from_millis(120);
    while timeout(quiet, media.recv_from(&mut [0; 2048])).await.is_ok() {}
    assert!(timeout(quiet, stream.read_u8()).await.is_err());
}

#[tokio::test]
async fn nobody_there_is_told_with_the_address() {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = FtlClient::connect("127.0.0.1", unused.port(), settings()).await.unwrap_err();
    assert!(matches!(error, ClientError::Connect { addr, .. } if addr == unused), "{error}");
}
