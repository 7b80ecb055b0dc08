//! The session cipher of one direction and one protocol: for RTP expanded once and used for every packet, for RTCP
//! kept as the key that it is made of.
//!
//! RTP and RTCP differ only in what is authenticated and where the index stands, which is their callers'
//! business; nonce and initial vector have one form for both, because the SRTCP index is a 48-bit index whose
//! upper bits are zero.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{EncryptingKey, EncryptionContext};
use aws_lc_rs::{constant_time, hmac};
use zeroize::Zeroizing;

use super::kdf::{self, Labels};
use super::{MasterKey, Profile, SrtpError};

pub(super) enum SessionCipher {
    Gcm(Gcm),
    /// Boxed: its HMAC state is the larger part, and few viewers need it.
    Cm(Box<CmSha1>),
}

pub(super) struct Gcm {
    key: LessSafeKey,
    salt: [u8; 12],
}

pub(super) struct CmSha1 {
    key: EncryptingKey,
    salt: [u8; 14],
    authentication: hmac::Key,
}

pub(super) const GCM_TAG: usize = 16;
pub(super) const CM_TAG: usize = 10;
const HMAC_SHA1_KEY: usize = 20;

/// What a session cipher is made of, in an eighth of its memory. Expanding it takes less than a microsecond: nothing
/// for what is used a few times a second.
pub(super) struct SessionKey {
    profile: Profile,
    key: Zeroizing<[u8; 32]>,
    salt: [u8; 14],
    authentication: Zeroizing<[u8; HMAC_SHA1_KEY]>,
}

impl SessionKey {
    pub(super) fn derive(master: &MasterKey, labels: Labels) -> Result<Self, SrtpError> {
        let profile = master.profile();
        let derive = |label, len| kdf::derive(master.key(), master.salt(), label, len);
        let key = derive(labels.encryption, profile.key_len())?;
        let salt = derive(labels.salt, profile.salt_len())?;
        let authentication = match profile {
            Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => Zeroizing::default(),
            Profile::Aes128CmSha1_80 => derive(labels.authentication, HMAC_SHA1_KEY)?,
        };
        Ok(Self::new(profile, &key, &salt, &authentication))
    }

    /// From session keys as long as the profile's.
    pub(super) fn new(profile: Profile, key: &[u8], salt: &[u8], authentication: &[u8]) -> Self {
        let mut new =
            Self { profile, key: Zeroizing::default(), salt: [0; 14], authentication: Zeroizing::default() };
        new.key[..key.len()].copy_from_slice(key);
        new.salt[..salt.len()].copy_from_slice(salt);
        new.authentication[..authentication.len()].copy_from_slice(authentication);
        new
    }

    pub(super) fn expand(&self) -> Result<SessionCipher, SrtpError> {
        let key = &self.key[..self.profile.key_len()];
        let salt = &self.salt[..self.profile.salt_len()];
        match self.profile {
            Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => Ok(SessionCipher::Gcm(Gcm::new(key, salt)?)),
            Profile::Aes128CmSha1_80 => {
                Ok(SessionCipher::Cm(Box::new(CmSha1::new(key, salt, &self.authentication[..])?)))
            }
        }
    }
}

impl SessionCipher {
    pub(super) fn new(master: &MasterKey, labels: Labels) -> Result<Self, SrtpError> {
        SessionKey::derive(master, labels)?.expand()
    }

    #[inline]
    pub(super) fn tag_len(&self) -> usize {
        match self {
            Self::Gcm(_) => GCM_TAG,
            Self::Cm(_) => CM_TAG,
        }
    }
}

impl Gcm {
    /// From session keys, 16 or 32 bytes.
    pub(super) fn new(key: &[u8], salt: &[u8]) -> Result<Self, SrtpError> {
        let algorithm = if key.len() == 32 { &AES_256_GCM } else { &AES_128_GCM };
        Ok(Self {
            key: LessSafeKey::new(UnboundKey::new(algorithm, key).map_err(|_| SrtpError::BadKey)?),
            salt: salt.try_into().map_err(|_| SrtpError::BadKey)?,
        })
    }

