//! Certificate fingerprints as SDP carries them (RFC 8122).

use std::fmt;
use std::str::FromStr;

use openssl::hash::MessageDigest;
use openssl::x509::X509Ref;

use super::DtlsError;

/// Hash functions we compare with. Weaker ones are not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FingerprintHash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl FingerprintHash {
    /// The name in SDP.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::Sha384 => "sha-384",
            Self::Sha512 => "sha-512",
        }
    }

    const fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    fn digest(self) -> MessageDigest {
        match self {
            Self::Sha256 => MessageDigest::sha256(),
            Self::Sha384 => MessageDigest::sha384(),
            Self::Sha512 => MessageDigest::sha512(),
        }
    }
}

/// A certificate's fingerprint. `Display` and `FromStr` use the form of SDP: `sha-256 AB:CD:...`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// The hash function.
    pub hash: FingerprintHash,
    /// The digest: 32, 48 or 64 bytes.
    pub bytes: Vec<u8>,
}

impl Fingerprint {
    /// The fingerprint of a certificate.
    pub(super) fn of(certificate: &X509Ref, hash: FingerprintHash) -> Result<Self, DtlsError> {
        Ok(Self { hash, bytes: certificate.digest(hash.digest())?.to_vec() })
    }

    /// Whether this is the fingerprint of `certificate`.
    pub(super) fn matches(&self, certificate: &X509Ref) -> bool {
        Self::of(certificate, self.hash).is_ok_and(|actual| actual == *self)
    }
}

/// Not a fingerprint that we can compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FingerprintError {
    /// The hash function is unknown or too weak.
    #[error("fingerprint hash is not sha-256, sha-384 or sha-512")]
    UnknownHash,
    /// The digest is not pairs of hexadecimal digits joined by colons, or has the wrong length.
    #[error("malformed fingerprint digest")]
    Malformed,
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hash.name())?;
        for (i, byte) in self.bytes.iter().enumerate() {
            write!(f, "{}{byte:02X}", if i == 0 { ' ' } else { ':' })?;
        }
        Ok(())
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let (name, digest) = text.trim().split_once(' ').ok_or(FingerprintError::Malformed)?;
        let hash = [FingerprintHash::Sha256, FingerprintHash::Sha384, FingerprintHash::Sha512]
            .into_iter()
            .find(|hash| hash.name().eq_ignore_ascii_case(name))
            .ok_or(FingerprintError::UnknownHash)?;
        let digest = digest.trim();
        // Two digits and a colon per byte, without the last colon.
        if digest.len() != 3 * hash.len() - 1 {
            return Err(FingerprintError::Malformed);
        }
        let bytes = digest
            .split(':')
            .map(|pair| match pair.as_bytes() {
                [high, low] => Some((nibble(*high)? << 4) | nibble(*low)?),
                _ => None,
            })
            .collect::<Option<Vec<u8>>>()
            .filter(|bytes| bytes.len() == hash.len())
            .ok_or(FingerprintError::Malformed)?;
        Ok(Self { hash, bytes })
    }
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_browsers_write() {
        let text = "sha-256 7B:8B:F0:65:5F:78:E2:51:3B:AC:6F:F3:3F:46:1B:35:DC:B8:5F:64:1A:24:C2:43:F0:A1:58:D0:A1:2C:19:08";
        let fingerprint: Fingerprint = text.parse().unwrap();
        assert_eq!(fingerprint.hash, FingerprintHash::Sha256);
        assert_eq!(fingerprint.bytes[..3], [0x7b, 0x8b, 0xf0]);
        assert_eq!(fingerprint.to_string(), text);
        assert_eq!(text.to_lowercase().parse(), Ok(fingerprint.clone()));
        assert_eq!(text.replace("sha-256", "SHA-256").parse(), Ok(fingerprint));
    }

    #[test]
    fn refuses_the_rest() {
        let digest = ["AB"; 32].join(":");
        for (text, error) in [
            (format!("sha-1 {}", ["AB"; 20].join(":")), FingerprintError::UnknownHash),
            (format!("md5 {digest}"), FingerprintError::UnknownHash),
            (format!("sha-512 {digest}"), FingerprintError::Malformed),
            ("sha-256".to_owned(), FingerprintError::Malformed),
            (format!("sha-256 {}", "ABC".repeat(32)), FingerprintError::Malformed),
            (format!("sha-256 {}", digest.replacen("AB", "G0", 1)), FingerprintError::Malformed),
            (format!("sha-256 {}", digest.replacen("AB:A", "A:AB", 1)), FingerprintError::Malformed),
            (format!("sha-256 {}", digest.replacen("AB", "+1", 1)), FingerprintError::Malformed),
        ] {
            assert_eq!(text.parse::<Fingerprint>(), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(bytes in proptest::collection::vec(any::<u8>(), 48)) {
            let fingerprint = Fingerprint { hash: FingerprintHash::Sha384, bytes };
            prop_assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        }

        #[test]
        fn never_panics(text in "(sha-256 )?\\PC{0,200}") {
            let _ = text.parse::<Fingerprint>();
        }
    }
}
