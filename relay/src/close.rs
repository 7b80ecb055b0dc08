//! Why a stream or a viewer session ended: one list, so that people, logs and clients hear the same.

/// Why something ended. `Display` is a phrase for people, [`CloseReason::code`] a short word for programs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// The publisher stopped, or its grace time ran out.
    #[error("the stream has ended")]
    StreamEnded,
    /// No media came for the idle time.
    #[error("no media came from the publisher any more")]
    PublisherGone,
    /// The viewer's browser stopped confirming that it wants the stream (RFC 7675).
    #[error("the viewer's browser stopped answering")]
    ConsentLost,
    /// The encrypted connection could not be set up; says why.
    #[error("the encrypted connection failed: {0}")]
    HandshakeFailed(String),
    /// The encrypted connection was not set up in time.
    #[error("the encrypted connection was not set up in time")]
    HandshakeTimeout,
    /// The viewer said goodbye.
    #[error("the viewer left")]
    ViewerLeft,
    /// The server is going down.
    #[error("the server is shutting down")]
    ServerShutdown,
    /// Another session took this one's place.
    #[error("another session took over")]
    Replaced,
    /// An operator ended it.
    #[error("an operator ended the session")]
    Kicked,
    /// A fault of ours; says what.
    #[error("internal error: {0}")]
    Internal(String),
}

impl CloseReason {
    /// Every word that [`CloseReason::code`] can say.
    pub(crate) const CODES: [&'static str; 10] = [
        "stream_ended",
        "publisher_gone",
        "consent_lost",
        "handshake_failed",
        "handshake_timeout",
        "viewer_left",
        "server_shutdown",
        "replaced",
        "kicked",
        "internal",
    ];

    /// Short and stable.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::StreamEnded => "stream_ended",
            Self::PublisherGone => "publisher_gone",
            Self::ConsentLost => "consent_lost",
            Self::HandshakeFailed(_) => "handshake_failed",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::ViewerLeft => "viewer_left",
            Self::ServerShutdown => "server_shutdown",
            Self::Replaced => "replaced",
            Self::Kicked => "kicked",
            Self::Internal(_) => "internal",
        }
    }
}
