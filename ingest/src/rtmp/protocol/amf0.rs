//! AMF0, the notation of commands and metadata. Bounded in depth, number of values and, by the message, in bytes.

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Any number.
    Number(f64),
    /// Yes or no.
    Boolean(bool),
    /// Text; what is not UTF-8 in it is replaced.
    String(String),
    /// Named values, in their order; ECMA arrays and typed objects as well.
    Object(Vec<(String, Value)>),
    /// Values without names.
    Array(Vec<Value>),
    /// Nothing (also: undefined, unsupported).
    Null,
    /// Milliseconds since 1970.
    Date(f64),
}

/// Why some bytes are no AMF0 that a publisher would send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmfError {
    /// Ends in the middle of a value.
    #[error("AMF0 ends in the middle of a value")]
    Truncated,
    /// Objects within objects within objects.
    #[error("AMF0 deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// So many values that somebody wants to waste our memory.
    #[error("more than {MAX_VALUES} AMF0 values")]
    TooMany,
    /// A type that no encoder uses: references, movie clips, AMF3.
    #[error("AMF0 type {0}")]
    Type(u8),
}

impl Value {
    /// The text, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is one.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// A member of an object.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(key, _)| key == name).map(|(_, value)| value),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

/// An object of these members.
pub(super) fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    Value::Object(members.map(|(name, value)| (name.to_owned(), value)).into())
}

/// All values in a message's body.
///
/// # Errors
/// See [`AmfError`].
pub fn read(bytes: &[u8]) -> Result<Vec<Value>, AmfError> {
    let mut reader = Reader { rest: bytes, values: 0 };
    let mut values = Vec::new();
    while !reader.rest.is_empty() {
        values.push(reader.value(0)?);
    }
    Ok(values)
}

struct Reader<'a> {
    rest: &'a [u8],
    values: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], AmfError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(AmfError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, AmfError> {
        Ok(self.take(1)?[0])
    }

    fn u16(&mut self) -> Result<usize, AmfError> {
        let bytes = self.take(2)?;
        Ok(usize::from(u16::from_be_bytes([bytes[0], bytes[1]])))
    }

    fn u32(&mut self) -> Result<usize, AmfError> {
        let bytes = self.take(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize)
    }

    fn number(&mut self) -> Result<f64, AmfError> {
        let bytes = self.take(8)?;
        Ok(f64::from_be_bytes(bytes.try_into().map_err(|_| AmfError::Truncated)?))
    }

    fn text(&mut self, length: usize) -> Result<String, AmfError> {
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }

    fn value(&mut self, depth: usize) -> Result<Value, AmfError> {
        if depth > MAX_DEPTH {
            return Err(AmfError::TooDeep);
        }
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(AmfError::TooMany);
        }
        Ok(match self.byte()? {
            NUMBER => Value::Number(self.number()?),
            BOOLEAN => Value::Boolean(self.byte()? != 0),
            STRING => {
                let length = self.u16()?;
                Value::String(self.text(length)?)
            }
            OBJECT => self.members(depth)?,
            NULL | UNDEFINED | UNSUPPORTED => Value::Null,
            ECMA_ARRAY => {
                // The count is a hint that some encoders get wrong.
                self.u32()?;
                self.members(depth)?
            }
            STRICT_ARRAY => {
                let count = self.u32()?;
                let mut values = Vec::new();
                for _ in 0..count {
                    values.push(self.value(depth + 1)?);
                }
                Value::Array(values)
            }
            DATE => {
                let at = self.number()?;
                self.take(2)?; // a time zone that is always zero
                Value::Date(at)
            }
            LONG_STRING | XML => {
                let length = self.u32()?;
                Value::String(self.text(length)?)
            }
            TYPED_OBJECT => {
                let length = self.u16()?;
                self.take(length)?;
                self.members(depth)?
            }
            other => return Err(AmfError::Type(other)),
        })
    }

    fn members(&mut self, depth: usize) -> Result<Value, AmfError> {
        let mut members = Vec::new();
        loop {
            // An ECMA array without its end mark is seen at the end of `onMetaData`.
            if self.rest.is_empty() {
                return Ok(Value::Object(members));
            }
            let length = self.u16()?;
            let name = self.text(length)?;
            if name.is_empty() && self.rest.first() == Some(&OBJECT_END) {
                self.byte()?;
                return Ok(Value::Object(members));
            }
            members.push((name, self.value(depth + 1)?));
        }
    }
}

