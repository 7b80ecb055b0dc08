//! Where an external service is, and whether it is safe to talk to it there.

use std::{fmt, net::IpAddr};

use url::{Host, Url};

/// The address of an external service: encrypted, or on this machine.
///
/// `Display` and `Debug` show scheme, host and port only: user names, passwords and tokens may stand in the rest.
#[derive(Clone, PartialEq, Eq)]
pub struct ServiceUrl(Url);

impl ServiceUrl {
    /// Checks `text`. Plain `http` and `ws` are refused off loopback unless `allow_plain`.
    pub fn parse(text: &str, kind: ServiceKind, allow_plain: bool) -> Result<Self, BadServiceUrl> {
        let url = Url::parse(text).map_err(|error| BadServiceUrl::Malformed(error.to_string()))?;
        let (plain, encrypted) = kind.schemes();
        if url.host().is_none() {
            return Err(BadServiceUrl::Malformed("it names no host".to_owned()));
        }
        if url.scheme() == encrypted {
            return Ok(Self(url));
        }
        if url.scheme() != plain {
            return Err(BadServiceUrl::Scheme { expected: encrypted, or: plain });
        }
        if allow_plain || is_loopback(&url) { Ok(Self(url)) } else { Err(BadServiceUrl::Plain { encrypted }) }
    }

    /// The whole address. Never log it.
    #[must_use]
    pub fn reveal(&self) -> &Url {
        &self.0
    }

    /// This address with more path segments behind it, each percent-encoded.
    #[must_use]
    pub fn join(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        // Cannot fail: `parse` made sure that there is a host, so the address has a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.0.host_str().unwrap_or_default())?;
        self.0.port().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Debug for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceUrl({self})")
    }
}

/// Which pair of schemes an address may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceKind {
    /// `http` and `https`.
    Http,
    /// `ws` and `wss`.
    WebSocket,
}

impl ServiceKind {
    fn schemes(self) -> (&'static str, &'static str) {
        match self {
            Self::Http => ("http", "https"),
            Self::WebSocket => ("ws", "wss"),
        }
    }
}

/// Why an address is refused. Never repeats the address: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadServiceUrl {
    /// Not an absolute address.
    #[error("not a usable address: {0}")]
    Malformed(String),
    /// Some other protocol.
    #[error("the address must begin with {expected}:// or {or}://")]
    Scheme {
        /// The encrypted scheme.
        expected: &'static str,
        /// The plain one.
        or: &'static str,
    },
    /// Keys would cross the network in the clear.
    #[error(
        "off this machine the address must begin with {encrypted}:// (or plain connections be allowed in the settings)"
    )]
    Plain {
        /// The encrypted scheme.
        encrypted: &'static str,
    },
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::from(ip).to_canonical().is_loopback(),
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn plain_only_on_this_machine() {
        use ServiceKind::{Http, WebSocket};
        let cases = [
            ("https://auth.example/x", Http, true),
            ("http://auth.example/x", Http, false),
            ("http://localhost:9/x", Http, true),
            ("http://127.0.0.1:9/", Http, true),
            ("http://127.3.2.1:9/", Http, true),
            ("http://[::1]:9/", Http, true),
            ("http://localhost.evil.example/", Http, false),
            ("http://127.0.0.1.evil.example/", Http, false),
            ("wss://auth.example", WebSocket, true),
            ("ws://auth.example", WebSocket, false),
            ("ws://localhost", WebSocket, true),
            ("https://auth.example", WebSocket, false),
            ("ftp://localhost", Http, false),
            ("nonsense", Http, false),
        ];
        for (text, kind, good) in cases {
            assert_eq!(ServiceUrl::parse(text, kind, false).is_ok(), good, "{text}");
        }
        assert!(ServiceUrl::parse("ws://auth.example", WebSocket, true).is_ok());
    }

    #[test]
    fn shows_no_secret() {
        let url = "https://user:hunter2@auth.example:444/hook/s3cret?token=t0ken";
        let url = ServiceUrl::parse(url, ServiceKind::Http, false).unwrap();
        assert_eq!(format!("{url} {url:?}"), "https://auth.example:444 ServiceUrl(https://auth.example:444)");
    }

    #[test]
    fn segments_are_encoded() {
        let url = ServiceUrl::parse("http://localhost/base/", ServiceKind::Http, false).unwrap();
        assert_eq!(
            url.join(&["end", "a/../b?c#d é"]).as_str(),
            "http://localhost/base/end/a%2F..%2Fb%3Fc%23d%20%C3%A9"
        );
        // The URL standard drops dot segments; the ids we build paths from are refused before, see `http`.
        assert_eq!(url.join(&["end", ".."]).as_str(), "http://localhost/base/end");
    }
}
