//! Commands (specification section 7.2): what publishers say, and what they hear.

use super::{
    amf0::{self, AmfError, Value, object},
    chunks::write_message,
    message::{Message, MessageType},
};

/// A command as it came.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Command {
    pub(super) name: String,
    /// Repeated in the answer.
    pub(super) transaction: f64,
    /// The command object, then whatever follows.
    pub(super) arguments: Vec<Value>,
}

impl Command {
    pub(super) fn read(body: &[u8]) -> Result<Self, AmfError> {
        let mut values = amf0::read(body)?.into_iter();
        let name = match values.next() {
            Some(Value::String(name)) => name,
            _ => String::new(),
        };
        let transaction = values.next().and_then(|value| value.as_f64()).unwrap_or(0.0);
        Ok(Self { name, transaction, arguments: values.collect() })
    }

    /// A text among the arguments; 0 is the command object.
    pub(super) fn text(&self, index: usize) -> Option<&str> {
        self.arguments.get(index).and_then(Value::as_str)
    }
}

/// What we said is whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Status,
    Error,
}

/// Writes commands and protocol control messages.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pub(super) out: Vec<u8>,
}

impl Writer {
    pub(super) fn control(&mut self, kind: MessageType, body: &[u8]) {
        write_message(&mut self.out, CONTROL_CHUNKS, &Message::new(kind, 0, body.to_vec()));
    }

    /// A user control message: an event and its number.
    pub(super) fn event(&mut self, event: u16, value: u32) {
        let mut body = event.to_be_bytes().to_vec();
        body.extend(value.to_be_bytes());
        self.control(MessageType::USER_CONTROL, &body);
    }

    pub(super) fn command(&mut self, stream_id: u32, name: &str, transaction: f64, arguments: &[Value]) {
        let mut body = Vec::new();
        amf0::write(&mut body, &[name.into(), transaction.into()]);
        amf0::write(&mut body, arguments);
        write_message(&mut self.out, COMMAND_CHUNKS, &Message::new(MessageType::COMMAND, stream_id, body));
    }

    pub(super) fn result(&mut self, transaction: f64, arguments: &[Value]) {
        self.command(0, "_result", transaction, arguments);
    }

    /// `onStatus` on a message stream.
    pub(super) fn status(&mut self, stream_id: u32, level: Level, code: &str, description: &str) {
        self.command(stream_id, "onStatus", 0.0, &[Value::Null, information(level, code, description)]);
    }
}

/// The object that tells how something went.
pub(super) fn information(level: Level, code: &str, description: &str) -> Value {
    let level = match level {
        Level::Status => "status",
        Level::Error => "error",
    };
    object([("level", level.into()), ("code", code.into()), ("description", description.into())])
}

const CONTROL_CHUNKS: u8 = 2;
const COMMAND_CHUNKS: u8 = 3;
