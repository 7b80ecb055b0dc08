//! Profiles and master keys.

use std::fmt;

use zeroize::Zeroizing;

use super::SrtpError;

/// SRTP protection profiles, in our order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// RFC 7714, 128-bit key.
    AeadAes128Gcm,
    /// RFC 7714, 256-bit key.
    AeadAes256Gcm,
    /// RFC 3711 AES counter mode with an 80-bit HMAC-SHA-1 tag.
    Aes128CmSha1_80,
}

impl Profile {
    /// All profiles, in our order of preference.
    pub const ALL: [Self; 3] = [Self::AeadAes128Gcm, Self::AeadAes256Gcm, Self::Aes128CmSha1_80];

    /// Length of the master key in bytes.
    pub const fn key_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::Aes128CmSha1_80 => 16,
            Self::AeadAes256Gcm => 32,
        }
    }

    /// Length of the master salt in bytes.
    pub const fn salt_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
            Self::Aes128CmSha1_80 => 14,
        }
    }

    /// Length of the authentication tag in bytes: what sealing adds to an RTP packet.
    pub const fn tag_len(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 16,
            Self::Aes128CmSha1_80 => 10,
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
            Self::Aes128CmSha1_80 => "AES128_CM_SHA1_80",
        })
    }
}

/// The master key and salt of one direction. Wiped when dropped; `Debug` hides it.
#[derive(Clone)]
pub struct MasterKey {
    profile: Profile,
    key: Zeroizing<Vec<u8>>,
    salt: Zeroizing<Vec<u8>>,
}

impl MasterKey {
    /// A key as a handshake exports it.
    ///
    /// # Errors
    /// `BadKey` when a length is not the profile's.
    pub fn new(profile: Profile, key: &[u8], salt: &[u8]) -> Result<Self, SrtpError> {
        if key.len() != profile.key_len() || salt.len() != profile.salt_len() {
            return Err(SrtpError::BadKey);
        }
        Ok(Self { profile, key: Zeroizing::new(key.to_vec()), salt: Zeroizing::new(salt.to_vec()) })
    }

    /// What the key is for.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }

    pub(super) fn salt(&self) -> &[u8] {
        &self.salt
    }
}

/// What a DTLS handshake agreed on.
#[derive(Clone)]
pub struct SrtpKeys {
    /// What we seal with.
    pub local: MasterKey,
    /// What we open with.
    pub remote: MasterKey,
}

impl SrtpKeys {
    /// Bytes of keying material that a handshake exports for `profile`.
    pub(crate) const fn material_len(profile: Profile) -> usize {
        2 * (profile.key_len() + profile.salt_len())
    }

    /// Splits exported keying material (RFC 5764 section 4.2: client key, server key, client salt, server
    /// salt) for the DTLS server, which is nearly always us.
    pub(crate) fn of_server(profile: Profile, material: &[u8]) -> Result<Self, SrtpError> {
        if material.len() != Self::material_len(profile) {
            return Err(SrtpError::BadKey);
        }
        let (keys, salts) = material.split_at(2 * profile.key_len());
        let (client_key, server_key) = keys.split_at(profile.key_len());
        let (client_salt, server_salt) = salts.split_at(profile.salt_len());
        Ok(Self {
            local: MasterKey::new(profile, server_key, server_salt)?,
            remote: MasterKey::new(profile, client_key, client_salt)?,
        })
    }

    /// What the peer has: for the DTLS client.
    pub(crate) fn of_the_other_side(self) -> Self {
        Self { local: self.remote, remote: self.local }
    }

    /// The profile of both directions.
    pub fn profile(&self) -> Profile {
        self.local.profile
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey").field("profile", &self.profile).finish_non_exhaustive()
    }
}

impl fmt::Debug for SrtpKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SrtpKeys").field("profile", &self.profile()).finish_non_exhaustive()
    }
}
