//! Session keys out of master keys (RFC 3711 section 4.3, RFC 6188 for 256 bits), key derivation rate 0.

use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use zeroize::Zeroizing;

use super::SrtpError;

/// What a derived key is for (RFC 3711 section 4.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Labels {
    pub(super) encryption: u8,
    pub(super) authentication: u8,
    pub(super) salt: u8,
}

pub(super) const RTP: Labels = Labels { encryption: 0, authentication: 1, salt: 2 };
pub(super) const RTCP: Labels = Labels { encryption: 3, authentication: 4, salt: 5 };

/// Derives `len` bytes. A salt shorter than 14 bytes is filled up with zeros on the right (RFC 7714 section
/// 11).
pub(super) fn derive(
    master_key: &[u8],
    master_salt: &[u8],
    label: u8,
    len: usize,
) -> Result<Zeroizing<Vec<u8>>, SrtpError> {
    let mut iv = [0; 16];
    iv.get_mut(..master_salt.len()).ok_or(SrtpError::BadKey)?.copy_from_slice(master_salt);
    iv[7] ^= label;
    let mut derived = Zeroizing::new(vec![0; len]);
    counter_mode_key(master_key)?
        .less_safe_encrypt(&mut derived, EncryptionContext::Iv128(iv.into()))
        .map_err(|_| SrtpError::BadKey)?;
    Ok(derived)
}

/// AES in counter mode under a key of 128 or 256 bits.
pub(super) fn counter_mode_key(key: &[u8]) -> Result<EncryptingKey, SrtpError> {
    let algorithm = match key.len() {
        16 => &AES_128,
        32 => &AES_256,
        _ => return Err(SrtpError::BadKey),
    };
    UnboundCipherKey::new(algorithm, key).and_then(EncryptingKey::ctr).map_err(|_| SrtpError::BadKey)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn check(key: &str, salt: &str, label: u8, expected: &str) {
        let expected = hex::decode(expected).unwrap();
        let derived =
            derive(&hex::decode(key).unwrap(), &hex::decode(salt).unwrap(), label, expected.len()).unwrap();
        assert_eq!(hex::encode(&*derived), hex::encode(expected), "label {label}");
    }

    #[test]
    fn rfc_3711_appendix_b_3() {
        let key = "e1f97a0d3e018be0d64fa32c06de4139";
        let salt = "0ec675ad498afeebb6960b3aabe6";
        check(key, salt, 0, "c61e7a93744f39ee10734afe3ff7a087");
        check(key, salt, 2, "30cbbc08863d8c85d49db34a9ae1");
        check(
            key,
            salt,
            1,
            "cebe321f6ff7716b6fd4ab49af256a156d38baa48f0a0acf3c34e2359e6cdbcee049646c43d9327ad175578ef7227098\
             6371c10c9a369ac2f94a8c5fbcdddc256d6e919a48b610ef17c2041e474035766b68642c59bbfc2f34db60dbdfb2dc68",
        );
    }

    #[test]
    fn rfc_6188_section_7_3() {
        let key = "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6";
        let salt = "3b04803de51ee7c96423ab5b78d2";
        check(key, salt, 0, "5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4");
        check(key, salt, 2, "fa31791685ca444a9e07c6c64e93");
        check(key, salt, 1, "fd9c32d39ed5fbb5a9dc96b30818454d1313dc05");
    }

    #[test]
    fn rfc_3711_appendix_b_2_keystream() {
        let key = hex::decode("2b7e151628aed2a6abf7158809cf4f3c").unwrap();
        let iv: [u8; 16] = hex::decode("f0f1f2f3f4f5f6f7f8f9fafbfcfd0000").unwrap().try_into().unwrap();
        let mut stream = [0; 48];
        counter_mode_key(&key)
            .unwrap()
            .less_safe_encrypt(&mut stream, EncryptionContext::Iv128(iv.into()))
            .unwrap();
        assert_eq!(
            hex::encode(stream),
            "e03ead0935c95e80e166b16dd92b4eb4d23513162b02d0f72a43a2fe4a5f97ab41e95b3bb0a2e8dd477901e4fca894c0"
        );
    }

    #[test]
    fn wrong_lengths_are_errors() {
        assert!(derive(&[0; 15], &[0; 14], 0, 16).is_err());
        assert!(derive(&[0; 16], &[0; 17], 0, 16).is_err());
    }
}
