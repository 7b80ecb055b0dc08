//! What a caller says beside its address: which channel, and the key.

use std::fmt;

use url::form_urlencoded;

use crate::stream_key::StreamKey;

/// The key that a caller brought, and the channel it named, if it did. `Debug` shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct StreamId(StreamKey);

/// Why a stream id is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadStreamId {
    /// It wants to watch.
    #[error("nothing is played over SRT here; m=publish is the only mode")]
    NotPublishing,
    /// It cannot be read, or there is none.
    #[error("no stream id that can be read")]
    Unreadable,
}

impl StreamId {
    /// Reads the form of SRT's access control guidelines, `#!::r=CHANNEL,m=publish,s=KEY`, and what people type: `KEY`,
    /// `CHANNEL/KEY`, `publish:CHANNEL:KEY`, `publish/CHANNEL/KEY`, `CHANNEL?key=KEY`, `live/CHANNEL?token=KEY`.
    ///
    /// # Errors
    /// It wants something else than to publish, or says nothing.
    pub fn parse(text: &str) -> Result<Self, BadStreamId> {
        // As it stands in an address, which not every caller decodes.
        let decoded = text.strip_prefix("%23!").map(|rest| decode(&format!("#!{rest}")));
        let text = decoded.as_deref().unwrap_or(text);
        let key = match text.strip_prefix("#!") {
            Some(rest) => guideline(rest.strip_prefix("::").ok_or(BadStreamId::Unreadable)?)?,
            None => plain(text)?,
        };
        if key.reveal().is_empty() {
            return Err(BadStreamId::Unreadable);
        }
        Ok(Self(key))
    }

    /// Key and channel.
    #[must_use]
    pub fn key(&self) -> &StreamKey {
        &self.0
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamId(hidden)")
    }
}

fn guideline(fields: &str) -> Result<StreamKey, BadStreamId> {
    let (mut resource, mut secret) = (None, None);
    for field in fields.split(',').filter(|field| !field.is_empty()) {
        let (name, value) = field.split_once('=').ok_or(BadStreamId::Unreadable)?;
        match name {
            "r" => resource = Some(decode(value)),
            // Called session id there, which servers take for whatever admits a caller.
            "s" => secret = Some(decode(value)),
            "m" if value != "publish" => return Err(BadStreamId::NotPublishing),
            "t" if value != "stream" => return Err(BadStreamId::NotPublishing),
            // User and host, and what may be added.
            _ => {}
        }
    }
    match (resource, secret) {
        (Some(resource), Some(secret)) => {
            let channel = resource.rsplit('/').find(|part| !part.is_empty()).map(str::to_owned);
            Ok(StreamKey::new(channel, secret))
        }
        (None, Some(secret)) => Ok(StreamKey::new(None, secret)),
        (Some(resource), None) => plain(&resource),
        (None, None) => Err(BadStreamId::Unreadable),
    }
}

fn plain(text: &str) -> Result<StreamKey, BadStreamId> {
    let (mode, rest) = text.split_once([':', '/']).unwrap_or(("", text));
    let rest = match mode {
        "publish" => rest,
        "request" | "play" | "read" | "subscribe" => return Err(BadStreamId::NotPublishing),
        // The application that RTMP has.
        "live" if !rest.contains(['/', '?']) => rest,
        _ => text,
    };
    // No channel and no key has a colon.
    Ok(StreamKey::parse("", &rest.replace(':', "/")))
}

/// `%2C` is how a comma gets into a value.
fn decode(value: &str) -> String {
    // A plus is a plus.
    let text = value.replace('+', "%2B");
    form_urlencoded::parse(text.replace('&', "%26").replace('=', "%3D").as_bytes())
        .next()
        .map(|(text, _)| text.into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn every_way_to_write_it() {
        for (text, channel, key) in [
            ("#!::r=studio,m=publish,u=me,s=7-secret", Some("studio"), "7-secret"),
            ("#!::h=host,t=stream,s=7-se%2Ccr=e+t,r=live/studio", Some("studio"), "7-se,cr=e+t"),
            ("#!::s=7-secret,m=publish", None, "7-secret"),
            ("%23!::r%3Dstudio%2Cm%3Dpublish%2Cs%3D7-secret", Some("studio"), "7-secret"),
            ("#!::m=publish,r=7-secret", None, "7-secret"),
            ("#!::m=publish,r=studio/7-secret", Some("studio"), "7-secret"),
            ("#!::m=publish,r=live/7-secret", None, "7-secret"),
            ("7-secret", None, "7-secret"),
            ("live/7-secret", None, "7-secret"),
            ("studio/7-secret", Some("studio"), "7-secret"),
            ("publish:7-secret", None, "7-secret"),
            ("publish:studio:7-secret", Some("studio"), "7-secret"),
            ("publish/studio/7-secret", Some("studio"), "7-secret"),
            ("publish/live/studio?key=7-secret", Some("studio"), "7-secret"),
            ("studio?key=7-secret", Some("studio"), "7-secret"),
            ("live/studio?token=7-secret", Some("studio"), "7-secret"),
        ] {
            let parsed = StreamId::parse(text).unwrap();
            assert_eq!((parsed.key().channel(), parsed.key().reveal()), (channel, key), "{text}");
        }
    }

    #[test]
    fn what_is_refused() {
        for (text, why) in [
            ("", BadStreamId::Unreadable),
            ("#!::", BadStreamId::Unreadable),
            ("#!::m=publish", BadStreamId::Unreadable),
            ("#!::publish", BadStreamId::Unreadable),
            ("#!:{r: studio}", BadStreamId::Unreadable),
            ("#!::r=studio,s=", BadStreamId::Unreadable),
            ("#!::r=studio,m=request,s=7-secret", BadStreamId::NotPublishing),
            ("#!::r=studio,m=bidirectional,s=7-secret", BadStreamId::NotPublishing),
            ("#!::r=studio,t=file,s=7-secret", BadStreamId::NotPublishing),
            ("read:studio:7-secret", BadStreamId::NotPublishing),
            ("play/studio", BadStreamId::NotPublishing),
        ] {
            assert_eq!(StreamId::parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn never_shown() {
        assert_eq!(format!("{:?}", StreamId::parse("7-secret").unwrap()), "StreamId(hidden)");
    }
}
