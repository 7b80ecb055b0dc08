//! Bytes of the control connection into lines.

use std::collections::VecDeque;

/// Collects bytes in whatever pieces they come and gives out lines.
///
/// Clients end a command with `\r\n\r\n`, early ones with `\n`, and people with a terminal with `\r\n`. So a line
/// ends at `\n`, `\r` before it is dropped, and what is left empty is no line at all.
#[derive(Debug, Default)]
pub(super) struct LineReader {
    waiting: VecDeque<u8>,
    /// How much of `waiting` is known to hold no line end.
    searched: usize,
}

impl LineReader {
    /// Takes bytes in; false when the peer sent more than it may.
    #[must_use]
    pub(super) fn push(&mut self, bytes: &[u8]) -> bool {
        if self.waiting.len() + bytes.len() > MAX_WAITING_BYTES {
            return false;
        }
        self.waiting.extend(bytes);
        true
    }

    /// The next line that is not blank.
    pub(super) fn next_line(&mut self) -> Result<Option<String>, TooLong> {
        loop {
            let end = self.waiting.iter().skip(self.searched).position(|&byte| byte == b'\n');
            let Some(end) = end.map(|position| position + self.searched) else {
                self.searched = self.waiting.len();
                return if self.waiting.len() > MAX_LINE_BYTES { Err(TooLong) } else { Ok(None) };
            };
            self.searched = 0;
            if end > MAX_LINE_BYTES {
                return Err(TooLong);
            }
            let line: Vec<u8> = self.waiting.drain(..=end).collect();
            // Lossy: names of programs come in all encodings, and a command is plain ASCII.
            let line = String::from_utf8_lossy(&line);
            let line = line.trim();
            if !line.is_empty() {
                return Ok(Some(line.to_owned()));
            }
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// A line that no client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// Clients have 512 bytes for a command with its end; twice that is generous.
const MAX_LINE_BYTES: usize = 1024;
/// What may wait unread while we ask the authoriser or the relay: several whole handshakes.
pub(super) const MAX_WAITING_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let mut reader = LineReader::default();
        let mut lines = Vec::new();
        for piece in pieces {
            assert!(reader.push(piece));
            while let Some(line) = reader.next_line().unwrap() {
                lines.push(line);
            }
        }
        lines
    }

    #[test]
    fn every_line_end_and_every_cut() {
        for text in [
            "A\r\n\r\nB b\r\n\r\n.\r\n\r\n",
            "A\nB b\n.\n",
            "A\r\nB b\r\n.\r\n",
            "\n\r\n\nA\n\n\r\nB b\r\r\n.\r\n",
        ] {
            for cut in 0..=text.len() {
                let (head, tail) = text.as_bytes().split_at(cut);
                assert_eq!(lines(&[head, tail]), ["A", "B b", "."], "{text:?} cut at {cut}");
            }
            let single: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            assert_eq!(lines(&single), ["A", "B b", "."]);
        }
    }

    #[test]
    fn bounded() {
        let mut reader = LineReader::default();
        assert!(reader.push(&[b'x'; MAX_LINE_BYTES]));
        assert_eq!(reader.next_line(), Ok(None));
        assert!(reader.push(b"y"));
        assert_eq!(reader.next_line(), Err(TooLong));
        let mut reader = LineReader::default();
        assert!(reader.push(&[b'x'; MAX_WAITING_BYTES]));
        assert!(!reader.push(b"x"));
        let mut reader = LineReader::default();
        assert!(reader.push([&[b'x'; MAX_LINE_BYTES + 1][..], b"\n"].concat().as_slice()));
        assert_eq!(reader.next_line(), Err(TooLong));
    }
}
