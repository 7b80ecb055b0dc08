//! Asking an external service over a WebSocket that we open and keep open (`AUTH_WS_URL`).
//!
//! One JSON object per text frame. We send
//!
//! ```json
//! {"type": "check", "request": 7, "session": "…", "door": "ftl", "channel_id": 1234, "challenge": "hex",
//!  "digest": "hex", "remote": "192.0.2.1:51000", "stream_key": "hex", "status": "connecting"}
//! {"type": "start", "request": 8, …, "channel": "main", "port": 8100, "relay_port": 24000, "status": "started"}
//! {"type": "end", "request": 9, …, "reason": "disconnected", "duration_ms": 5000, "bytes": 123, "status": "ended"}
//! ```
//!
//! and expect an answer to `check` only: `{"request": 7, "verdict": "allow" | "deny", "reason"?, "channel"?, "name"?}`
//! or `{"request": 7, "secret": "…", "channel"?}`, then we compare the digest ourselves.
//! `stream_key` repeats the digest under the name that services written for Project ITG look at: it stays the same
//! from the check to the end of a publication. It is not the key.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures_util::{
    SinkExt as _, StreamExt as _,
    future::{BoxFuture, FutureExt as _},
};
use heliograph_relay::ChannelName;
use serde::{Deserialize, Serialize};
use tokio::{
    net::TcpStream,
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

use super::{
    Attempt, Authoriser, CHECK_DEADLINE, Door, Ending, Publication, SessionId, Verdict,
    answer::Answer,
    service_url::{BadServiceUrl, ServiceKind, ServiceUrl},
};

/// Where the service is.
#[derive(Clone, Debug)]
pub struct WsAuthoriserSettings {
    /// For example `wss://auth.example/publishers`.
    pub url: String,
    /// Allow `ws://` off this machine.
    pub allow_plain: bool,
}

/// An [`Authoriser`] on the other end of a WebSocket.
///
/// The connection is opened at once and again whenever it breaks. While it is down, attempts wait for it until their
/// deadline and then hear "server trouble"; start and end events wait in a bounded queue.
#[derive(Debug)]
pub struct WsAuthoriser {
    url: ServiceUrl,
    orders: mpsc::Sender<Order>,
    next_request: AtomicU64,
}

impl WsAuthoriser {
    /// Checks the settings and starts connecting. Needs a tokio runtime.
    pub fn start(settings: &WsAuthoriserSettings) -> Result<Self, BadServiceUrl> {
        let url = ServiceUrl::parse(&settings.url, ServiceKind::WebSocket, settings.allow_plain)?;
        let (orders, queue) = mpsc::channel(MAX_QUEUED);
        tokio::spawn(Connector { url: url.clone(), queue, waiting: HashMap::new() }.run());
        Ok(Self { url, orders, next_request: AtomicU64::new(1) })
    }

    fn text<'a>(&self, fields: Fields<'a>) -> (u64, String) {
        let request = self.next_request.fetch_add(1, Ordering::Relaxed);
        let text = serde_json::to_string(&Numbered { request, fields }).expect("plain fields serialise");
        (request, text)
    }

    async fn ask(&self, attempt: &Attempt) -> Verdict {
        let (request, text) = self.text(Fields::of_attempt(attempt));
        let (reply, answer) = oneshot::channel();
        let order = Order { text, kind: OrderKind::Ask { request, reply } };
        if self.orders.try_send(order).is_err() {
            return Verdict::unavailable(format!("{}: too many requests are waiting", self.url));
        }
        match timeout(CHECK_DEADLINE, answer).await {
            Ok(Ok(answer)) => answer.decide(attempt),
            Ok(Err(_)) => Verdict::unavailable(format!("{}: too many requests are waiting", self.url)),
            Err(_) => Verdict::unavailable(format!("{}: no answer in {CHECK_DEADLINE:?}", self.url)),
        }
    }

    /// Resolves when the message is written, or soon after if it has to wait for a connection.
    async fn tell(&self, fields: Fields<'_>) {
        let (_, text) = self.text(fields);
        let (written, done) = oneshot::channel();
        let order = Order { text, kind: OrderKind::Tell { written } };
        if self.orders.try_send(order).is_err() {
            tracing::warn!(service = %self.url, "the authorisation service misses an event: too many are waiting");
            return;
        }
        let _ = timeout(TELL_WAIT, done).await;
    }
}

