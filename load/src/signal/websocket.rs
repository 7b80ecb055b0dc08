//! The server's WebSocket: it offers, we answer, and the socket stays open as long as the viewer watches.

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, sync::oneshot, task::JoinHandle};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config, tungstenite::Message};

use super::server::Server;
use crate::{error::JoinError, viewer::peer::Peer, watched::Place};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Reads news and answers pings until it is closed.
#[derive(Debug)]
pub(crate) struct Keeper {
    close: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Keeper {
    pub(super) async fn close(self) {
        // Whoever is not there any more has closed already.
        let _ = self.close.send(());
        let _ = self.task.await;
    }
}

/// Joins; `answer` makes a peer connection and its description from an offer.
pub(super) async fn join(
    server: &Server,
    place: &Place,
    answer: impl Fn(&str) -> Result<(Peer, String), JoinError>,
) -> Result<(Peer, Keeper), JoinError> {
    let url = server.websocket_url(place);
    let (mut socket, _) =
        connect_async_with_config(url.as_str(), None, true).await.map_err(JoinError::signaling)?;
    let offer = wait_for_offer(&mut socket).await?;
    let (peer, answer) = answer(&offer)?;
    let answer = json!({ "event": "answer", "data": { "type": "answer", "sdp": answer } });
    socket.send(Message::text(answer.to_string())).await.map_err(JoinError::signaling)?;
    let (close, closed) = oneshot::channel();
    Ok((peer, Keeper { close, task: tokio::spawn(keep(socket, closed)) }))
}

async fn wait_for_offer(socket: &mut Socket) -> Result<String, JoinError> {
    while let Some(message) = socket.next().await {
        let Message::Text(text) = message.map_err(JoinError::signaling)? else { continue };
        let message: Value = serde_json::from_str(&text).map_err(JoinError::signaling)?;
        match message["event"].as_str() {
            Some("offer") => {
                let sdp = message["data"]["sdp"].as_str();
                return sdp.map(str::to_owned).ok_or_else(|| JoinError::signaling("an offer without SDP"));
            }
            Some("error" | "close") => return Err(JoinError::Refused(message["data"].to_string())),
            _ => {}
        }
    }
    Err(JoinError::signaling("the server closed the WebSocket before its offer"))
}

/// Reading is what answers pings.
async fn keep(mut socket: Socket, mut closed: oneshot::Receiver<()>) {
    loop {
        tokio::select! {
            _ = &mut closed => break,
            message = socket.next() => match message {
                Some(Ok(_)) => {}
                // The viewer's own checks tell whether the session is over as well.
                Some(Err(_)) | None => return,
            },
        }
    }
    // The other side may have been faster.
    let _ = socket.close(None).await;
}
