//! A certificate for one session.

use super::{DtlsError, Fingerprint};

/// A fresh self-signed P-256 certificate with its key. One per viewer session, so that nobody can link two sessions.
pub struct Identity {
    fingerprint: Fingerprint,
}

impl Identity {
    /// Makes a key and a certificate (about 50 us): random serial, random common name.
    ///
    /// # Errors
    /// When OpenSSL fails, which means no memory or no randomness.
    pub fn generate() -> Result<Self, DtlsError> {
        todo!()
    }

    /// The certificate's SHA-256 fingerprint, for our SDP.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }
}