impl Authoriser for WsAuthoriser {
    fn check(&self, attempt: Attempt) -> BoxFuture<'_, Verdict> {
        async move { self.ask(&attempt).await }.boxed()
    }

    fn started(&self, publication: Publication) -> BoxFuture<'_, ()> {
        async move { self.tell(Fields::of_publication("start", "started", &publication)).await }.boxed()
    }

    fn ended(&self, publication: Publication, ending: Ending) -> BoxFuture<'_, ()> {
        async move {
            let fields = Fields {
                reason: Some(ending.reason.code()),
                duration_ms: Some(u64::try_from(ending.duration.as_millis()).unwrap_or(u64::MAX)),
                bytes: Some(ending.bytes),
                ..Fields::of_publication("end", "ended", &publication)
            };
            self.tell(fields).await;
        }
        .boxed()
    }
}

#[derive(Serialize)]
struct Numbered<'a> {
    request: u64,
    #[serde(flatten)]
    fields: Fields<'a>,
}

#[derive(Serialize)]
struct Fields<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    status: &'static str,
    stream_key: String,
    session: String,
    door: String,
    channel_id: u32,
    remote: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    challenge: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a ChannelName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    relay_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

impl<'a> Fields<'a> {
    fn of_attempt(attempt: &Attempt) -> Self {
        Self {
            challenge: Some(hex::encode(&attempt.challenge)),
            digest: Some(hex::encode(attempt.digest)),
            ..Self::common(
                ("check", "connecting"),
                attempt.session,
                attempt.door,
                attempt.channel_id,
                attempt.remote,
                &attempt.digest,
            )
        }
    }

    fn of_publication(kind: &'static str, status: &'static str, publication: &'a Publication) -> Self {
        Self {
            channel: Some(&publication.channel),
            port: publication.port,
            relay_port: publication.relay_port,
            ..Self::common(
                (kind, status),
                publication.session,
                publication.door,
                publication.channel_id,
                publication.remote,
                &publication.digest,
            )
        }
    }

    fn common(
        (kind, status): (&'static str, &'static str),
        session: SessionId,
        door: Door,
        channel_id: u32,
        remote: std::net::SocketAddr,
        digest: &[u8],
    ) -> Self {
        Self {
            kind,
            status,
            stream_key: hex::encode(digest),
            session: session.to_string(),
            door: door.to_string(),
            channel_id,
            remote: remote.to_string(),
            challenge: None,
            digest: None,
            channel: None,
            port: None,
            relay_port: None,
            reason: None,
            duration_ms: None,
            bytes: None,
        }
    }
}

/// Something to send.
#[derive(Debug)]
struct Order {
    text: String,
    kind: OrderKind,
}

#[derive(Debug)]
enum OrderKind {
    Ask { request: u64, reply: oneshot::Sender<Answer> },
    Tell { written: oneshot::Sender<()> },
}

