//! The chunk stream (specification section 5.3): messages are cut into chunks, those of several messages interleaved.

use std::collections::HashMap;

use bytes::{Buf as _, Bytes, BytesMut};

use super::message::{Message, MessageType};

/// Puts messages together. Every bound is on what has really arrived: a length that is only announced costs nothing.
#[derive(Debug)]
pub struct ChunkReader {
    buffer: BytesMut,
    streams: HashMap<u32, ChunkStream>,
    /// The chunk whose payload is being read, and how much of it is still to come.
    current: Option<(u32, usize)>,
    chunk_size: usize,
    max_message: usize,
    /// Bytes of all messages that are not complete.
    unfinished: usize,
}

/// What the headers of one chunk stream have said so far, and the message on it.
#[derive(Debug, Default)]
struct ChunkStream {
    kind: u8,
    stream_id: u32,
    length: usize,
    timestamp: u32,
    /// Added when a message begins without a header of its own.
    delta: u32,
    /// The header's three bytes of time were all ones: the time stands in four bytes of their own.
    extended: Option<u32>,
    body: BytesMut,
    begun: bool,
    known: bool,
}

/// Why a chunk stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// A message is longer than it may be now.
    #[error("a message of {length} bytes, {limit} are allowed")]
    MessageTooLong {
        /// What the header says.
        length: usize,
        /// The bound.
        limit: usize,
    },
    /// Too many chunk streams, or too much in messages that are never finished.
    #[error("too much at once")]
    TooMuch,
    /// A chunk refers to a header that never came, or changes the message in its middle.
    #[error("a chunk that fits nothing")]
    OutOfPlace,
    /// A chunk size of zero.
    #[error("chunk size 0")]
    ChunkSize,
}

