//! A certificate for one session.

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::{X509, X509Name};

use super::{DtlsError, Fingerprint, FingerprintHash};

/// A fresh self-signed P-256 certificate with its key. One per viewer session, so that nobody can link two
/// sessions.
pub struct Identity {
    key: PKey<Private>,
    certificate: X509,
    fingerprint: Fingerprint,
}

const SERIAL_BITS: i32 = 128;
const NAME_BITS: i32 = 64;
/// Peers look at the fingerprint, never at the dates; a day in the past forgives a wrong clock all the same.
const VALID_BEFORE_SECONDS: i64 = 24 * 3600;
const VALID_DAYS: u32 = 30;

impl Identity {
    /// Makes a key and a certificate: random serial, random common name. Takes well under a millisecond.
    ///
    /// # Errors
    /// When OpenSSL fails, which means no memory or no randomness.
    pub fn generate() -> Result<Self, DtlsError> {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
        let key = PKey::from_ec_key(EcKey::generate(&group)?)?;

        let mut name = X509Name::builder()?;
        name.append_entry_by_nid(Nid::COMMONNAME, &random(NAME_BITS)?.to_hex_str()?.to_lowercase())?;
        let name = name.build();

        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs() as i64);
        let not_before = Asn1Time::from_unix(now - VALID_BEFORE_SECONDS)?;
        let not_after = Asn1Time::days_from_now(VALID_DAYS)?;
        let serial = random(SERIAL_BITS)?.to_asn1_integer()?;

        let mut certificate = X509::builder()?;
        certificate.set_version(2)?;
        certificate.set_serial_number(&serial)?;
        certificate.set_subject_name(&name)?;
        certificate.set_issuer_name(&name)?;
        certificate.set_not_before(&not_before)?;
        certificate.set_not_after(&not_after)?;
        certificate.set_pubkey(&key)?;
        certificate.sign(&key, MessageDigest::sha256())?;
        let certificate = certificate.build();

        let fingerprint = Fingerprint::of(&certificate, FingerprintHash::Sha256)?;
        Ok(Self { key, certificate, fingerprint })
    }

    /// The certificate's SHA-256 fingerprint, for our SDP.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    pub(super) fn key(&self) -> &PKey<Private> {
        &self.key
    }

    pub(super) fn certificate(&self) -> &X509 {
        &self.certificate
    }
}

fn random(bits: i32) -> Result<BigNum, DtlsError> {
    let mut number = BigNum::new()?;
    number.rand(bits, MsbOption::ONE, false)?;
    Ok(number)
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn two_identities_have_nothing_in_common() {
        let (a, b) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        assert_ne!(a.fingerprint(), b.fingerprint());
        assert!(a.fingerprint().matches(a.certificate()) && !a.fingerprint().matches(b.certificate()));
        let name = |identity: &Identity| {
            let subject = identity.certificate().subject_name();
            let entry = subject.entries().next().unwrap();
            entry.data().to_string().unwrap()
        };
        assert_ne!(name(&a), name(&b));
        let serial = |identity: &Identity| identity.certificate().serial_number().to_bn().unwrap();
        assert_ne!(serial(&a), serial(&b));
    }
}