#[derive(Deserialize)]
struct NumberedAnswer {
    request: u64,
    #[serde(flatten)]
    answer: Answer,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Owns the connection.
struct Connector {
    url: ServiceUrl,
    queue: mpsc::Receiver<Order>,
    waiting: HashMap<u64, (String, oneshot::Sender<Answer>)>,
}

/// Why the work on a connection stopped.
enum Stop {
    /// Nobody needs it any more.
    Unneeded,
    /// It broke. An order that could not be written goes out on the next one.
    Broken { why: String, unsent: Option<Order> },
}

impl Connector {
    async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        let mut reported = false;
        let mut unsent = None;
        loop {
            match self.connect().await {
                Ok(socket) => {
                    tracing::info!(service = %self.url, "connected to the authorisation service");
                    (pause, reported) = (FIRST_PAUSE, false);
                    match self.serve(socket, unsent.take()).await {
                        Stop::Unneeded => return,
                        Stop::Broken { why, unsent: order } => {
                            tracing::warn!(service = %self.url, %why, "lost the authorisation service");
                            unsent = order;
                        }
                    }
                }
                Err(why) if !reported => {
                    tracing::warn!(service = %self.url, %why, "cannot reach the authorisation service");
                    reported = true;
                }
                Err(_) => {}
            }
            if self.queue.is_closed() {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn connect(&self) -> Result<Socket, String> {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_ANSWER_BYTES))
            .max_frame_size(Some(MAX_ANSWER_BYTES))
            .read_buffer_size(4096)
            .write_buffer_size(4096);
        let connecting = connect_async_with_config(self.url.reveal().as_str(), Some(config), true);
        match timeout(CONNECT_DEADLINE, connecting).await {
            Ok(Ok((socket, _response))) => Ok(socket),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("no answer".to_owned()),
        }
    }

    async fn serve(&mut self, mut socket: Socket, unsent: Option<Order>) -> Stop {
        // What was asked on a connection that broke is asked again: request ids make that harmless.
        self.waiting.retain(|_, (_, reply)| !reply.is_closed());
        for (text, _) in self.waiting.values() {
            if let Err(error) = send(&mut socket, text).await {
                return Stop::Broken { why: error, unsent };
            }
        }
        if let Some(order) = unsent
            && let Err((why, order)) = self.carry_out(&mut socket, order).await
        {
            return Stop::Broken { why, unsent: Some(order) };
        }
        let mut keepalive = interval_at(Instant::now() + KEEPALIVE, KEEPALIVE);
        keepalive.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                order = self.queue.recv() => match order {
                    None => {
                        let _ = timeout(TELL_WAIT, socket.close(None)).await;
                        return Stop::Unneeded;
                    }
                    Some(order) => if let Err((why, order)) = self.carry_out(&mut socket, order).await {
                        return Stop::Broken { why, unsent: Some(order) };
                    }
                },
                message = socket.next() => match message {
                    None => return Stop::Broken { why: "closed by the service".to_owned(), unsent: None },
                    Some(Err(error)) => return Stop::Broken { why: error.to_string(), unsent: None },
                    Some(Ok(message)) => {
                        heard = Instant::now();
                        if let Message::Text(text) = message {
                            self.on_text(&text);
                        }
                    }
                },
                _ = keepalive.tick() => {
                    if heard.elapsed() > KEEPALIVE * 5 / 2 {
                        return Stop::Broken { why: "silent".to_owned(), unsent: None };
                    }
                    if let Err(error) = socket.send(Message::Ping(Vec::new().into())).await {
                        return Stop::Broken { why: error.to_string(), unsent: None };
                    }
                }
            }
        }
    }

    async fn carry_out(&mut self, socket: &mut Socket, order: Order) -> Result<(), (String, Order)> {
        if let OrderKind::Ask { reply, .. } = &order.kind
            && reply.is_closed()
        {
            return Ok(()); // Nobody waits for it any more.
        }
        if let Err(why) = send(socket, &order.text).await {
            return Err((why, order));
        }
        match order.kind {
            OrderKind::Tell { written } => drop(written.send(())),
            OrderKind::Ask { request, reply } => {
                self.waiting.retain(|_, (_, reply)| !reply.is_closed());
                if self.waiting.len() < MAX_QUEUED {
                    self.waiting.insert(request, (order.text, reply));
                }
            }
        }
        Ok(())
    }

    fn on_text(&mut self, text: &str) {
        // Services may answer events or speak of other things: only an answer to an open request counts.
        let Ok(NumberedAnswer { request, answer }) = serde_json::from_str(text) else {
            tracing::debug!(service = %self.url, "ignored a message without a usable answer");
            return;
        };
        if let Some((_, reply)) = self.waiting.remove(&request) {
            let _ = reply.send(answer);
        }
    }
}

