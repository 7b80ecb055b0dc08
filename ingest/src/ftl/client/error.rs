//! Why a session could not begin, or ended; in words for the person who reads the terminal.

use std::{io, net::SocketAddr};

use thiserror::Error;

/// Everything that ends a client session. Nothing in here holds the key.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The stream key cannot work with any server; nothing was sent.
    #[error("this is not a stream key (expected CHANNELID-SECRET): {0}")]
    BadKey(&'static str),
    /// The host name led to no address.
    #[error("cannot find the host {host}: {source}")]
    Resolve {
        /// As given by the user.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// No address of the host took the connection; this is the last one's answer.
    #[error("cannot connect to {addr}: {source} (is the server running, and its FTL port open?)")]
    Connect {
        /// The address tried last.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The server answered the handshake with a code.
    #[error("the server refused the stream: {0}")]
    Refused(Refusal),
    /// The server ended a running stream with a code.
    #[error("the server ended the stream: {0}")]
    Ended(Refusal),
    /// The server stayed silent for five seconds in the handshake.
    #[error("the server did not answer {command} within 5 s")]
    NoReply {
        /// The command that waits.
        command: &'static str,
    },
    /// The real client would have read this wrongly, or written outside a buffer.
    #[error("the server's answer to {command} is not one an FTL client understands: {what}")]
    BadReply {
        /// The command that was answered.
        command: &'static str,
        /// What is wrong with the answer.
        what: &'static str,
    },
    /// No `201` for thirty seconds.
    #[error("the server has not answered a PING for 30 s")]
    NoPong,
    /// The control connection ended without a numbered line.
    #[error("the server closed the control connection without giving a reason")]
    Closed,
    /// The control connection or the media socket failed.
    #[error("the connection broke: {0}")]
    Socket(#[from] io::Error),
    /// The session was ended from our side.
    #[error("disconnected")]
    Disconnected,
}

impl ClientError {
    /// Whether the same attempt can succeed later without anybody changing the key or the command line.
    pub fn is_worth_retrying(&self) -> bool {
        match self {
            Self::BadKey(_) | Self::BadReply { .. } | Self::Disconnected => false,
            Self::Refused(refusal) | Self::Ended(refusal) => {
                !matches!(refusal.code, 400 | 401 | 402 | 405 | 407 | 409)
            }
            _ => true,
        }
    }
}

/// A numbered line other than 200 and 201.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{code}: {}", describe(*.code))]
pub struct Refusal {
    /// The leading number of the line: 0 for an empty line, -1 for text without a number.
    pub code: i32,
}

/// What a code means, and what a streamer can do about it.
pub fn describe(code: i32) -> &'static str {
    match code {
        400 => "the server found the request malformed",
        401 => "this channel may not stream here",
        402 => "the server wants a newer FTL client",
        403 => "another stream uses this channel's audio SSRC",
        404 => "another stream uses this channel's video SSRC",
        405 => "wrong stream key or unknown channel; check the key, or make one with `heliograph key new`",
        406 => "this channel is live already from somewhere else",
        407 => "streaming from this region is not supported",
        408 => "no media reached the server for too long; is its UDP port range open?",
        409 => "the content was blocked",
        410 => "the server ended the stream",
        500 | 900 | 901 => "the server is in trouble: no free port, no relay, or no answer about the key",
        902 => "the server's socket was closed",
        903 => "the server's socket timed out",
        0 => "an empty line",
        -1 => "a line without a number",
        _ => "a code no FTL client knows",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_key_is_not_tried_again_and_a_busy_server_is() {
        assert!(!ClientError::Refused(Refusal { code: 405 }).is_worth_retrying());
        for code in [406, 408, 410, 500] {
            assert!(ClientError::Ended(Refusal { code }).is_worth_retrying(), "{code}");
        }
        assert!(ClientError::NoPong.is_worth_retrying());
    }

    #[test]
    fn the_message_names_code_and_cause() {
        let shown = ClientError::Refused(Refusal { code: 405 }).to_string();
        assert!(shown.contains("405") && shown.contains("wrong stream key"), "{shown}");
    }
}
