//! Certificate fingerprints as SDP carries them (RFC 8122).

use std::fmt;
use std::str::FromStr;

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

/// A certificate's fingerprint. `Display` and `FromStr` use the form of SDP: `sha-256 AB:CD:...`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// The hash function.
    pub hash: FingerprintHash,
    /// The digest: 32, 48 or 64 bytes.
    pub bytes: Vec<u8>,
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
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(_text: &str) -> Result<Self, FingerprintError> {
        todo!()
    }
}