async fn send(socket: &mut Socket, text: &str) -> Result<(), String> {
    match timeout(CHECK_DEADLINE, socket.send(Message::text(text))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the service does not read".to_owned()),
    }
}

const MAX_ANSWER_BYTES: usize = 16 * 1024;
const MAX_QUEUED: usize = 256;
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
const CONNECT_DEADLINE: Duration = Duration::from_secs(3);
const KEEPALIVE: Duration = Duration::from_secs(20);
const TELL_WAIT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use tokio::net::TcpListener;

    use super::*;
    use crate::{Secret, auth::digest};

    fn attempt() -> Attempt {
        let challenge = vec![5; 128];
        let digest = digest::digest(&Secret::new("right").unwrap(), &challenge);
        let remote = "192.0.2.7:51000".parse().unwrap();
        Attempt { session: SessionId(0xab), channel_id: 7, door: Door::Ftl, challenge, digest, remote }
    }

    /// A service that answers each check with `answer(request number)`, and nothing when that is empty.
    async fn service(answer: impl Fn(u64) -> String + Send + 'static) -> WsAuthoriser {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
                while let Some(Ok(Message::Text(text))) = socket.next().await {
                    let message: serde_json::Value = serde_json::from_str(&text).unwrap();
                    let text = answer(message["request"].as_u64().unwrap());
                    if text == "break" {
                        break;
                    }
                    if !text.is_empty() {
                        socket.send(Message::text(text)).await.unwrap();
                    }
                }
            }
        });
        WsAuthoriser::start(&WsAuthoriserSettings { url, allow_plain: false }).unwrap()
    }

    #[test]
    fn old_field_names_and_new_ones() {
        let text = serde_json::to_value(Fields::of_attempt(&attempt())).unwrap();
        let digest = hex::encode(attempt().digest);
        assert_eq!(text["stream_key"], digest);
        assert_eq!(text["digest"], digest);
        assert_eq!(text["status"], "connecting");
        assert_eq!((&text["channel_id"], &text["session"]), (&7.into(), &"00000000000000ab".into()));
        assert_eq!(text["challenge"], "05".repeat(128));
        assert_eq!(text["remote"], "192.0.2.7:51000");
    }

    #[tokio::test]
    async fn silence_is_unavailable_in_three_seconds() {
        let authoriser = service(|_| String::new()).await;
        let begun = Instant::now();
        assert!(matches!(authoriser.check(attempt()).await, Verdict::Unavailable { .. }));
        assert!((2900..4500).contains(&begun.elapsed().as_millis()));
    }

    #[tokio::test]
    async fn only_the_answer_to_the_request_counts() {
        let others = |request| format!(r#"{{"request":{},"verdict":"allow"}}"#, request + 1);
        let authoriser = service(others).await;
        assert!(matches!(authoriser.check(attempt()).await, Verdict::Unavailable { .. }));
    }

    #[tokio::test]
    async fn a_check_survives_a_broken_connection() {
        let calls = std::sync::atomic::AtomicU32::new(0);
        let authoriser = service(move |request| match calls.fetch_add(1, Ordering::Relaxed) {
            0 => "break".to_owned(),
            _ => format!(r#"{{"request":{request},"verdict":"allow"}}"#),
        })
        .await;
        assert!(matches!(authoriser.check(attempt()).await, Verdict::Allow { .. }));
    }

    #[tokio::test]
    async fn a_huge_answer_is_not_read() {
        let authoriser = service(|request| {
            format!(r#"{{"request":{request},"verdict":"allow","x":"{}"}}"#, "x".repeat(20_000))
        })
        .await;
        assert!(matches!(authoriser.check(attempt()).await, Verdict::Unavailable { .. }));
    }
}
