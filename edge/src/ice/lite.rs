//! The decisions: who is answered, what moves.

use std::time::Instant;

use super::IceCredentials;
use crate::path::Path;

/// What became of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckOutcome {
    /// Not answered; the reason is for counters.
    Dropped(&'static str),
    /// Authenticated; the answer is in `out`.
    Answered {
        /// False for a transaction id seen in the last 30 s: such a check moves nothing, and must not make its sender the
        /// owner of an address either.
        fresh: bool,
        /// The stream goes to another path from now on.
        selected_changed: bool,
    },
}

/// ICE-lite for one viewer.
#[derive(Debug)]
pub struct IceLite {}

impl IceLite {
    /// Starts with our credentials; the peer's fragment may come later than its first checks.
    pub fn new(_local: IceCredentials) -> Self {
        todo!()
    }

    /// The peer's fragment, from its SDP. Checks under another name are dropped from now on. Its password is never needed:
    /// we send no checks.
    pub fn set_remote(&mut self, _ufrag: &str) {
        todo!()
    }

    /// ICE restart: checks under `local` count; those under the old credentials are answered until the first new one.
    pub fn restart(&mut self, _local: IceCredentials, _remote_ufrag: &str) {
        todo!()
    }

    /// Takes a STUN datagram. `out` is cleared and gets the answer to send back on `path`; it stays empty when there is none.
    pub fn on_datagram(
        &mut self,
        _now: Instant,
        _path: Path,
        _datagram: &[u8],
        _out: &mut Vec<u8>,
    ) -> CheckOutcome {
        todo!()
    }

    /// Where the stream goes: the path the peer nominated.
    pub fn selected(&self) -> Option<Path> {
        todo!()
    }

    /// When the selected path last carried an authenticated, fresh check. Silence is counted from here.
    pub fn last_check(&self) -> Option<Instant> {
        todo!()
    }

    /// Whether an authenticated, fresh check came over this path: only then is it fed to DTLS.
    pub fn validated(&self, _path: Path) -> bool {
        todo!()
    }
}
