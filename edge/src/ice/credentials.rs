//! User name fragment and password of our side, and what the fragment says to our own demultiplexer.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Where a viewer lives, written into the user name fragment so that a check finds its owner without a table
/// of addresses.
///
/// It is a hint for demultiplexing and proves nothing: only MESSAGE-INTEGRITY does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Route {
    /// Which egress worker.
    pub worker: u16,
    /// Which place in that worker's table of viewers.
    pub slot: u32,
}

/// Our side's ICE credentials (RFC 8445 section 5.3). `Debug` hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    /// 16 characters: worker, slot and 48 random bits.
    pub ufrag: String,
    /// 32 characters, 192 random bits.
    pub pwd: String,
}

/// Characters of a fragment: 12 bytes in base64 without padding, whose alphabet is exactly ICE's.
pub(super) const UFRAG_LEN: usize = 16;
const RANDOM_UFRAG_BYTES: usize = 6;
const PWD_BYTES: usize = 24;

impl IceCredentials {
    /// Fresh credentials for the viewer at `route`.
    pub fn generate(route: Route, rng: &mut impl rand::CryptoRng) -> Self {
        let mut ufrag = [0; 6 + RANDOM_UFRAG_BYTES];
        ufrag[..2].copy_from_slice(&route.worker.to_be_bytes());
        ufrag[2..6].copy_from_slice(&route.slot.to_be_bytes());
        rng.fill_bytes(&mut ufrag[6..]);
        let mut pwd = [0; PWD_BYTES];
        rng.fill_bytes(&mut pwd);
        Self { ufrag: STANDARD_NO_PAD.encode(ufrag), pwd: STANDARD_NO_PAD.encode(pwd) }
    }
}

impl Route {
    /// Reads the route out of a fragment of ours; `None` when it cannot be one.
    pub(super) fn of_ufrag(ufrag: &[u8]) -> Option<Self> {
        if ufrag.len() != UFRAG_LEN {
            return None;
        }
        let mut bytes = [0; 12];
        STANDARD_NO_PAD.decode_slice(ufrag, &mut bytes).ok()?;
        Some(Self {
            worker: u16::from_be_bytes([bytes[0], bytes[1]]),
            slot: u32::from_be_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]),
        })
    }
}

impl fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceCredentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}
