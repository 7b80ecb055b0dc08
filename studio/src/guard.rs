//! What a request must show: that it comes from our own page, and whose desk it is for.

use std::time::Instant;

use axum::http::{HeaderMap, StatusCode, Uri, header};
use heliograph_http::{
    Refusal,
    headers::{ACCEPT_POST, SDP, is_type},
};
use heliograph_relay::ChannelName;

use crate::{
    App,
    sessions::{HeldKey, LIFETIME},
};

/// The cookie's name.
const COOKIE: &str = "heliograph_studio";
const JSON: &str = "application/json";

/// Refuses what another site makes a browser send. The cookie is `SameSite=Strict` already; this also stops pages
/// of the same site on other ports or subdomains, which count as the same site.
pub(crate) fn own_page(headers: &HeaderMap) -> Result<(), Refusal> {
    let refused =
        Refusal::new(StatusCode::FORBIDDEN, "foreign_page", "only this server's own page may do this");
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if text("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none") {
        return Err(refused);
    }
    let Some(origin) = text("origin") else { return Ok(()) };
    let authority = origin.parse::<Uri>().ok().and_then(|uri| uri.authority().cloned());
    match (authority, text("host")) {
        (Some(authority), Some(host)) if authority.as_str().eq_ignore_ascii_case(host) => Ok(()),
        _ => Err(refused),
    }
}

/// Orders come as JSON: a form of another site cannot send that without being asked first (CORS preflight).
pub(crate) fn json(headers: &HeaderMap) -> Result<(), Refusal> {
    if is_type(headers, JSON) { Ok(()) } else { Err(Refusal::wrong_type(JSON, ACCEPT_POST)) }
}

/// The same for offers.
pub(crate) fn sdp(headers: &HeaderMap) -> Result<(), Refusal> {
    if is_type(headers, SDP) { Ok(()) } else { Err(Refusal::wrong_type(SDP, ACCEPT_POST)) }
}

/// The token in the cookie.
pub(crate) fn token(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE).then_some(value))
}

fn signed_out() -> Refusal {
    Refusal::new(StatusCode::UNAUTHORIZED, "signed_out", "show the stream key first")
}

/// Whose desk this is.
pub(crate) fn channel(app: &App, headers: &HeaderMap) -> Result<ChannelName, Refusal> {
    token(headers).and_then(|token| app.sessions.channel(Instant::now(), token)).ok_or_else(signed_out)
}

/// The key that it was opened with.
pub(crate) fn key(app: &App, headers: &HeaderMap) -> Result<HeldKey, Refusal> {
    token(headers).and_then(|token| app.sessions.key(Instant::now(), token)).ok_or_else(signed_out)
}

/// `Set-Cookie` for a token; an empty one takes the cookie away.
pub(crate) fn cookie(token: &str, tls: bool) -> String {
    let age = if token.is_empty() { 0 } else { LIFETIME.as_secs() };
    let secure = if tls { "; Secure" } else { "" };
    format!("{COOKIE}={token}; Path=/studio; Max-Age={age}; HttpOnly; SameSite=Strict{secure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    (*name).parse().unwrap_or(header::DATE),
                    value.parse().unwrap_or(header::HeaderValue::from_static("")),
                )
            })
            .collect()
    }

    #[test]
    fn only_our_own_page() {
        for (pairs, ok) in [
            (&[("host", "tv.example")][..], true),
            (&[("host", "tv.example"), ("origin", "https://tv.example")], true),
            (&[("host", "tv.example:8080"), ("origin", "http://TV.example:8080")], true),
            (&[("host", "tv.example:8080"), ("origin", "http://tv.example:8081")], false),
            (&[("host", "tv.example"), ("origin", "https://evil.example")], false),
            (&[("host", "tv.example"), ("origin", "null")], false),
            (&[("origin", "https://tv.example")], false),
            (&[("host", "tv.example"), ("sec-fetch-site", "same-origin")], true),
            (&[("host", "tv.example"), ("sec-fetch-site", "same-site")], false),
            (&[("host", "tv.example"), ("sec-fetch-site", "cross-site")], false),
        ] {
            assert_eq!(own_page(&headers(pairs)).is_ok(), ok, "{pairs:?}");
        }
    }

    #[test]
    fn the_cookie_among_others() {
        let found = |cookie| token(&headers(&[("cookie", cookie)])).map(str::to_owned);
        assert_eq!(found("a=b; heliograph_studio=0f; c=d").as_deref(), Some("0f"));
        assert_eq!(found("heliograph_studio_x=0f"), None);
        assert_eq!(found(""), None);
        assert!(cookie("0f", true).contains("; Secure"));
        assert!(cookie("", false).contains("Max-Age=0") && !cookie("", false).contains("Secure"));
    }
}
