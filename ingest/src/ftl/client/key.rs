//! The stream key as a streamer types it: `<channel id><separator><secret>`.

use std::fmt;

use aws_lc_rs::hmac;

use super::error::ClientError;

/// Longest secret the SDK's buffers take, in bytes.
const MAX_SECRET: usize = 99;

/// A stream key, split into the channel id and the secret. `Debug` hides the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct StreamKey {
    channel_id: u32,
    secret: Vec<u8>,
}

impl StreamKey {
    /// Reads `1234-secret`. The first `-`, `,` or `_` separates; the secret may hold further ones; a leading
    /// `re_` is ignored, and text that is no number gives channel 0, all of it as the SDK does.
    pub fn parse(text: &str) -> Result<Self, ClientError> {
        let text = text.trim();
        let text = text.strip_prefix("re_").unwrap_or(text);
        let at =
            text.find(['-', ',', '_']).ok_or(ClientError::BadKey("no `-` between channel id and secret"))?;
        let (id, secret) = (&text[..at], &text[at + 1..]);
        if secret.is_empty() {
            return Err(ClientError::BadKey("nothing after the `-`"));
        }
        if secret.len() > MAX_SECRET {
            return Err(ClientError::BadKey("the secret is longer than 99 bytes"));
        }
        Ok(Self { channel_id: leading_number(id), secret: secret.as_bytes().to_vec() })
    }

    /// The channel id: also the audio SSRC; the video SSRC is one higher.
    pub fn channel_id(&self) -> u32 {
        self.channel_id
    }

    /// The channel id as it is printed on the wire: as a signed number.
    pub(super) fn signed_id(&self) -> i32 {
        self.channel_id.cast_signed()
    }

    /// The answer to a challenge: HMAC-SHA-512 with the secret as its key, in lower-case hex.
    pub fn answer(&self, challenge: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA512, &self.secret);
        hex::encode(hmac::sign(&key, challenge))
    }
}

impl fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamKey({}, hidden)", self.channel_id)
    }
}

/// `atol` into 32 bits: the digits in front, wrapped; 0 without any.
fn leading_number(text: &str) -> u32 {
    let mut value: u32 = 0;
    for digit in text.bytes().take_while(u8::is_ascii_digit) {
        value = value.wrapping_mul(10).wrapping_add(u32::from(digit - b'0'));
    }
    value
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn splits_like_the_sdk() {
        for (text, id, secret) in [
            ("1234-exampleKey", 1234, "exampleKey"),
            ("77-a-b_c,d", 77, "a-b_c,d"),
            ("77_abc", 77, "abc"),
            ("77,abc", 77, "abc"),
            ("re_55-abc", 55, "abc"),
            ("live_x-abc", 0, "x-abc"),
            ("3000000000-k", 3_000_000_000, "k"),
        ] {
            let key = StreamKey::parse(text).unwrap();
            assert_eq!((key.channel_id, key.secret.as_slice()), (id, secret.as_bytes()), "{text}");
        }
        assert_eq!(StreamKey::parse("3000000000-k").unwrap().signed_id(), -1_294_967_296);
    }

    #[test]
    fn refuses_keys_that_cannot_work() {
        for text in ["", "1234", "1234-", &format!("1-{}", "x".repeat(100))] {
            assert!(StreamKey::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn answers_the_worked_example() {
        let challenge: Vec<u8> = (0..16).collect();
        assert_eq!(
            StreamKey::parse("1234-exampleKey").unwrap().answer(&challenge),
            "8b71b822d4e3640c364174e031838e7d6473528d804a786d50edab487878a99b\
             f35da041df43d556443387c130a6dbe12b1d1da5f0c68812c0a20bd0ef53ca24"
        );
    }

    #[test]
    fn debug_hides_the_secret() {
        let shown = format!("{:?}", StreamKey::parse("9-topsecret").unwrap());
        assert!(!shown.contains("topsecret"), "{shown}");
    }
}
