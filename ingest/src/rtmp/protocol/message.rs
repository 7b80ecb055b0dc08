//! Messages (specification sections 5.4, 6.2 and 7.1).

use std::fmt;

use bytes::Bytes;

/// One whole message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub kind: MessageType,
    /// Message stream: 0 for the connection, others come from `createStream`.
    pub stream_id: u32,
    /// Milliseconds on the sender's clock; wraps.
    pub timestamp: u32,
    /// What it says.
    pub body: Bytes,
}

/// The number that says what a message is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageType(pub u8);

impl MessageType {
    /// The sender's chunks get longer.
    pub const SET_CHUNK_SIZE: Self = Self(1);
    /// A message that was begun is not finished.
    pub const ABORT: Self = Self(2);
    /// So many bytes have arrived.
    pub const ACKNOWLEDGEMENT: Self = Self(3);
    /// Stream begins, pings.
    pub const USER_CONTROL: Self = Self(4);
    /// Acknowledge each time so many bytes have arrived.
    pub const WINDOW_ACK_SIZE: Self = Self(5);
    /// Leave no more than so many bytes without acknowledgement.
    pub const SET_PEER_BANDWIDTH: Self = Self(6);
    /// One FLV audio tag's body.
    pub const AUDIO: Self = Self(8);
    /// One FLV video tag's body.
    pub const VIDEO: Self = Self(9);
    /// `onMetaData` in AMF3 (which is one byte and AMF0 again).
    pub const DATA_AMF3: Self = Self(15);
    /// A command in AMF3, as above.
    pub const COMMAND_AMF3: Self = Self(17);
    /// `onMetaData`.
    pub const DATA: Self = Self(18);
    /// A command.
    pub const COMMAND: Self = Self(20);
}

impl fmt::Debug for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageType({})", self.0)
    }
}
