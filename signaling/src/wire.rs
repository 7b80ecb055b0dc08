//! One WebSocket's frames: written within a time limit, and never closed without a reason.

use std::{borrow::Cow, time::Duration};

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use bytes::Bytes;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite;

use crate::messages::{Notice, ServerMessage};

/// How long a viewer has to take note of the close frame.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why a socket ends, as told to the viewer: the `close` event, then the close frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Goodbye {
    pub(crate) code: &'static str,
    pub(crate) message: Cow<'static, str>,
    /// The status in the close frame (RFC 6455 section 7.4.1).
    pub(crate) status: u16,
    /// Also tell it as an `error` event, because it is one.
    pub(crate) is_error: bool,
}

impl Goodbye {
    /// Something ended as things do.
    pub(crate) fn normal(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), status: close_code::NORMAL, is_error: false }
    }

    /// The viewer said something that we cannot use.
    pub(crate) fn refused(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), status: close_code::POLICY, is_error: true }
    }

    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    fn notice(&self) -> Notice {
        Notice { code: self.code.to_owned(), message: self.message.clone().into_owned() }
    }
}

/// How a socket's life ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// We end it, and say why.
    Say(Goodbye),
    /// The viewer closed it or does not take anything any more.
    Gone(&'static str),
}

/// What came in.
#[derive(Debug)]
pub(crate) enum Frame {
    /// A message; binary ones are read like text, as the old server did.
    Message(Bytes),
    /// Ping or pong: a sign of life.
    Control,
}

/// A socket with a limit on how long a write may take.
pub(crate) struct Wire {
    socket: WebSocket,
    write_limit: Duration,
    /// The input cannot be read any further: what comes after a frame that is too long stays in the kernel.
    stuck: bool,
}

impl Wire {
    pub(crate) fn new(socket: WebSocket, write_limit: Duration) -> Self {
        Self { socket, write_limit, stuck: false }
    }

    pub(crate) async fn send(&mut self, message: &ServerMessage) -> Result<(), End> {
        let text = serde_json::to_string(message).expect("messages are strings and numbers");
        self.send_frame(Message::Text(text.into())).await
    }

    pub(crate) async fn ping(&mut self) -> Result<(), End> {
        self.send_frame(Message::Ping(Bytes::new())).await
    }

    async fn send_frame(&mut self, frame: Message) -> Result<(), End> {
        match timeout(self.write_limit, self.socket.send(frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone("the connection broke")),
            Err(_) => Err(End::Gone("the viewer takes nothing any more")),
        }
    }

    /// The next frame. Safe to drop and ask again.
    pub(crate) async fn receive(&mut self) -> Result<Frame, End> {
        match self.socket.recv().await {
            Some(Ok(Message::Text(text))) => Ok(Frame::Message(text.into())),
            Some(Ok(Message::Binary(bytes))) => Ok(Frame::Message(bytes)),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(Frame::Control),
            Some(Ok(Message::Close(_))) => {
                // Reading on sends the reply to the close frame.
                let _ = timeout(FAREWELL, self.socket.recv()).await;
                Err(End::Gone("the viewer left"))
            }
            Some(Err(error)) => {
                self.stuck = true;
                Err(end_of(error))
            }
            None => Err(End::Gone("the viewer left")),
        }
    }

    /// Says why, closes, and waits a moment for the other side to do the same: a connection that is cut with
    /// unread input in it may take the last words along.
    pub(crate) async fn close(mut self, goodbye: &Goodbye) {
        let said = async {
            if goodbye.is_error {
                self.send(&ServerMessage::Error(goodbye.notice())).await?;
            }
            self.send(&ServerMessage::Close(goodbye.notice())).await?;
            let frame = CloseFrame { code: goodbye.status, reason: goodbye.code.into() };
            self.send_frame(Message::Close(Some(frame))).await
        };
        if said.await.is_err() {
            return;
        }
        if self.stuck {
            sleep(FAREWELL).await;
        } else {
            let _ = timeout(FAREWELL, async { while let Some(Ok(_)) = self.socket.recv().await {} }).await;
        }
    }
}

fn end_of(error: axum::Error) -> End {
    match error.into_inner().downcast::<tungstenite::Error>().as_deref() {
        Ok(tungstenite::Error::Capacity(_)) => End::Say(
            Goodbye::refused("message_too_large", "a message may have 64 KiB at most")
                .status(close_code::SIZE),
        ),
        Ok(tungstenite::Error::Utf8(_)) => End::Say(
            Goodbye::refused("bad_message", "a text frame must be UTF-8").status(close_code::INVALID),
        ),
        _ => End::Gone("the connection broke"),
    }
}
