//! A page's end of the WebSocket, on a real connection.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use axum::{
    extract::{ConnectInfo, Request, connect_info::Connected},
    middleware::{self, Next},
    serve::IncomingStream,
};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{self, Message, protocol::CloseFrame},
};

use super::{
    fake_relay::FakeRelay,
    requests::{public, settings},
};
use crate::{ConnectionAddresses, SignalingSettings};

/// Both ends of a connection, as the program's own listeners note them.
#[derive(Clone, Copy)]
struct Ends(ConnectionAddresses);

impl Connected<IncomingStream<'_, tokio::net::TcpListener>> for Ends {
    fn connect_info(stream: IncomingStream<'_, tokio::net::TcpListener>) -> Self {
        let local = stream.io().local_addr().unwrap();
        Self(ConnectionAddresses { remote: *stream.remote_addr(), local })
    }
}

/// A public listener on loopback.
pub(super) struct Site {
    pub(super) relay: Arc<FakeRelay>,
    pub(super) settings: Arc<SignalingSettings>,
    pub(super) address: SocketAddr,
}

impl Site {
    pub(super) fn open(change: impl FnOnce(&mut SignalingSettings)) -> Self {
        let relay = FakeRelay::new();
        let settings = settings(change);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let router = public(&relay, Arc::clone(&settings));
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let router = router.layer(middleware::from_fn(
            async |ConnectInfo(Ends(ends)): ConnectInfo<Ends>, mut request: Request, next: Next| {
                request.extensions_mut().insert(ends);
                next.run(request).await
            },
        ));
        let service = router.into_make_service_with_connect_info::<Ends>();
        tokio::spawn(axum::serve(listener, service).into_future());
        Self { relay, settings, address }
    }

    pub(super) async fn join(&self, query: &str) -> Page {
        self.try_join(query).await.unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    pub(super) async fn try_join(&self, query: &str) -> Result<Page, tungstenite::Error> {
        let (socket, _) = connect_async(format!("ws://{}/websocket{query}", self.address)).await?;
        Ok(Page(socket))
    }

    /// The status and body of a refused upgrade.
    pub(super) async fn refused(&self, query: &str) -> (u16, String) {
        match self.try_join(query).await {
            Err(tungstenite::Error::Http(response)) => {
                let body = response.body().clone().unwrap_or_default();
                (response.status().as_u16(), String::from_utf8(body).unwrap())
            }
            Err(error) => panic!("{query}: {error}"),
            Ok(_) => panic!("{query} was let in"),
        }
    }
}

pub(super) struct Page(pub(super) WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Page {
    pub(super) async fn frame(&mut self) -> Option<Message> {
        let frame = timeout(Duration::from_secs(10), self.0.next()).await.expect("a frame in time")?;
        frame.ok()
    }

    /// The next event, as (name, data).
    pub(super) async fn event(&mut self) -> (String, Value) {
        loop {
            match self.frame().await {
                Some(Message::Text(text)) => {
                    let mut message: Value = serde_json::from_str(&text).unwrap();
                    let name = message["event"].as_str().unwrap().to_owned();
                    return (name, message["data"].take());
                }
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("an event, not {other:?}"),
            }
        }
    }

    #[track_caller]
    pub(super) fn expect(&mut self, name: &str) -> impl Future<Output = Value> {
        let name = name.to_owned();
        async move {
            let (event, data) = self.event().await;
            assert_eq!(event, name, "{data}");
            data
        }
    }

    pub(super) async fn expect_state(&mut self, state: &str) {
        assert_eq!(self.expect("state").await["state"], state);
    }

    /// The `close` event and the close frame behind it.
    pub(super) async fn expect_close(&mut self, code: &str, status: u16) {
        let data = self.expect("close").await;
        assert_eq!(data["code"], code, "{data}");
        assert!(data["message"].as_str().is_some_and(|message| message.len() > 5));
        let frame = loop {
            match self.frame().await {
                Some(Message::Close(Some(CloseFrame { code, reason }))) => break (u16::from(code), reason),
                Some(Message::Ping(_)) => {}
                other => panic!("a close frame, not {other:?}"),
            }
        };
        assert_eq!((frame.0, frame.1.as_str()), (status, code));
    }

    /// The same, announced by an `error` event.
    pub(super) async fn expect_error_and_close(&mut self, code: &str, status: u16) {
        assert_eq!(self.expect("error").await["code"], code);
        self.expect_close(code, status).await;
    }

    pub(super) async fn say(&mut self, message: &Value) {
        self.say_text(&message.to_string()).await;
    }

    pub(super) async fn say_text(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    pub(super) async fn answer(&mut self) {
        self.say(&json!({"event": "answer", "data": {"type": "answer", "sdp": "v=0\r\nanswer"}})).await;
    }
}
