//! The handshake: 1 + 1536 + 1536 bytes each way.

use bytes::{Buf as _, BytesMut};

/// The plain handshake of the specification (section 5.2), which every encoder accepts. Signed ones, as Flash wanted
/// them, are answered in the same plain way: their signatures are not looked at.
#[derive(Debug)]
pub(super) struct Handshake {
    stage: Stage,
    random: [u8; 8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Version,
    First,
    Second,
    Done,
}

/// The first byte is another protocol's, or that of an encrypted RTMP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("RTMP version {0} instead of 3")]
pub(super) struct BadVersion(pub(super) u8);

impl Handshake {
    /// `random` fills our part, so that two connections can be told apart.
    pub(super) fn new(random: [u8; 8]) -> Self {
        Self { stage: Stage::Version, random }
    }

    /// Takes its bytes from the front of `input` and appends the answer to `out`; true when it is done.
    pub(super) fn advance(&mut self, input: &mut BytesMut, out: &mut Vec<u8>) -> Result<bool, BadVersion> {
        if self.stage == Stage::Version && !input.is_empty() {
            let version = input.get_u8();
            if version != VERSION {
                return Err(BadVersion(version));
            }
            self.stage = Stage::First;
        }
        if self.stage == Stage::First && input.len() >= BLOCK {
            let theirs = input.split_to(BLOCK);
            out.push(VERSION);
            // Time 0, and zero: the sign of a side without digests.
            out.extend([0; 8]);
            out.extend(self.random.iter().cycle().take(BLOCK - 8));
            out.extend(theirs);
            self.stage = Stage::Second;
        }
        if self.stage == Stage::Second && input.len() >= BLOCK {
            input.advance(BLOCK);
            self.stage = Stage::Done;
        }
        Ok(self.stage == Stage::Done)
    }
}

const VERSION: u8 = 3;
const BLOCK: usize = 1536;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_by_byte_and_with_what_follows() {
        let mut client = vec![3];
        client.extend((0..BLOCK).map(|i| (i % 251) as u8));
        client.extend([7; BLOCK]);
        client.extend(b"rest");
        for step in [1, 2, 1_000, 1_537, client.len()] {
            let mut handshake = Handshake::new([9; 8]);
            let (mut input, mut out, mut done) = (BytesMut::new(), Vec::new(), false);
            for piece in client.chunks(step) {
                input.extend_from_slice(piece);
                done = handshake.advance(&mut input, &mut out).unwrap();
            }
            assert!(done);
            assert_eq!(&input[..], b"rest");
            assert_eq!(out.len(), 1 + 2 * BLOCK);
            assert_eq!(out[0], 3);
            assert_eq!(out[1 + BLOCK..], client[1..=BLOCK], "theirs comes back");
        }
    }

    #[test]
    fn other_protocols() {
        for first in [0, 6, b'G', 22] {
            let mut input = BytesMut::from(&[first, 0][..]);
            assert_eq!(
                Handshake::new([0; 8]).advance(&mut input, &mut Vec::new()),
                Err(BadVersion(first)),
                "{first}"
            );
        }
    }
}
