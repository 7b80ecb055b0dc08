//! Request headers as people write them, and response headers as RFC 9725 wants them.

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::Response,
};

/// Of offers and answers (RFC 8866 section 8.1).
pub const SDP: &str = "application/sdp";
/// Of candidates and ICE restarts (RFC 8840 section 9).
pub const FRAGMENT: &str = "application/trickle-ice-sdpfrag";
/// What `POST` takes (W3C Linked Data Platform section 7.1).
pub const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");
/// What `PATCH` takes (RFC 5789 section 3.1).
pub const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// Whether the body is said to be of this media type; parameters do not matter.
#[must_use]
pub fn is_type(headers: &HeaderMap, wanted: &str) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case(wanted))
}

/// Whether an SDP answer is welcome. No `Accept` at all accepts everything.
#[must_use]
pub fn accepts_sdp(headers: &HeaderMap) -> bool {
    let mut ranges = headers
        .get_all(header::ACCEPT)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .peekable();
    ranges.peek().is_none()
        || ranges.any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let refused = parts.any(|part| {
                part.strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()).is_some_and(|q| q <= 0.0)
            });
            matches!(kind.as_str(), "*/*" | "application/*" | SDP) && !refused
        })
}

/// The token of `Authorization: Bearer TOKEN` (RFC 6750 section 2.1); the scheme's case does not matter.
#[must_use]
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// The response with one more header.
#[must_use]
pub fn with(mut response: Response, name: HeaderName, value: &'static str) -> Response {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
    response
}

/// For text made of letters, digits, quotes and slashes.
///
/// # Panics
/// When it is made of something else.
#[must_use]
pub fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("visible ASCII")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn accept_headers() {
        for (accept, wanted) in [
            (&[][..], true),
            (&["application/sdp"], true),
            (&["Application/SDP;charset=utf-8"], true),
            (&["text/html, */*;q=0.1"], true),
            (&["application/*"], true),
            (&["text/html", "application/sdp"], true),
            (&["text/html"], false),
            (&["application/sdp;q=0"], false),
            (&["application/json, text/plain"], false),
        ] {
            let mut headers = HeaderMap::new();
            for value in accept {
                headers.append(header::ACCEPT, value.parse().unwrap());
            }
            assert_eq!(accepts_sdp(&headers), wanted, "{accept:?}");
        }
    }

    #[test]
    fn content_types() {
        for (given, wanted) in [
            ("application/sdp", true),
            ("APPLICATION/SDP; charset=utf-8", true),
            ("application/sdpx", false),
            ("text/plain", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, given.parse().unwrap());
            assert_eq!(is_type(&headers, SDP), wanted, "{given}");
        }
        assert!(!is_type(&HeaderMap::new(), SDP));
    }

    #[test]
    fn tokens() {
        for (given, wanted) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Bearer ", None),
            ("Basic abc", None),
            ("abc", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, given.parse().unwrap());
            assert_eq!(bearer(&headers), wanted, "{given}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
