//! One viewer session inside a worker, from its offer to its end. Everything here is sans-IO: moments and
//! randomness come in as arguments, what goes out lies in the worker's outbox.

pub(crate) mod capture_time;
pub(crate) mod cursor;
mod extensions;
mod fec;
mod fec_choice;
pub(crate) mod keyframe;
pub(crate) mod last_flight;
pub(crate) mod layer_choice;
mod layers;
pub(crate) mod line;
pub(crate) mod mailbox;
pub(crate) mod pace;
pub(crate) mod player;
pub(crate) mod resend;
pub(crate) mod squeeze;
pub(crate) mod track;
mod video;

use std::{
    fmt,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use heliograph_edge::{
    ice::IceLite,
    path::{Path, UdpPath},
};

use self::{
    last_flight::SentFlight,
    mailbox::Mailbox,
    player::{Player, PlayerMedia},
};
use crate::{
    CloseReason, PlayoutDelay, StreamId, Track,
    audience::{Seat, WaitingSeat},
    handshake::HandshakeLink,
};

/// A viewer session; never used again while the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(transparent)]
pub struct ViewerId(pub u64);

impl fmt::Display for ViewerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How long a session may take for what. Nobody's clock but ours is trusted with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// From our offer to the viewer's answer.
    pub(crate) answer: Duration,
    /// From the answer to keys.
    pub(crate) connect: Duration,
    /// Without an authenticated check from the present address (RFC 7675).
    pub(crate) silence: Duration,
    /// The same after an alert that may have been forged.
    pub(crate) silence_after_alert: Duration,
}

/// DTLS datagrams that may come before the viewer's answer does: its offer and its ClientHello travel on
/// different ways.
const EARLY_DATAGRAMS: usize = 4;
/// Addresses one viewer may own in the worker's table; the oldest goes first.
const ADDRESSES: usize = 8;

/// How far a session is.
pub(crate) enum Stage {
    /// Our description is out, the viewer's is not in.
    Signaling { early: Vec<Box<[u8]>> },
    /// DTLS.
    Handshaking { media: Box<PlayerMedia> },
    /// SRTP.
    Playing(Box<Player>),
}

/// One viewer session.
pub(crate) struct Viewer {
    pub(crate) id: ViewerId,
    pub(crate) stream: StreamId,
    pub(crate) ice: IceLite,
    /// Where the stream goes, copied from `ice` so that the hot path does not ask.
    pub(crate) path: Option<UdpPath>,
    /// Runs may be sent as one message; false after the kernel refused one on this path.
    pub(crate) runs: bool,
    pub(crate) stage: Stage,
    /// While the handshake thread keeps state for this viewer.
    pub(crate) handshake: Option<HandshakeLink>,
    /// From the keys until the viewer has shown that it has them, too.
    pub(crate) last_flight: Option<SentFlight>,
    /// When its first check was answered; then, how long it took for its DTLS to come, which waits for that answer.
    pub(crate) answered: Option<Instant>,
    pub(crate) trip: Option<Duration>,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) waiting: Option<WaitingSeat>,
    pub(crate) seat: Seat,
    /// Addresses in the worker's table that point here.
    pub(crate) addresses: Vec<SocketAddr>,
    /// When the present stage began.
    pub(crate) since: Instant,
    pub(crate) alerted: bool,
    /// The deadlines in the wheel that count; others are stale.
    pub(crate) fast_tick: u64,
    pub(crate) slow_tick: u64,
}

impl Viewer {
    /// The viewer's answer is in.
    pub(crate) fn on_answer(&mut self, now: Instant, media: PlayerMedia) -> Vec<Box<[u8]>> {
        let stage = std::mem::replace(&mut self.stage, Stage::Handshaking { media: Box::new(media) });
        self.since = now;
        match stage {
            Stage::Signaling { early } => early,
            _ => Vec::new(),
        }
    }

    /// Another playout delay. Before the answer there is nothing to change: it comes with that.
    pub(crate) fn set_playout(&mut self, playout: PlayoutDelay) {
        match &mut self.stage {
            Stage::Signaling { .. } => {}
            Stage::Handshaking { media } => media.playout = playout,
            Stage::Playing(player) => player.set_playout(playout),
        }
    }

    /// Which layer of the picture; `None`: as the network permits. Before the viewer is connected there is none.
    pub(crate) fn pick_layer(&mut self, layer: Option<Track>) {
        match &mut self.stage {
            Stage::Signaling { .. } => {}
            Stage::Handshaking { media } => media.layer = layer,
            Stage::Playing(player) => player.pick_layer(layer),
        }
    }

    /// Keeps a DTLS datagram that came before the answer.
    pub(crate) fn keep_early(&mut self, datagram: &[u8]) -> bool {
        match &mut self.stage {
            Stage::Signaling { early } if early.len() < EARLY_DATAGRAMS => {
                early.push(datagram.into());
                true
            }
            _ => false,
        }
    }

    /// Follows the path that ICE has selected. True when it changed.
    pub(crate) fn follow_path(&mut self) -> bool {
        let path = match self.ice.selected() {
            Some(Path::Udp(path)) => Some(path),
            // The worker has no TCP transport; ICE never selects what never arrives.
            Some(Path::Tcp(_)) | None => None,
        };
        let changed = path != self.path;
        if changed {
            self.path = path;
            // Another route, another MTU.
            self.runs = true;
        }
        changed
    }

    /// Notes that this viewer owns `address`; returns one that it gives up for it.
    pub(crate) fn own(&mut self, address: SocketAddr) -> Option<SocketAddr> {
        if self.addresses.contains(&address) {
            return None;
        }
        let given_up = (self.addresses.len() == ADDRESSES).then(|| self.addresses.remove(0));
        self.addresses.reserve_exact(1);
        self.addresses.push(address);
        given_up
    }

    /// Why the session has to end now, if it has to.
    pub(crate) fn overdue(&self, now: Instant, patience: &Patience) -> Option<CloseReason> {
        let age = now.saturating_duration_since(self.since);
        match self.stage {
            Stage::Signaling { .. } => (age > patience.answer).then_some(CloseReason::HandshakeTimeout),
            Stage::Handshaking { .. } => (age > patience.connect).then_some(CloseReason::HandshakeTimeout),
            Stage::Playing(_) => {
                let limit = if self.alerted { patience.silence_after_alert } else { patience.silence };
                let silence = self.ice.last_check().map_or(age, |at| now.saturating_duration_since(at));
                (silence > limit).then_some(CloseReason::ConsentLost)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewer_is_small() {
        let sizes = [size_of::<Viewer>(), size_of::<Player>(), size_of::<crate::ViewerHandle>()];
        println!("{sizes:?}");
        assert!(sizes.iter().sum::<usize>() < 5_000, "{sizes:?}");
    }
}
