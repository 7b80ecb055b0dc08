//! A small external authorisation service: a WebSocket server that answers with each channel's secret.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};
use tokio_tungstenite::{accept_async, tungstenite::Message};

/// A running service; it remembers everything it was told.
#[derive(Debug)]
pub struct AuthService {
    address: SocketAddr,
    messages: mpsc::UnboundedReceiver<Value>,
    task: JoinHandle<()>,
}

impl AuthService {
    /// Starts one that knows a single secret for every channel.
    pub async fn start(secret: &'static str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (told, messages) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let told = told.clone();
                tokio::spawn(async move {
                    let Ok(mut socket) = accept_async(stream).await else { return };
                    while let Some(Ok(message)) = socket.next().await {
                        let Message::Text(text) = message else { continue };
                        let Ok(message) = serde_json::from_str::<Value>(&text) else { continue };
                        if message["type"] == "check" {
                            let answer = json!({ "request": message["request"], "secret": secret, "channel": "outside" });
                            if socket.send(Message::text(answer.to_string())).await.is_err() {
                                return;
                            }
                        }
                        // Nobody may be listening any more.
                        let _ = told.send(message);
                    }
                });
            }
        });
        Ok(Self { address, messages, task })
    }

    /// For `AUTH_WS_URL`.
    pub fn url(&self) -> String {
        format!("ws://{}/auth", self.address)
    }

    /// The next message of a kind: `check`, `start` or `end`.
    pub async fn next(&mut self, kind: &str) -> anyhow::Result<Value> {
        let next = async {
            loop {
                let message = self.messages.recv().await?;
                if message["type"] == kind {
                    return Some(message);
                }
            }
        };
        let told = tokio::time::timeout(Duration::from_secs(10), next).await;
        told.ok().flatten().with_context(|| format!("the service was never told `{kind}`"))
    }
}

impl Drop for AuthService {
    fn drop(&mut self) {
        self.task.abort();
    }
}