    /// RFC 7714 sections 8.1 and 9.1: two zero bytes, SSRC, 48-bit index, all XORed with the salt.
    fn nonce(&self, ssrc: [u8; 4], index: u64) -> Nonce {
        let mut nonce = self.salt;
        xor(&mut nonce[2..6], &ssrc);
        xor(&mut nonce[6..], &index.to_be_bytes()[2..]);
        Nonce::assume_unique_for_key(nonce)
    }

    /// Encrypts `parts` into `out`, which is as long as both and the tag.
    #[inline]
    pub(super) fn seal(
        &self,
        ssrc: [u8; 4],
        index: u64,
        authenticated: &[u8],
        parts: [&[u8]; 2],
        out: &mut [u8],
    ) -> Result<(), SrtpError> {
        // Only the first input takes the fast path, so a lone second part goes there.
        let (bulk, extra) = if parts[0].is_empty() { (parts[1], parts[0]) } else { (parts[0], parts[1]) };
        let (bulk_out, rest) = out.split_at_mut(bulk.len());
        self.key
            .seal_out_of_place_scatter(
                self.nonce(ssrc, index),
                Aad::from(authenticated),
                bulk,
                bulk_out,
                extra,
                rest,
            )
            .map_err(|_| SrtpError::NoRoom)
    }

    /// Decrypts ciphertext and tag in place; the plain text is as long as the ciphertext without the tag.
    pub(super) fn open(
        &self,
        ssrc: [u8; 4],
        index: u64,
        authenticated: &[u8],
        in_out: &mut [u8],
    ) -> Result<(), SrtpError> {
        self.key
            .open_in_place(self.nonce(ssrc, index), Aad::from(authenticated), in_out)
            .map(|_| ())
            .map_err(|_| SrtpError::NotAuthentic)
    }
}

impl CmSha1 {
    /// From session keys: 16 bytes, 14 bytes, 20 bytes.
    pub(super) fn new(key: &[u8], salt: &[u8], authentication: &[u8]) -> Result<Self, SrtpError> {
        Ok(Self {
            key: kdf::counter_mode_key(key)?,
            salt: salt.try_into().map_err(|_| SrtpError::BadKey)?,
            authentication: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, authentication),
        })
    }

    /// Encrypts or decrypts in place (RFC 3711 section 4.1.1): SSRC at bit 64, index at bit 16, XORed with
    /// the salt.
    pub(super) fn apply_keystream(
        &self,
        ssrc: [u8; 4],
        index: u64,
        in_out: &mut [u8],
    ) -> Result<(), SrtpError> {
        let mut iv = [0; 16];
        iv[..14].copy_from_slice(&self.salt);
        xor(&mut iv[4..8], &ssrc);
        xor(&mut iv[8..14], &index.to_be_bytes()[2..]);
        self.key
            .less_safe_encrypt(in_out, EncryptionContext::Iv128(iv.into()))
            .map(|_| ())
            .map_err(|_| SrtpError::NoRoom)
    }

    /// The tag over `packet`, followed by the rollover counter for RTP.
    pub(super) fn tag(&self, packet: &[u8], rollover: &[u8]) -> [u8; CM_TAG] {
        let mut context = hmac::Context::with_key(&self.authentication);
        context.update(packet);
        context.update(rollover);
        let mut tag = [0; CM_TAG];
        tag.copy_from_slice(&context.sign().as_ref()[..CM_TAG]);
        tag
    }

    /// Compares in constant time.
    pub(super) fn verify(&self, packet: &[u8], rollover: &[u8], tag: &[u8]) -> Result<(), SrtpError> {
        constant_time::verify_slices_are_equal(&self.tag(packet, rollover), tag)
            .map_err(|_| SrtpError::NotAuthentic)
    }
}

fn xor(target: &mut [u8], with: &[u8]) {
    for (t, w) in target.iter_mut().zip(with) {
        *t ^= w;
    }
}
