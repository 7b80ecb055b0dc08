//! What people type as server and stream key.

use std::fmt;

use url::form_urlencoded;

use crate::house::PlainKey;

/// The key that a publisher brought, and the channel it named, if it did. `Debug` shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct StreamKey {
    channel: Option<String>,
    key: String,
}

impl StreamKey {
    /// Reads the application (`live` in `rtmp://host/live/KEY`) and the stream name. Understood are
    /// `live/KEY`, `live/CHANNEL?key=KEY`, `live/CHANNEL?token=KEY` and `live/CHANNEL/KEY`, wherever an encoder cuts them
    /// in two.
    #[must_use]
    pub fn parse(application: &str, name: &str) -> Self {
        let (application, application_query) = split_query(application);
        let (name, name_query) = split_query(name);
        let in_query = |query: &str| {
            form_urlencoded::parse(query.as_bytes())
                .find(|(word, value)| matches!(&**word, "key" | "token") && !value.is_empty())
                .map(|(_, value)| value.into_owned())
        };
        // After the application's own name; encoders put the rest of the path on either side.
        let path = application.split('/').skip(1).chain(name.split('/')).filter(|part| !part.is_empty());
        let mut path: Vec<&str> = path.collect();
        let key = in_query(name_query)
            .or_else(|| in_query(application_query))
            .or_else(|| path.pop().map(str::to_owned))
            .unwrap_or_default();
        Self { channel: path.last().map(|&channel| channel.to_owned()), key }
    }

    pub(crate) fn new(channel: Option<String>, key: String) -> Self {
        Self { channel, key }
    }

    /// A key that can be one: the house slows down whoever has none.
    pub(crate) fn plain(&self) -> Option<PlainKey> {
        let channel = match self.channel() {
            Some(name) => Some(name.parse().ok()?),
            None => None,
        };
        PlainKey::parse(channel, self.reveal())
    }

    /// The channel that was named beside the key.
    #[must_use]
    pub fn channel(&self) -> Option<&str> {
        self.channel.as_deref()
    }

    /// The key's text. Never log what this returns.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.key
    }
}

impl fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamKey(hidden)")
    }
}

fn split_query(text: &str) -> (&str, &str) {
    text.split_once('?').unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_it() {
        for (application, name, channel, key) in [
            ("live", "7-secret", None, "7-secret"),
            ("live/", "/7-secret", None, "7-secret"),
            ("live", "studio?key=7-secret", Some("studio"), "7-secret"),
            ("live", "studio?token=7-secret", Some("studio"), "7-secret"),
            ("live", "studio?a=b&token=7-se%2Bcret", Some("studio"), "7-se+cret"),
            ("live", "studio/7-secret", Some("studio"), "7-secret"),
            ("live/studio", "7-secret", Some("studio"), "7-secret"),
            ("live?key=7-secret", "studio", Some("studio"), "7-secret"),
            ("live/studio?token=7-secret", "", Some("studio"), "7-secret"),
            ("live", "?key=7-secret", None, "7-secret"),
            ("anything", "7-secret", None, "7-secret"),
            ("", "7-secret", None, "7-secret"),
            ("live", "studio?key=", None, "studio"),
            ("live", "", None, ""),
        ] {
            let parsed = StreamKey::parse(application, name);
            assert_eq!((parsed.channel(), parsed.reveal()), (channel, key), "{application} and {name}");
        }
    }

    #[test]
    fn never_shown() {
        assert_eq!(format!("{:?}", StreamKey::parse("live", "7-secret")), "StreamKey(hidden)");
    }
}
