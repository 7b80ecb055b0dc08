//! What all handshakes share.

use openssl::ssl::{SslContext, SslMethod, SslOptions, SslSessionCacheMode, SslVerifyMode, SslVersion};

use super::{DtlsError, sys};

/// Settings shared by all handshakes. Thread safe, made once, cheap to clone.
#[derive(Clone)]
pub struct DtlsContext {
    context: SslContext,
}

/// The server's order decides, and GCM with the short key is the cheapest to seal.
const SRTP_PROFILES: &str = "SRTP_AEAD_AES_128_GCM:SRTP_AEAD_AES_256_GCM:SRTP_AES128_CM_SHA1_80";
/// What WebRTC stacks offer towards a P-256 certificate (RFC 8827 section 6.5), forward secret only.
const CIPHERS: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384:\
                       ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA";
/// P-224 is there for certificates only: FFmpeg 8 with GnuTLS makes its own of it, where RFC 8827 section 6.5 wants P-256.
const GROUPS: &str = "X25519:P-256:P-384:P-224";
/// Browsers send one certificate of about 300 bytes; OpenSSL alone would take 100 KiB.
const MAX_CERTIFICATE_BYTES: u16 = 16 * 1024;

impl DtlsContext {
    /// Prepares the shared settings.
    ///
    /// # Errors
    /// When OpenSSL lacks DTLS 1.2 or the ciphers.
    pub fn new() -> Result<Self, DtlsError> {
        let mut builder = SslContext::builder(SslMethod::dtls())?;
        builder.set_min_proto_version(Some(SslVersion::DTLS1_2))?;
        builder.set_cipher_list(CIPHERS)?;
        builder.set_groups_list(GROUPS)?;
        builder.set_tlsext_use_srtp(SRTP_PROFILES)?;
        // The MTU is ours to say: there is no socket to ask.
        builder.set_options(SslOptions::NO_TICKET | SslOptions::NO_QUERY_MTU | SslOptions::NO_RENEGOTIATION);
        builder.set_session_cache_mode(SslSessionCacheMode::OFF);
        // Any chain will do: the fingerprint of the SDP decides, once the peer has proved to hold the key.
        builder.set_verify_callback(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT, |_, _| true);
        sys::limit_certificates(&mut builder, MAX_CERTIFICATE_BYTES);
        Ok(Self { context: builder.build() })
    }

    pub(super) fn context(&self) -> &SslContext {
        &self.context
    }
}

impl std::fmt::Debug for DtlsContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DtlsContext").finish_non_exhaustive()
    }
}
