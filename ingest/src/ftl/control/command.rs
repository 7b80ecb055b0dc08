//! One line of the control connection into a command.

use crate::auth::DIGEST_BYTES;

/// What a client can say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// Asks for a challenge.
    Hmac,
    /// `CONNECT <id> $<128 hex digits>`.
    Connect { channel_id: u32, digest: [u8; DIGEST_BYTES] },
    /// `<Key>: <Value>`.
    Metadata { key: String, value: String },
    /// `.`: that was all metadata.
    Dot,
    /// `PING <id>`.
    Ping,
    /// `DISCONNECT`. SDK 0.6 adds arguments and waits for a reply.
    Disconnect { wants_reply: bool },
}

/// Why a line is no command; for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadCommand {
    #[error("unknown command")]
    Unknown,
    #[error("CONNECT needs a channel id and a digest")]
    ConnectWords,
    #[error("the channel id is no 32-bit number")]
    ChannelId,
    #[error("the digest is not $ and 128 hex digits")]
    Digest,
}

impl Command {
    /// Goes by the first word alone: a value may contain any other command's name.
    pub(super) fn parse(line: &str) -> Result<Self, BadCommand> {
        let mut words = line.split_ascii_whitespace();
        let first = words.next().unwrap_or_default();
        if first == "." {
            return Ok(Self::Dot);
        }
        if first.eq_ignore_ascii_case("HMAC") {
            return Ok(Self::Hmac);
        }
        if first.eq_ignore_ascii_case("PING") {
            return Ok(Self::Ping);
        }
        if first.eq_ignore_ascii_case("DISCONNECT") {
            return Ok(Self::Disconnect { wants_reply: words.next().is_some() });
        }
        if first.eq_ignore_ascii_case("CONNECT") {
            let (Some(id), Some(digest), None) = (words.next(), words.next(), words.next()) else {
                return Err(BadCommand::ConnectWords);
            };
            let channel_id = parse_u32_however_signed(id).ok_or(BadCommand::ChannelId)?;
            let mut bytes = [0; DIGEST_BYTES];
            let digits = digest.strip_prefix('$').ok_or(BadCommand::Digest)?;
            hex::decode_to_slice(digits, &mut bytes).map_err(|_| BadCommand::Digest)?;
            return Ok(Self::Connect { channel_id, digest: bytes });
        }
        let (key, value) = line.split_once(':').ok_or(BadCommand::Unknown)?;
        Ok(Self::Metadata { key: key.trim().to_owned(), value: value.trim().to_owned() })
    }
}

/// Clients print 32 unsigned bits as a signed number: 3000000000 arrives as -1294967296.
pub(super) fn parse_u32_however_signed(text: &str) -> Option<u32> {
    let number: i64 = text.parse().ok()?;
    u32::try_from(number).ok().or_else(|| i32::try_from(number).ok().map(i32::cast_unsigned))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    fn hex128(digit: char) -> String {
        std::iter::repeat_n(digit, 128).collect()
    }

    #[test]
    fn commands() {
        let metadata = |key: &str, value: &str| Command::Metadata { key: key.into(), value: value.into() };
        for (line, expected) in [
            ("HMAC", Command::Hmac),
            ("hmac", Command::Hmac),
            (".", Command::Dot),
            ("PING 1234", Command::Ping),
            ("PING", Command::Ping),
            ("DISCONNECT", Command::Disconnect { wants_reply: false }),
            ("DISCONNECT 12 $abc", Command::Disconnect { wants_reply: true }),
            ("VendorName: OBS Studio", metadata("VendorName", "OBS Studio")),
            // Words of other commands and further colons belong to the value.
            (
                "VendorName: HMAC DISCONNECT CONNECT . PING",
                metadata("VendorName", "HMAC DISCONNECT CONNECT . PING"),
            ),
            ("VendorVersion: 1:2:3", metadata("VendorVersion", "1:2:3")),
            ("VideoCodec:", metadata("VideoCodec", "")),
            ("Odd-Key:x", metadata("Odd-Key", "x")),
        ] {
            assert_eq!(Command::parse(line), Ok(expected), "{line}");
        }
    }

    #[test]
    fn connect() {
        for (id, expected) in
            [("0", 0), ("1234", 1234), ("-1294967296", 3_000_000_000), ("4294967295", u32::MAX)]
        {
            let command = Command::parse(&format!("CONNECT {id} ${}", hex128('a'))).unwrap();
            assert_eq!(command, Command::Connect { channel_id: expected, digest: [0xaa; 64] }, "{id}");
        }
        let upper = Command::parse(&format!("CONNECT 1 ${}", hex128('A'))).unwrap();
        assert_eq!(upper, Command::Connect { channel_id: 1, digest: [0xaa; 64] });
    }

    /// Project ITG's ingest read past the end of its word list here and died.
    #[test]
    fn bug_l_and_fault_15_short_connect_is_refused_not_fatal() {
        for (line, why) in [
            ("CONNECT".to_owned(), BadCommand::ConnectWords),
            ("CONNECT 1".to_owned(), BadCommand::ConnectWords),
            ("CONNECT ".to_owned(), BadCommand::ConnectWords),
            (format!("CONNECT 1 ${} x", hex128('a')), BadCommand::ConnectWords),
            (format!("CONNECT x ${}", hex128('a')), BadCommand::ChannelId),
            (format!("CONNECT 4294967296 ${}", hex128('a')), BadCommand::ChannelId),
            (format!("CONNECT -2147483649 ${}", hex128('a')), BadCommand::ChannelId),
            (format!("CONNECT 1 {}", hex128('a')), BadCommand::Digest),
            (format!("CONNECT 1 ${}", hex128('g')), BadCommand::Digest),
            ("CONNECT 1 $abcd".to_owned(), BadCommand::Digest),
            ("GET / HTTP/1.1".to_owned(), BadCommand::Unknown),
        ] {
            assert_eq!(Command::parse(&line), Err(why), "{line}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(line in ".*") {
            let _ = Command::parse(&line);
        }
    }
}
