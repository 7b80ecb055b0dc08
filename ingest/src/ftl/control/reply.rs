//! Lines that we send, as clients read them.

use std::fmt::Write as _;

/// A final number: the client stops when it reads one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// Malformed or out of order.
    BadRequest,
    /// Wrong key, or no such channel; OBS has a message of its own for it.
    WrongKey,
    /// The channel is live already.
    ChannelInUse,
    /// Too slow, or no media for too long.
    Timeout,
    /// Ended by us.
    Terminated,
    /// No port, no relay, no verdict.
    ServerTrouble,
}

impl Code {
    /// As on the wire.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::WrongKey => 405,
            Self::ChannelInUse => 406,
            Self::Timeout => 408,
            Self::Terminated => 410,
            Self::ServerTrouble => 500,
        }
    }
}

/// The answer to `HMAC`. Exactly one space, an even number of digits, one `\n`: clients compute with the length.
pub(super) fn challenge(challenge: &[u8]) -> String {
    format!("200 {}\n", hex::encode(challenge))
}

/// The answer to an accepted `CONNECT`.
pub(super) fn accepted() -> String {
    "200\n".to_owned()
}

/// The answer to `.`. Clients want a dot, then `Use UDP port` in exactly this case; a text that they do not
/// understand makes them send to port 65535.
pub(super) fn port(port: u16) -> String {
    format!("200 hi. Use UDP port {port}\n")
}

/// The answer to `PING`.
pub(super) fn pong() -> String {
    "201\n".to_owned()
}

/// A final line.
pub(super) fn refusal(code: Code, words: &str) -> String {
    let mut line = code.number().to_string();
    let words: String = words.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').collect();
    if !words.is_empty() {
        write!(line, " {words}").expect("writing to a string");
    }
    line.truncate(MAX_LINE_BYTES - 1);
    line.push('\n');
    line
}

/// At 256 bytes the SDK writes behind its buffer. (Only its HMAC buffer is larger: 1024.)
const MAX_LINE_BYTES: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_clients_read_them() {
        assert_eq!(challenge(&[0, 1, 0xff]), "200 0001ff\n");
        assert_eq!(challenge(&[9; 128]).len(), 261);
        assert_eq!(accepted(), "200\n");
        assert_eq!(port(65_535), "200 hi. Use UDP port 65535\n");
        assert_eq!(pong(), "201\n");
        assert_eq!(refusal(Code::WrongKey, "wrong key"), "405 wrong key\n");
        assert_eq!(refusal(Code::Terminated, ""), "410\n");
    }

    #[test]
    fn never_two_lines_and_never_too_long() {
        for words in ["a\nb\r\nc", "é\u{1b}[2J", &"x".repeat(5000)] {
            let line = refusal(Code::ServerTrouble, words);
            assert!(line.len() <= MAX_LINE_BYTES, "{line}");
            assert_eq!(line.matches('\n').count(), 1);
            assert!(line.starts_with("500 ") && line.ends_with('\n') && line.is_ascii());
        }
    }
}
