//! Why a publisher over WHIP is refused, in HTTP.

use std::fmt::Display;

use axum::http::{StatusCode, header};
use heliograph_edge::sdp::SdpError;
use heliograph_http::Refusal;

use crate::auth::EndReason;

/// Nobody waits behind so many.
pub(super) fn too_many() -> Refusal {
    Refusal::unavailable(
        "too_many_pending",
        "too many publishers of this address are waiting for an answer",
        "2",
    )
}

/// RFC 6750 section 3: without a key there is no error to name.
pub(super) fn no_key() -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "no_key", "the stream key is missing: Authorization: Bearer KEY")
        .header(header::WWW_AUTHENTICATE, "Bearer realm=\"heliograph\"")
}

/// A channel's name that cannot be one.
pub(super) fn no_channel() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "unknown_channel", "no channel has such a name")
}

/// An offer or a fragment that cannot be used.
pub(in crate::whip) fn sdp(error: &SdpError) -> Refusal {
    match error {
        SdpError::NothingInCommon { .. } => Refusal::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "codec_not_supported",
            "nothing in the offer can be taken: video must be H.264, H.265, VP8, VP9 or AV1 and audio Opus, offered sendonly",
        ),
        error => Refusal::bad("bad_sdp", error),
    }
}

/// What the house says, in HTTP. A wrong key and an unknown channel look the same from outside.
pub(super) fn house(reason: EndReason) -> Refusal {
    match reason {
        EndReason::Denied => Refusal::new(
            StatusCode::UNAUTHORIZED,
            "wrong_key",
            "the stream key is not right for this channel",
        )
        .header(header::WWW_AUTHENTICATE, "Bearer realm=\"heliograph\", error=\"invalid_token\""),
        EndReason::ChannelInUse | EndReason::TakenOver => {
            Refusal::new(StatusCode::CONFLICT, "channel_in_use", "another publisher is on this channel")
                .header(header::RETRY_AFTER, "5")
        }
        EndReason::ForeignNetwork => {
            let detail = "publishing is not allowed from this network";
            Refusal::new(StatusCode::FORBIDDEN, "foreign_network", detail)
        }
        EndReason::NoVerdict => {
            Refusal::unavailable("no_verdict", "the key cannot be checked at the moment", "5")
        }
        EndReason::EndedByStreamer => Refusal::new(
            StatusCode::FORBIDDEN,
            "ended_by_streamer",
            "the streamer ended the stream; the channel is closed for a while",
        ),
        EndReason::ServerShutdown => Refusal::shutting_down(),
        EndReason::RelayUnavailable => Refusal::unavailable(
            "relay_unavailable",
            "the server has no room for this stream at the moment",
            "10",
        ),
        reason => internal(&reason),
    }
}

pub(super) fn internal(error: &dyn Display) -> Refusal {
    tracing::warn!(%error, "a WHIP publisher could not come in");
    Refusal::internal()
}
