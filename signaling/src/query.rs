//! What `?port=` and `?channel=` ask for, with the habits of the servers that this one replaces.

use axum::extract::Query;
use heliograph_relay::{ChannelName, StreamSnapshot};

use crate::{app::App, directory::Brief};

/// Query pairs; a name that comes twice counts the first time.
pub(crate) type Pairs = Query<Vec<(String, String)>>;

/// A port in a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PortWish {
    /// None given, or one that is no number: the old servers took both for "whichever is usual".
    Unstated,
    /// A number that no port has.
    Impossible,
    Port(u16),
}

/// What a viewer wants to watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// This stream and no other: a port may belong to somebody else later.
    Stream(Brief),
    /// Whatever the channel shows, now or later.
    Channel(ChannelName),
}

pub(crate) fn first<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

pub(crate) fn port(pairs: &[(String, String)]) -> PortWish {
    let Some(text) = first(pairs, "port") else { return PortWish::Unstated };
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return PortWish::Unstated;
    }
    // "-0" is a number too, if a strange one.
    text.parse::<i64>()
        .ok()
        .and_then(|number| u16::try_from(number).ok())
        .map_or(PortWish::Impossible, PortWish::Port)
}

impl Target {
    /// What the query asks for; `None` for a stream that does not exist and a name that no channel can have.
    pub(crate) fn asked(app: &App, pairs: &[(String, String)]) -> Option<Self> {
        if let Some(channel) = first(pairs, "channel") {
            return ChannelName::new(channel).ok().map(Self::Channel);
        }
        stream_by_port(app, pairs).map(|stream| Self::Stream(Brief::from(&stream)))
    }
}

/// The stream on the port that the query names, or on the default one.
pub(crate) fn stream_by_port(app: &App, pairs: &[(String, String)]) -> Option<StreamSnapshot> {
    let port = match port(pairs) {
        PortWish::Port(port) => port,
        PortWish::Unstated => app.settings.default_port?,
        PortWish::Impossible => return None,
    };
    app.backend.stream_by_port(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_as_the_old_servers_read_them() {
        for (text, wanted) in [
            ("24000", PortWish::Port(24_000)),
            ("+24000", PortWish::Port(24_000)),
            ("0", PortWish::Port(0)),
            ("65535", PortWish::Port(65_535)),
            ("65536", PortWish::Impossible),
            ("-1", PortWish::Impossible),
            ("99999999999999999999", PortWish::Impossible),
            ("", PortWish::Unstated),
            ("-", PortWish::Unstated),
            ("abc", PortWish::Unstated),
            ("24000x", PortWish::Unstated),
            (" 24000", PortWish::Unstated),
        ] {
            assert_eq!(port(&[("port".to_owned(), text.to_owned())]), wanted, "{text:?}");
        }
        assert_eq!(port(&[]), PortWish::Unstated);
    }
}
