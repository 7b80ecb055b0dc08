//! External authorisers, against the sample service of `docs/examples/auth-service` as it is shipped.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use heliograph_ingest::{
    Secret,
    auth::{
        Attempt, Authoriser, Door, HttpAuthoriser, HttpAuthoriserSettings, SessionId, Verdict, WsAuthoriser,
        WsAuthoriserSettings, digest,
    },
    ftl::{
        FtlServer,
        client::{ClientError, ClientSettings, FtlClient, StreamKey},
    },
    house::{House, HouseSettings},
};
use serde_json::Value;
use support::*;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

const CHANNELS: &str = r#"{
    "1234": {"secret": "pass-word_1", "channel": "main", "name": "Main stage"},
    "3000000000": {"secret": "big", "channel": "big"}
}"#;

/// The sample service, and the lines it printed.
struct Service {
    _process: Child,
    lines: Arc<Mutex<Vec<Value>>>,
    port: u16,
    channels: std::path::PathBuf,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.channels);
    }
}

impl Service {
    async fn start(options: &[&str]) -> Self {
        Self::on_port(0, options, None).await
    }

    async fn on_port(port: u16, options: &[&str], token: Option<&str>) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/examples/auth-service/auth_service.py");
        let channels =
            std::env::temp_dir().join(format!("heliograph-channels-{:016x}.json", rand::random::<u64>()));
        std::fs::write(&channels, CHANNELS).unwrap();
        let mut command = Command::new("python3");
        command.arg(script).arg("--channels").arg(&channels).args(["--listen", &format!("127.0.0.1:{port}")]);
        command.args(options).stdout(Stdio::piped()).kill_on_drop(true);
        if let Some(token) = token {
            command.env("AUTH_TOKEN", token);
        }
        let mut process = command.spawn().expect("python3 runs the sample service");
        let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        tokio::spawn(async move {
            while let Ok(Some(line)) = output.next_line().await {
                sink.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        let mut service = Self { _process: process, lines, port: 0, channels };
        let listening = service.line("listening").await;
        service.port = listening["port"].as_u64().unwrap().try_into().unwrap();
        service
    }

    async fn line(&self, event: &str) -> Value {
        eventually(event, || self.lines.lock().unwrap().iter().find(|line| line["event"] == event).cloned())
            .await
    }

    fn websocket(&self) -> WsAuthoriser {
        let url = format!("ws://127.0.0.1:{}/publishers", self.port);
        WsAuthoriser::start(&WsAuthoriserSettings { url, allow_plain: false }).unwrap()
    }

    fn http(&self, token: Option<&str>) -> HttpAuthoriser {
        let url = format!("http://127.0.0.1:{}", self.port);
        let authorization = token.map(|token| Secret::new(token).unwrap());
        HttpAuthoriser::new(&HttpAuthoriserSettings { url, authorization, allow_plain: false }).unwrap()
    }
}

fn attempt(id: u32, secret: &str) -> Attempt {
    let challenge = vec![5; 128];
    let digest = digest::digest(&Secret::new(secret).unwrap(), &challenge);
    let session = SessionId(rand::random());
    let remote = "192.0.2.7:51000".parse().unwrap();
    Attempt { session, channel_id: id, door: Door::Ftl, challenge, digest, remote }
}

/// Asks about right keys, wrong keys and unknown channels.
async fn check_all(authoriser: &dyn Authoriser) {
    let Verdict::Allow { channel, name } = authoriser.check(attempt(1234, "pass-word_1")).await else {
        panic!("a right key is let in");
    };
    assert_eq!((channel.as_str(), name.as_deref()), ("main", Some("Main stage")));
    let Verdict::Allow { channel, name: None } = authoriser.check(attempt(3_000_000_000, "big")).await else {
        panic!("ids above 2^31, too");
    };
    assert_eq!(channel.as_str(), "big");
    for wrong in [attempt(1234, "wrong"), attempt(1234, "big"), attempt(77, "pass-word_1")] {
        let verdict = authoriser.check(wrong).await;
        assert!(matches!(verdict, Verdict::Deny { .. }), "{verdict:?}");
    }
}

#[tokio::test]
async fn bug_c_a_websocket_service_can_check_what_it_is_sent() {
    let service = Service::start(&[]).await;
    check_all(&service.websocket()).await;
    assert_eq!(service.line("check").await["remote"], "192.0.2.7:51000");
}

#[tokio::test]
async fn a_websocket_service_that_gives_secrets() {
    let service = Service::start(&["--give-secrets"]).await;
    check_all(&service.websocket()).await;
}

#[tokio::test]
async fn an_http_service() {
    let service = Service::start(&[]).await;
    check_all(&service.http(None)).await;
}

#[tokio::test]
async fn a_token_is_sent_and_its_absence_is_no_yes() {
    let service = Service::on_port(0, &[], Some("Bearer t0ken")).await;
    check_all(&service.http(Some("Bearer t0ken"))).await;
    let verdict = service.http(None).check(attempt(1234, "pass-word_1")).await;
    assert!(!matches!(verdict, Verdict::Allow { .. }), "{verdict:?}");
}

/// A whole publication through the FTL door.
async fn publish(service: &Service, authoriser: Arc<dyn Authoriser>) {
    let relay = FakeRelay::new();
    let house = HouseSettings { metadata_interval: Duration::from_millis(300), ..HouseSettings::default() };
    let house = House::new(house, authoriser, relay.clone());
    let server = FtlServer::start(settings(), house).unwrap();
    let port = server.local_addrs()[0].port();
    let connect = |key: &str| {
        let settings = ClientSettings::new(StreamKey::parse(key).unwrap());
        FtlClient::connect("127.0.0.1", port, settings)
    };
    let Err(ClientError::Refused(refusal)) = connect("1234-wrong").await else { panic!("let in") };
    assert_eq!(refusal.code, 405);
    let client = connect("1234-pass-word_1").await.unwrap();
    for frame in 0..60 {
        let time = Duration::from_millis(20) * frame;
        client.audio(time, Bytes::from_static(OPUS)).await.unwrap();
        client.video(time, [SPS, PPS, IDR].map(Bytes::from_static).to_vec()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let start = service.line("start").await;
    assert_eq!(start["channel_id"], 1234);
    client.disconnect().await;
    let end = service.line("end").await;
    assert_eq!((&end["channel_id"], &end["reason"]), (&1234.into(), &"disconnected".into()));
    assert!(end["bytes"].as_u64().unwrap() > 1000);
    assert!(end["port"].as_u64().is_some());
    let printed = format!("{:?}", service.lines.lock().unwrap());
    assert!(!printed.contains("pass-word"), "{printed}");
}

#[tokio::test]
async fn a_publication_is_reported_over_websocket() {
    let service = Service::start(&[]).await;
    publish(&service, Arc::new(service.websocket())).await;
    let (start, end) = (service.line("start").await, service.line("end").await);
    assert_eq!((&start["channel"], &start["status"]), (&"main".into(), &"started".into()));
    assert_eq!((&start["session"], &start["port"]), (&end["session"], &end["port"]));
    assert!(start["relay_port"].as_u64().is_some());
    assert_eq!(end["status"], "ended");
    assert!(end["duration_ms"].as_u64().unwrap() > 1000);
}

#[tokio::test]
async fn a_publication_is_reported_over_http() {
    let service = Service::start(&[]).await;
    publish(&service, Arc::new(service.http(None))).await;
    let metadata = service.line("metadata").await;
    assert_eq!(metadata["videoCodec"], "H264");
    assert!(metadata["recvPackets"].as_u64().unwrap() > 0);
    assert!(service.line("end").await["durationSeconds"].as_f64().unwrap() > 1.0);
}

#[tokio::test]
async fn bug_d_the_service_is_where_the_settings_say_and_may_be_restarted() {
    let service = Service::start(&[]).await;
    let port = service.port;
    let authoriser = service.websocket();
    check_all(&authoriser).await;
    drop(service);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begun = Instant::now();
    let verdict = authoriser.check(attempt(1234, "pass-word_1")).await;
    assert!(matches!(verdict, Verdict::Unavailable { .. }), "never yes: {verdict:?}");
    assert!(begun.elapsed() < Duration::from_millis(4500));
    let _service = Service::on_port(port, &[], None).await;
    // Waits for the connection within its own deadline, or the one after does.
    let again = authoriser.check(attempt(1234, "pass-word_1")).await;
    let verdict = match again {
        Verdict::Unavailable { .. } => authoriser.check(attempt(1234, "pass-word_1")).await,
        verdict => verdict,
    };
    assert!(matches!(verdict, Verdict::Allow { .. }), "{verdict:?}");
}

#[tokio::test]
async fn nobody_there_is_never_yes() {
    let ws = WsAuthoriserSettings { url: "ws://127.0.0.1:1/x".to_owned(), allow_plain: false };
    let http = HttpAuthoriserSettings {
        url: "http://127.0.0.1:1".to_owned(),
        authorization: None,
        allow_plain: false,
    };
    let authorisers: [&dyn Authoriser; 2] =
        [&WsAuthoriser::start(&ws).unwrap(), &HttpAuthoriser::new(&http).unwrap()];
    for authoriser in authorisers {
        let begun = Instant::now();
        let verdict = authoriser.check(attempt(1234, "pass-word_1")).await;
        assert!(matches!(verdict, Verdict::Unavailable { .. }), "{verdict:?}");
        assert!(begun.elapsed() < Duration::from_millis(4500));
    }
}