impl ChunkReader {
    /// No message may be longer than `max_message` bytes.
    #[must_use]
    pub fn new(max_message: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            streams: HashMap::new(),
            current: None,
            chunk_size: FIRST_CHUNK_SIZE,
            max_message,
            unfinished: 0,
        }
    }

    /// From now on, messages may have so many bytes.
    pub fn set_max_message(&mut self, bytes: usize) {
        self.max_message = bytes;
    }

    /// Adds what arrived. Call [`Self::next_message`] until it gives nothing before adding more, and the reader holds
    /// no more than a header and unfinished messages.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// What was pushed and not yet read.
    pub(super) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next whole message. Chunk size and abort messages are obeyed here and not handed out.
    ///
    /// # Errors
    /// See [`ChunkError`]; the reader is of no use after one.
    pub fn next_message(&mut self) -> Result<Option<Message>, ChunkError> {
        loop {
            let (id, left) = match self.current {
                Some(current) => current,
                None => match self.header()? {
                    Some(begun) => begun,
                    None => return Ok(None),
                },
            };
            let take = left.min(self.buffer.len());
            let stream = self.streams.get_mut(&id).ok_or(ChunkError::OutOfPlace)?;
            stream.body.extend_from_slice(&self.buffer[..take]);
            self.buffer.advance(take);
            self.unfinished += take;
            if self.unfinished > MAX_UNFINISHED.max(self.max_message) {
                return Err(ChunkError::TooMuch);
            }
            if take < left {
                self.current = Some((id, left - take));
                return Ok(None);
            }
            self.current = None;
            if stream.body.len() < stream.length {
                continue;
            }
            stream.begun = false;
            self.unfinished -= stream.body.len();
            let message = Message {
                kind: MessageType(stream.kind),
                stream_id: stream.stream_id,
                timestamp: stream.timestamp,
                body: std::mem::take(&mut stream.body).freeze(),
            };
            match message.kind {
                MessageType::SET_CHUNK_SIZE => self.set_chunk_size(&message.body)?,
                MessageType::ABORT => self.abort(&message.body),
                _ => return Ok(Some(message)),
            }
        }
    }

    /// Reads one chunk's header; `None` when it is not all there. Gives the chunk stream and the payload's length.
    fn header(&mut self) -> Result<Option<(u32, usize)>, ChunkError> {
        let Some((format, id, mut at)) = basic_header(&self.buffer) else { return Ok(None) };
        if !self.streams.contains_key(&id) {
            if format == 3 {
                return Err(ChunkError::OutOfPlace);
            }
            if self.streams.len() >= MAX_CHUNK_STREAMS {
                return Err(ChunkError::TooMuch);
            }
        }
        let length = [11, 7, 3, 0][usize::from(format)];
        let Some(fields) = self.buffer.get(at..at + length) else { return Ok(None) };
        at += length;
        let short = match fields {
            [a, b, c, ..] => Some(u32::from_be_bytes([0, *a, *b, *c])),
            _ => None,
        };
        let stream = self.streams.get(&id);
        let begins = stream.is_none_or(|stream| !stream.begun);
        if !begins && format != 3 {
            return Err(ChunkError::OutOfPlace);
        }
        let extended = match short {
            Some(short) => short == EXTENDED,
            None => stream.is_some_and(|stream| stream.extended.is_some()),
        };
        let mut wide = None;
        if extended {
            let Some(&[a, b, c, d]) = self.buffer.get(at..at + 4) else { return Ok(None) };
            let time = u32::from_be_bytes([a, b, c, d]);
            // Some encoders leave the four bytes out of the chunks that continue a message; then payload stands here.
            if begins || stream.is_some_and(|stream| stream.extended == Some(time)) {
                at += 4;
            }
            wide = Some(time);
        }
        let fields: [u8; 11] = {
            let mut all = [0; 11];
            all[..length].copy_from_slice(fields);
            all
        };
        let stream = self.streams.entry(id).or_default();
        if format != 0 && !stream.known {
            return Err(ChunkError::OutOfPlace);
        }
        if let Some(short) = short {
            let time = wide.unwrap_or(short);
            stream.extended = wide;
            stream.delta = time;
            if format == 0 {
                stream.timestamp = time;
                stream.stream_id = u32::from_le_bytes([fields[7], fields[8], fields[9], fields[10]]);
                stream.known = true;
            } else {
                stream.timestamp = stream.timestamp.wrapping_add(time);
            }
            if format < 2 {
                let length = u32::from_be_bytes([0, fields[3], fields[4], fields[5]]) as usize;
                stream.length = length;
                stream.kind = fields[6];
            }
        } else if begins {
            if wide.is_some() {
                stream.extended = wide;
            }
            stream.delta = wide.unwrap_or(stream.delta);
            stream.timestamp = stream.timestamp.wrapping_add(stream.delta);
        }
        if stream.length > self.max_message {
            return Err(ChunkError::MessageTooLong { length: stream.length, limit: self.max_message });
        }
        stream.begun = true;
        let payload = (stream.length - stream.body.len()).min(self.chunk_size);
        self.buffer.advance(at);
        Ok(Some((id, payload)))
    }

    fn set_chunk_size(&mut self, body: &[u8]) -> Result<(), ChunkError> {
        let Some(&[a, b, c, d]) = body.get(..4) else { return Ok(()) };
        let size = u32::from_be_bytes([a & 0x7f, b, c, d]) as usize;
        if size == 0 {
            return Err(ChunkError::ChunkSize);
        }
        self.chunk_size = size;
        Ok(())
    }

    fn abort(&mut self, body: &[u8]) {
        let Some(&[a, b, c, d]) = body.get(..4) else { return };
        if let Some(stream) = self.streams.get_mut(&u32::from_be_bytes([a, b, c, d])) {
            self.unfinished -= stream.body.len();
            stream.body.clear();
            stream.begun = false;
        }
    }
}

/// Format, chunk stream and length of the first header (section 5.3.1.1).
fn basic_header(buffer: &[u8]) -> Option<(u8, u32, usize)> {
    let &first = buffer.first()?;
    let format = first >> 6;
    Some(match first & 0x3f {
        0 => (format, 64 + u32::from(*buffer.get(1)?), 2),
        1 => (format, 64 + u32::from(*buffer.get(1)?) + 256 * u32::from(*buffer.get(2)?), 3),
        id => (format, u32::from(id), 1),
    })
}