/// Appends values.
pub fn write(out: &mut Vec<u8>, values: &[Value]) {
    for value in values {
        match value {
            Value::Number(number) => {
                out.push(NUMBER);
                out.extend(number.to_be_bytes());
            }
            Value::Boolean(yes) => out.extend([BOOLEAN, u8::from(*yes)]),
            Value::String(text) if text.len() > usize::from(u16::MAX) => {
                out.push(LONG_STRING);
                out.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
                out.extend(text.as_bytes());
            }
            Value::String(text) => {
                out.push(STRING);
                name(out, text);
            }
            Value::Object(members) => {
                out.push(OBJECT);
                for (key, value) in members {
                    name(out, key);
                    write(out, std::slice::from_ref(value));
                }
                out.extend([0, 0, OBJECT_END]);
            }
            Value::Array(values) => {
                out.push(STRICT_ARRAY);
                out.extend(u32::try_from(values.len()).unwrap_or(u32::MAX).to_be_bytes());
                write(out, values);
            }
            Value::Null => out.push(NULL),
            Value::Date(at) => {
                out.push(DATE);
                out.extend(at.to_be_bytes());
                out.extend([0, 0]);
            }
        }
    }
}

/// Length and text, cut at what the length can say.
fn name(out: &mut Vec<u8>, text: &str) {
    let bytes = &text.as_bytes()[..text.len().min(usize::from(u16::MAX))];
    out.extend(u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend(bytes);
}

const NUMBER: u8 = 0;
const BOOLEAN: u8 = 1;
const STRING: u8 = 2;
const OBJECT: u8 = 3;
const NULL: u8 = 5;
const UNDEFINED: u8 = 6;
const ECMA_ARRAY: u8 = 8;
const OBJECT_END: u8 = 9;
const STRICT_ARRAY: u8 = 10;
const DATE: u8 = 11;
const LONG_STRING: u8 = 12;
const UNSUPPORTED: u8 = 13;
const XML: u8 = 15;
const TYPED_OBJECT: u8 = 16;

/// `connect` of an enhanced encoder has three.
const MAX_DEPTH: usize = 8;
/// OBS sends 20 in its metadata.
const MAX_VALUES: usize = 1_024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_connect_command() {
        let bytes = hex::decode(
            "020007636f6e6e656374003ff00000000000000300036170700200046c697665000663617073457800401000000000\
             0000000a666f757243634c6973740a0000000102000461766331000009",
        )
        .unwrap();
        let values = read(&bytes).unwrap();
        assert_eq!(values[0].as_str(), Some("connect"));
        assert_eq!(values[1].as_f64(), Some(1.0));
        assert_eq!(values[2].get("app").and_then(Value::as_str), Some("live"));
        assert_eq!(values[2].get("capsEx"), Some(&Value::Number(4.0)));
        assert_eq!(values[2].get("fourCcList"), Some(&Value::Array(vec!["avc1".into()])));
    }

    #[test]
    fn everything_unusual() {
        let read = |text: &str| read(&hex::decode(text.replace(' ', "")).unwrap());
        for (text, expected) in [
            ("", Ok(vec![])),
            ("05 06 0d", Ok(vec![Value::Null, Value::Null, Value::Null])),
            ("08 00000009 0001 61 0101 000009", Ok(vec![object([("a", Value::Boolean(true))])])),
            ("08 00000000 0001 61 0101", Ok(vec![object([("a", Value::Boolean(true))])])),
            ("10 0001 54 0001 61 05 000009", Ok(vec![object([("a", Value::Null)])])),
            ("0c 00000001 61", Ok(vec!["a".into()])),
            ("0b 0000000000000000 0000", Ok(vec![Value::Date(0.0)])),
            ("02 0001 ff", Ok(vec!["\u{fffd}".into()])),
            ("00 00", Err(AmfError::Truncated)),
            ("02 0005 61", Err(AmfError::Truncated)),
            ("0c ffffffff 61", Err(AmfError::Truncated)),
            ("0a ffffffff", Err(AmfError::Truncated)),
            ("07 0000", Err(AmfError::Type(7))),
            ("11", Err(AmfError::Type(17))),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        assert_eq!(read(&"0a 00000001 ".repeat(20)), Err(AmfError::TooDeep));
        assert_eq!(read(&"05".repeat(1_025)), Err(AmfError::TooMany));
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            (-1e9..1e9_f64).prop_map(Value::Number),
            any::<bool>().prop_map(Value::Boolean),
            "[a-z]{0,20}".prop_map(Value::String),
            Just(Value::Null),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                proptest::collection::vec(("[a-z]{1,8}", inner), 0..6).prop_map(Value::Object),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(values in proptest::collection::vec(values(), 0..5)) {
            let mut bytes = Vec::new();
            write(&mut bytes, &values);
            prop_assert_eq!(read(&bytes).unwrap(), values);
        }

        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _any = read(&bytes);
        }
    }
}
