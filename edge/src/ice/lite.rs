//! The decisions: who is answered, what moves.

use std::fmt;
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;

use super::IceCredentials;
use super::seen::SeenTransactions;
use super::stun::{self, Check};
use crate::path::Path;

/// What became of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckOutcome {
    /// Not answered; the reason is for counters.
    Dropped(&'static str),
    /// Authenticated; the answer is in `out`.
    Answered {
        /// False for a transaction id seen in the last 30 s (and for checks answered with an error): such a
        /// check moves nothing, and must not make its sender the owner of an address either.
        fresh: bool,
        /// The stream goes to another path from now on.
        selected_changed: bool,
    },
}

/// A nomination with higher priority protects its path this long. Firefox nominates every pair that works,
/// best first or not; afterwards the last nomination counts, because then the peer has changed its mind or
/// its network.
const NOMINATION_HOLDS: Duration = Duration::from_secs(1);
/// Validated paths kept; a peer with more interfaces than this loses the oldest.
const MAX_PATHS: usize = 16;

/// ICE-lite for one viewer.
#[derive(Debug)]
pub struct IceLite {
    local: Local,
    /// Credentials before a restart, answered until the first check under the new ones.
    previous: Option<Box<Local>>,
    seen: SeenTransactions,
    /// Oldest check first.
    validated: Vec<Path>,
    selected: Option<Selected>,
}

struct Local {
    ufrag: Box<str>,
    /// Not as a key, which weighs more than a kilobyte: checks come every few seconds.
    pwd: Box<str>,
    remote_ufrag: Option<Box<str>>,
}

/// Without the password.
impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Selected {
    path: Path,
    last_check: Instant,
    nominated: Option<Nomination>,
}

#[derive(Clone, Copy, Debug)]
struct Nomination {
    at: Instant,
    priority: u32,
}

impl IceLite {
    /// Starts with our credentials; the peer's fragment may come later than its first checks.
    pub fn new(local: &IceCredentials) -> Self {
        Self {
            local: Local::new(local, None),
            previous: None,
            seen: SeenTransactions::default(),
            validated: Vec::new(),
            selected: None,
        }
    }

    /// The peer's fragment, from its SDP. Checks under another name are dropped from now on. Its password is
    /// never needed: we send no checks.
    pub fn set_remote(&mut self, ufrag: &str) {
        self.local.remote_ufrag = Some(ufrag.into());
    }

    /// ICE restart: checks under `local` count; those under the old credentials are answered until the first
    /// new one. The stream stays on its path until the peer nominates again.
    pub fn restart(&mut self, local: &IceCredentials, remote_ufrag: &str) {
        let old = std::mem::replace(&mut self.local, Local::new(local, Some(remote_ufrag.into())));
        self.previous = Some(Box::new(old));
        if let Some(selected) = &mut self.selected {
            selected.nominated = None;
        }
    }

    /// Takes a STUN datagram. `out` is cleared and gets the answer to send back on `path`; it stays empty
    /// when there is none.
    pub fn on_datagram(
        &mut self,
        now: Instant,
        path: Path,
        datagram: &[u8],
        out: &mut Vec<u8>,
    ) -> CheckOutcome {
        out.clear();
        let check = match Check::parse(datagram) {
            Ok(check) => check,
            Err(reason) => return CheckOutcome::Dropped(reason),
        };
        let (credentials, current) = if self.local.is_named(&check.username) {
            (&self.local, true)
        } else if let Some(previous) = self.previous.as_deref().filter(|old| old.is_named(&check.username)) {
            (previous, false)
        } else {
            return CheckOutcome::Dropped("unknown user name");
        };
        let key = credentials.key();
        if !check.is_authentic(datagram, &key) {
            return CheckOutcome::Dropped("wrong MESSAGE-INTEGRITY");
        }

        let nothing_moves = CheckOutcome::Answered { fresh: false, selected_changed: false };
        if !check.unknown.is_empty() {
            stun::write_unknown_attributes(&check, &key, out);
            return nothing_moves;
        }
        if check.controlled {
            stun::write_role_conflict(&check, &key, out);
            return nothing_moves;
        }
        stun::write_success(&check, path, &key, out);
        if !self.seen.note(now, check.transaction) {
            return nothing_moves;
        }
        self.note_validated(path);
        if current {
            self.previous = None;
        }
        let selected_changed = self.note_check(now, path, &check, current);
        CheckOutcome::Answered { fresh: true, selected_changed }
    }

    /// Where we send to: the path the peer nominated; before that, the first on which it proved itself.
    pub fn selected(&self) -> Option<Path> {
        self.selected.as_ref().map(|selected| selected.path)
    }

    /// When the selected path last carried an authenticated, fresh check. Silence is counted from here.
    pub fn last_check(&self) -> Option<Instant> {
        self.selected.as_ref().map(|selected| selected.last_check)
    }

    /// Whether an authenticated, fresh check came over this path: only then is it fed to DTLS.
    pub fn validated(&self, path: Path) -> bool {
        self.validated.contains(&path)
    }

    /// Books a fresh check; true when the stream moves.
    fn note_check(&mut self, now: Instant, path: Path, check: &Check, current: bool) -> bool {
        let nomination =
            (check.use_candidate && current).then_some(Nomination { at: now, priority: check.priority });
        match &mut self.selected {
            Some(selected) if selected.path == path => {
                selected.last_check = now;
                if nomination.is_some() {
                    selected.nominated = nomination;
                }
                false
            }
            Some(selected) if nomination.is_some_and(|new| selected.yields_to(now, new)) => {
                *selected = Selected { path, last_check: now, nominated: nomination };
                true
            }
            // Browsers shake hands as soon as their first check is answered, and nominate some 40 ms later. Waiting for
            // that would lose the first flight of every handshake.
            None => {
                self.selected = Some(Selected { path, last_check: now, nominated: nomination });
                true
            }
            _ => false,
        }
    }

    fn note_validated(&mut self, path: Path) {
        if let Some(at) = self.validated.iter().position(|known| *known == path) {
            self.validated.remove(at);
        } else if self.validated.len() >= MAX_PATHS {
            let selected = self.selected();
            let oldest = self.validated.iter().position(|known| Some(*known) != selected).unwrap_or(0);
            self.validated.remove(oldest);
        }
        // Most peers have one.
        self.validated.reserve_exact(1);
        self.validated.push(path);
    }
}

impl Selected {
    fn yields_to(&self, now: Instant, new: Nomination) -> bool {
        self.nominated.is_none_or(|held| {
            now.saturating_duration_since(held.at) >= NOMINATION_HOLDS || held.priority <= new.priority
        })
    }
}

impl Local {
    fn new(credentials: &IceCredentials, remote_ufrag: Option<Box<str>>) -> Self {
        Self { ufrag: credentials.ufrag.as_str().into(), pwd: credentials.pwd.as_str().into(), remote_ufrag }
    }

    fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.pwd.as_bytes())
    }

    /// Whether a USERNAME is ours and, once we know it, the peer's (RFC 8445 section 7.2.2).
    fn is_named(&self, username: &str) -> bool {
        let Some((ours, theirs)) = username.split_once(':') else { return false };
        ours == &*self.ufrag && self.remote_ufrag.as_deref().is_none_or(|remote| remote == theirs)
    }
}
