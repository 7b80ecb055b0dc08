//! The proof an FTL client gives: HMAC-SHA-512 over the challenge, keyed with the channel's secret.

use aws_lc_rs::hmac;

use crate::secret::Secret;

/// Bytes of an HMAC-SHA-512 digest; 128 hex digits on the wire.
pub const DIGEST_BYTES: usize = 64;

/// What a client that knows `secret` answers to `challenge`.
#[must_use]
pub fn digest(secret: &Secret, challenge: &[u8]) -> [u8; DIGEST_BYTES] {
    let tag = hmac::sign(&key(secret), challenge);
    tag.as_ref().try_into().expect("HMAC-SHA-512 has 64 bytes")
}

/// Whether `given` proves knowledge of `secret`; takes the same time wherever the first difference is.
#[must_use]
pub fn proves(secret: &Secret, challenge: &[u8], given: &[u8; DIGEST_BYTES]) -> bool {
    hmac::verify(&key(secret), challenge, given).is_ok()
}

fn key(secret: &Secret) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA512, secret.reveal().as_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// Reproduced by a real client: key `1234-exampleKey`, challenge bytes 00 to 0f.
    const KNOWN: &str = "8b71b822d4e3640c364174e031838e7d6473528d804a786d50edab487878a99b\
                         f35da041df43d556443387c130a6dbe12b1d1da5f0c68812c0a20bd0ef53ca24";

    #[test]
    fn known_answer() {
        let secret = Secret::new("exampleKey").unwrap();
        let challenge: Vec<u8> = (0..16).collect();
        assert_eq!(hex::encode(digest(&secret, &challenge)), KNOWN);
    }

    #[test]
    fn one_wrong_bit_is_wrong() {
        let secret = Secret::new("with-separators_in,it").unwrap();
        let challenge = [7; 128];
        let right = digest(&secret, &challenge);
        assert!(proves(&secret, &challenge, &right));
        for bit in [0, 255, 511] {
            let mut wrong = right;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(!proves(&secret, &challenge, &wrong));
        }
        assert!(!proves(&secret, &challenge[1..], &right));
    }
}