/// Appends one message in chunks. Ours are small and rare, so each has a header of its own, and their chunks stay as
/// short as they are at the start.
pub fn write_message(out: &mut Vec<u8>, chunk_stream: u8, message: &Message) {
    let length = u32::try_from(message.body.len()).unwrap_or(u32::MAX).to_be_bytes();
    let time = message.timestamp.min(EXTENDED).to_be_bytes();
    out.push(chunk_stream & 0x3f);
    out.extend(&time[1..]);
    out.extend(&length[1..]);
    out.push(message.kind.0);
    out.extend(message.stream_id.to_le_bytes());
    for (number, piece) in message.body.chunks(FIRST_CHUNK_SIZE).enumerate() {
        if number > 0 {
            out.push(0xc0 | chunk_stream & 0x3f);
        }
        if message.timestamp >= EXTENDED {
            out.extend(message.timestamp.to_be_bytes());
        }
        out.extend(piece);
    }
}

impl Message {
    /// A message on message stream `stream_id`, at time 0.
    #[must_use]
    pub fn new(kind: MessageType, stream_id: u32, body: impl Into<Bytes>) -> Self {
        Self { kind, stream_id, timestamp: 0, body: body.into() }
    }
}

/// Until the sender says otherwise.
const FIRST_CHUNK_SIZE: usize = 128;
/// Encoders use three to six.
const MAX_CHUNK_STREAMS: usize = 32;
/// Several messages may be under way at once; one of them may be as long as a message may be.
const MAX_UNFINISHED: usize = 128 << 10;
const EXTENDED: u32 = 0x00ff_ffff;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all(bytes: &[u8], step: usize) -> Result<Vec<Message>, ChunkError> {
        let mut reader = ChunkReader::new(1 << 20);
        let mut messages = Vec::new();
        for piece in bytes.chunks(step.max(1)) {
            reader.push(piece);
            while let Some(message) = reader.next_message()? {
                messages.push(message);
            }
        }
        Ok(messages)
    }

    fn hex(text: &str) -> Vec<u8> {
        hex::decode(text.replace([' ', '\n'], "")).unwrap()
    }

    fn shapes(text: &str) -> Result<Vec<(u8, u32, u32, usize)>, ChunkError> {
        let bytes = hex(text);
        let messages = read_all(&bytes, bytes.len())?;
        assert_eq!(read_all(&bytes, 1)?, messages, "byte by byte");
        Ok(messages
            .iter()
            .map(|message| (message.kind.0, message.stream_id, message.timestamp, message.body.len()))
            .collect())
    }

    #[test]
    fn all_header_types() {
        // The four headers in turn: full; same stream; same length; same everything.
        let text = "04 0003e8 000002 08 01000000 aabb  44 000014 000001 09 cc  84 000015 dd  c4 ee  c4 ff";
        assert_eq!(
            shapes(text),
            Ok(vec![
                (8, 1, 1_000, 2),
                (9, 1, 1_020, 1),
                (9, 1, 1_041, 1),
                (9, 1, 1_062, 1),
                (9, 1, 1_083, 1),
            ])
        );
        // After a full header, its time is the step (section 5.3.1.2.4).
        assert_eq!(shapes("04 00000a 000001 08 01000000 aa c4 bb"), Ok(vec![(8, 1, 10, 1), (8, 1, 20, 1)]));
    }

    #[test]
    fn wide_chunk_stream_numbers() {
        assert_eq!(shapes("00 05 000001 000001 08 01000000 aa"), Ok(vec![(8, 1, 1, 1)]));
        assert_eq!(shapes("01 05 02 000001 000001 08 01000000 aa"), Ok(vec![(8, 1, 1, 1)]));
    }

    #[test]
    fn long_messages_come_in_chunks_and_interleaved() {
        let body = "11".repeat(128);
        let rest = "22".repeat(72);
        let text = format!("04 000000 0000c8 09 01000000 {body} 05 000007 000001 08 01000000 aa c4 {rest}");
        assert_eq!(shapes(&text), Ok(vec![(8, 1, 7, 1), (9, 1, 0, 200)]));
    }

    #[test]
    fn extended_time() {
        let body = "11".repeat(128);
        let rest = "22".repeat(2);
        for text in [
            // With the four bytes again in the chunk that continues, as the specification wants it ...
            format!("04 ffffff 000082 09 01000000 01000000 {body} c4 01000000 {rest}"),
            // ... and without, as some encoders send.
            format!("04 ffffff 000082 09 01000000 01000000 {body} c4 {rest} 05 000000 000001 08 01000000 aa"),
        ] {
            let found = shapes(&text).unwrap();
            assert_eq!(found[0], (9, 1, 1 << 24, 130), "{text}");
        }
        // A step may be extended as well, and is kept for the next message.
        assert_eq!(
            shapes("04 000000 000001 08 01000000 aa 84 ffffff 01000000 bb c4 01000000 cc"),
            Ok(vec![(8, 1, 0, 1), (8, 1, 1 << 24, 1), (8, 1, 2 << 24, 1)])
        );
    }

    #[test]
    fn chunk_size_and_abort_are_obeyed() {
        let body = "11".repeat(200);
        let size = "02 000000 000004 01 00000000 000000c8";
        assert_eq!(shapes(&format!("{size} 04 000000 0000c8 09 01000000 {body}")), Ok(vec![(9, 1, 0, 200)]));
        let half = "11".repeat(128);
        let abort = "02 000000 000004 02 00000000 00000004";
        assert_eq!(
            shapes(&format!("04 000000 0000c8 09 01000000 {half} {abort} 04 000005 000001 08 01000000 aa")),
            Ok(vec![(8, 1, 5, 1)])
        );
    }

    #[test]
    fn an_empty_message() {
        assert_eq!(shapes("04 000000 000000 08 01000000"), Ok(vec![(8, 1, 0, 0)]));
    }

    #[test]
    fn malformed() {
        let half = "11".repeat(128);
        for (text, error) in [
            ("c4".to_owned(), ChunkError::OutOfPlace),
            ("44 000014 000001 09 cc".to_owned(), ChunkError::OutOfPlace),
            (
                "04 000000 ffffff 09 01000000".to_owned(),
                ChunkError::MessageTooLong { length: 0xff_ffff, limit: 1 << 20 },
            ),
            ("02 000000 000004 01 00000000 00000000".to_owned(), ChunkError::ChunkSize),
            (
                format!("04 000000 0000c8 09 01000000 {half} 04 000000 0000c8 09 01000000 {half}"),
                ChunkError::OutOfPlace,
            ),
            (
                (2..40).map(|id| format!("{id:02x} 000000 000001 08 01000000 aa")).collect(),
                ChunkError::TooMuch,
            ),
        ] {
            assert_eq!(shapes(&text), Err(error), "{text}");
        }
    }

    #[test]
    fn unfinished_messages_are_bounded() {
        let mut reader = ChunkReader::new(64 << 10);
        let mut result = Ok(None);
        let size = hex("02 000000 000004 01 00000000 00010000");
        reader.push(&size);
        for id in 3..30_u8 {
            // All but the last byte of the longest message.
            let mut chunk = vec![id];
            chunk.extend(hex("000000 010000 09 01000000"));
            chunk.extend(vec![0; 65_535]);
            reader.push(&chunk);
            result = reader.next_message();
            if result.is_err() {
                break;
            }
            // The chunk is not over, so the next header would be read as its payload: give it its last byte later.
            reader.current = None;
        }
        assert_eq!(result, Err(ChunkError::TooMuch));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            messages in proptest::collection::vec(
                (8..10_u8, any::<u32>(), 0..10_000_usize), 0..6),
            step in 1..5_000_usize,
        ) {
            let mut bytes = Vec::new();
            let messages: Vec<_> = messages
                .into_iter()
                .map(|(kind, timestamp, length)| Message {
                    kind: MessageType(kind),
                    stream_id: 1,
                    timestamp,
                    body: vec![kind; length].into(),
                })
                .filter(|message| !message.body.is_empty() || message.timestamp < EXTENDED)
                .collect();
            for message in &messages {
                write_message(&mut bytes, 4, message);
            }
            prop_assert_eq!(read_all(&bytes, step).unwrap(), messages);
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..600), step in 1..100_usize) {
            let _any = read_all(&bytes, step);
        }
    }
}
