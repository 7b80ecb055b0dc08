//! What a refused request gets: RFC 9457 problem details.

use std::fmt::Display;

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use heliograph_edge::sdp::SdpError;
use serde_json::json;

use crate::auth::EndReason;

/// A refused request: status, a stable code, words for people, and headers that go with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::whip) struct Refusal {
    pub(super) status: StatusCode,
    code: &'static str,
    detail: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), headers: Vec::new() }
    }

    fn header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }

    fn unavailable(code: &'static str, detail: &str, retry_after: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).header(header::RETRY_AFTER, retry_after)
    }

    pub(super) fn shutting_down() -> Self {
        Self::unavailable("server_shutdown", "the server is shutting down", "10")
    }

    pub(super) fn too_many() -> Self {
        Self::unavailable(
            "too_many_pending",
            "too many publishers of this address are waiting for an answer",
            "2",
        )
    }

    /// RFC 6750 section 3: without a key there is no error to name.
    pub(super) fn no_key() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "no_key", "the stream key is missing: Authorization: Bearer KEY")
            .header(header::WWW_AUTHENTICATE, "Bearer realm=\"heliograph\"")
    }

    /// A channel's name that cannot be one.
    pub(super) fn no_channel() -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown_channel", "no channel has such a name")
    }

    pub(super) fn no_session() -> Self {
        Self::new(StatusCode::NOT_FOUND, "no_session", "there is no such session, or it has ended")
    }

    pub(super) fn not_acceptable() -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", "the answer is application/sdp")
    }

    pub(super) fn wrong_method(methods: &'static str) -> Self {
        let detail = format!("allowed here: {methods}");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", detail).header(header::ALLOW, methods)
    }

    pub(super) fn wrong_type(wanted: &'static str, accept: HeaderName) -> Self {
        let detail = format!("the body must be {wanted}");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "wrong_type", detail).header(accept, wanted)
    }

    pub(in crate::whip) fn if_match_required() -> Self {
        Self::new(
            StatusCode::PRECONDITION_REQUIRED,
            "if_match_required",
            "to restart ICE, If-Match must be * or name the ICE session (its ETag)",
        )
    }

    pub(in crate::whip) fn other_ice_session() -> Self {
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "other_ice_session",
            "ICE has been restarted since, or was never in that session",
        )
    }

    /// An offer or a fragment that cannot be used.
    pub(in crate::whip) fn sdp(error: &SdpError) -> Self {
        match error {
            SdpError::NothingInCommon { .. } => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "codec_not_supported",
                "nothing in the offer can be taken: video must be H.264, H.265, VP8, VP9 or AV1 and audio Opus, offered sendonly",
            ),
            error => Self::new(StatusCode::BAD_REQUEST, "bad_sdp", error.to_string()),
        }
    }

    /// What the house says, in HTTP. A wrong key and an unknown channel look the same from outside.
    pub(super) fn house(reason: EndReason) -> Self {
        match reason {
            EndReason::Denied => Self::new(
                StatusCode::UNAUTHORIZED,
                "wrong_key",
                "the stream key is not right for this channel",
            )
            .header(header::WWW_AUTHENTICATE, "Bearer realm=\"heliograph\", error=\"invalid_token\""),
            EndReason::ChannelInUse | EndReason::TakenOver => {
                Self::new(StatusCode::CONFLICT, "channel_in_use", "another publisher is on this channel")
                    .header(header::RETRY_AFTER, "5")
            }
            EndReason::ForeignNetwork => {
                let detail = "publishing is not allowed from this network";
                Self::new(StatusCode::FORBIDDEN, "foreign_network", detail)
            }
            EndReason::NoVerdict => {
                Self::unavailable("no_verdict", "the key cannot be checked at the moment", "5")
            }
            EndReason::EndedByStreamer => Self::new(
                StatusCode::FORBIDDEN,
                "ended_by_streamer",
                "the streamer ended the stream; the channel is closed for a while",
            ),
            EndReason::ServerShutdown => Self::shutting_down(),
            EndReason::RelayUnavailable => Self::unavailable(
                "relay_unavailable",
                "the server has no room for this stream at the moment",
                "10",
            ),
            reason => Self::internal(&reason),
        }
    }

    pub(super) fn internal(error: &dyn Display) -> Self {
        tracing::warn!(%error, "a WHIP publisher could not come in");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the server made a mistake")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let problem = json!({
            "code": self.code,
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let mut response = Response::new(Body::from(problem.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        response
    }
}
