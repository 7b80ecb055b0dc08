//! What all doors share: who is a stranger, who may publish, who holds which channel, and the way to the relay.
//!
//! A door brings a publisher through three rooms: a [`Place`] among the strangers of its address, then a [`Guest`] with a
//! proven key, then a [`Seat`] that holds the channel. Leaving a room, also by dropping it, does what leaving calls for:
//! the authoriser hears of the end, and the grace time of the channel begins.

mod ceiling;
mod channels;
mod doorkeeper;
mod guest;
mod key;
mod least_delay;
mod link;
mod reports;
mod seat;
mod settings;
mod snapshot;

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use heliograph_media::Bitrate;
use heliograph_relay::{AllocateError, Allocator, ChannelName, StreamRequest};
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::auth::{Attempt, Authoriser, Door, EndReason, Ending, SessionId, Verdict};
use channels::{Channels, Generation};
use doorkeeper::{AddressGroup, Doorkeeper, Penalty};
use link::RelayLink;
use seat::Handle;

pub use ceiling::BitrateLimits;
pub use guest::{Guest, Refusal};
pub use key::PlainKey;
pub use seat::{Seat, SeatEvent};
pub use settings::{HouseSettings, Takeover};
pub use snapshot::PublisherSnapshot;

/// The publishers' side of the server, behind all doors; open until [`Self::shutdown`].
pub struct House {
    settings: HouseSettings,
    authoriser: Arc<dyn Authoriser>,
    allocator: Arc<dyn Allocator>,
    stop: CancellationToken,
    sessions: TaskTracker,
    /// Events on their way to the authoriser.
    events: TaskTracker,
    channels: Mutex<Channels<RelayLink, Handle>>,
    doorkeeper: Mutex<Doorkeeper>,
    /// Channels whose streamer ended them, and until when they stay closed.
    held: Mutex<HashMap<ChannelName, Instant>>,
}

impl House {
    /// Needs a tokio runtime from the first publisher on.
    #[must_use]
    pub fn new(
        settings: HouseSettings,
        authoriser: Arc<dyn Authoriser>,
        allocator: Arc<dyn Allocator>,
    ) -> Arc<Self> {
        Arc::new(Self {
            channels: Mutex::new(Channels::new(
                settings.takeover,
                settings.takeover_silence,
                settings.restart_silence.min(settings.takeover_silence),
            )),
            doorkeeper: Mutex::new(Doorkeeper::new(
                settings.unauthenticated_per_address,
                settings.unauthenticated_total,
            )),
            held: Mutex::default(),
            settings,
            authoriser,
            allocator,
            stop: CancellationToken::new(),
            sessions: TaskTracker::new(),
            events: TaskTracker::new(),
        })
    }

    /// Cancelled when the house closes. Doors stop to listen then, and their sessions end with
    /// [`EndReason::ServerShutdown`].
    #[must_use]
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Where doors run their listeners and sessions, so that a shutdown waits for them.
    #[must_use]
    pub fn sessions(&self) -> &TaskTracker {
        &self.sessions
    }

    /// A place among the strangers of an address, while it is held; `None` when too many are there.
    #[must_use]
    pub fn enter(self: &Arc<Self>, ip: IpAddr) -> Option<Place> {
        let group = AddressGroup::from(ip);
        self.doorkeeper().enter(group).then(|| Place { house: Arc::clone(self), group })
    }

    /// Shows the proof of a stranger to the authoriser. A wrong one is answered later and later. The authoriser hears of
    /// the end of whoever left meanwhile, so this future may be dropped at any time.
    ///
    /// # Errors
    /// The key is wrong, or nobody could tell.
    pub async fn admit(self: &Arc<Self>, attempt: Attempt, place: Place) -> Result<Guest, Refusal> {
        let ip = attempt.remote.ip().to_canonical();
        let networks = &self.settings.networks;
        if !networks.is_empty() && !networks.iter().any(|network| network.contains(&ip)) {
            let why = "not from an allowed network";
            self.refuse(&place, attempt.door, attempt.remote, why).await;
            return Err(Refusal { reason: EndReason::ForeignNetwork, why: why.to_owned() });
        }
        let house = Arc::clone(self);
        let (sender, verdict) = tokio::sync::oneshot::channel();
        self.events.spawn(async move {
            let result = house.judge(attempt, place).await;
            // Dropped when nobody waits any more: the guest then reports its own end.
            drop(sender.send(result));
        });
        verdict.await.unwrap_or(Err(Refusal { reason: EndReason::Internal, why: String::new() }))
    }

    /// The same for a key in the clear, see [`PlainKey`]. The key must be one of the channel that was named beside it.
    ///
    /// # Errors
    /// As [`Self::admit`].
    pub async fn admit_key(
        self: &Arc<Self>,
        session: SessionId,
        door: Door,
        remote: SocketAddr,
        key: Option<&PlainKey>,
        place: Place,
    ) -> Result<Guest, Refusal> {
        let attempt = key.and_then(|key| key.attempt(&*self.authoriser, session, door, remote));
        let Some(attempt) = attempt else {
            let why = "no key, or no such channel";
            self.refuse(&place, door, remote, why).await;
            return Err(Refusal::denied(why));
        };
        let guest = self.admit(attempt, place).await?;
        match key.and_then(PlainKey::channel) {
            Some(named) if named != guest.channel() => {
                guest.end(EndReason::Denied);
                Err(Refusal::denied("the key of another channel"))
            }
            _ => Ok(guest),
        }
    }

    async fn judge(self: &Arc<Self>, attempt: Attempt, place: Place) -> Result<Guest, Refusal> {
        let asked = timeout(crate::auth::CHECK_DEADLINE, self.authoriser.check(attempt.clone()));
        let verdict = asked.await.unwrap_or_else(|_| Verdict::unavailable("no verdict in time"));
        let channel_id = attempt.channel_id;
        match verdict {
            Verdict::Allow { channel, name } => {
                tracing::info!(%channel, channel_id, door = %attempt.door, "publisher let in");
                Ok(Guest::new(self, &attempt, channel, name))
            }
            Verdict::Deny { reason } => {
                self.refuse(&place, attempt.door, attempt.remote, &reason).await;
                Err(Refusal::denied(reason))
            }
            Verdict::Unavailable { reason } => {
                tracing::error!(channel_id, door = %attempt.door, %reason, "no verdict on a publisher");
                Err(Refusal { reason: EndReason::NoVerdict, why: reason })
            }
        }
    }

    /// For whoever has shown no key, or a wrong one: its address waits, longer with each. The log hears of it, though not of
    /// every one when there are many.
    pub async fn refuse(&self, place: &Place, door: Door, remote: SocketAddr, reason: &str) {
        let Penalty { wait, tries, tell } = self.doorkeeper().wrong_key(Instant::now(), place.group);
        if let Some(untold) = tell {
            let remote = remote.ip().to_canonical();
            tracing::warn!(%door, %remote, reason, tries, untold, "publisher refused");
        }
        tokio::time::sleep(wait).await;
    }

    /// Who is publishing, and how it goes; at most a second old.
    #[must_use]
    pub fn snapshot(&self) -> Vec<PublisherSnapshot> {
        let handles: Vec<_> = self.channels().holders().map(|(_, handle)| handle.clone()).collect();
        handles.iter().filter_map(Handle::snapshot).collect()
    }

    /// Who publishes on the channel, and how it goes; at most a second old.
    #[must_use]
    pub fn publisher(&self, channel: &ChannelName) -> Option<PublisherSnapshot> {
        let handle = self.channels().holder(channel).cloned();
        handle?.snapshot()
    }

    /// What the channel may send, if there is a limit.
    #[must_use]
    pub fn bitrate_limit(&self, channel: &ChannelName) -> Option<Bitrate> {
        self.settings.bitrate.of(channel)
    }

    /// Ends whoever publishes on the channel, with this reason. False when nobody does.
    pub fn end(&self, channel: &ChannelName, reason: EndReason) -> bool {
        self.channels().holder(channel).is_some_and(|handle| handle.order(reason))
    }

    /// Ends whoever publishes on the channel ([`EndReason::EndedByStreamer`]) and keeps the channel closed for so long,
    /// since encoders come back by themselves whatever they are told. False when nobody was publishing.
    pub fn hold(&self, channel: &ChannelName, time: Duration) -> bool {
        let now = Instant::now();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, until| *until > now);
        held.insert(channel.clone(), now + time);
        drop(held);
        self.end(channel, EndReason::EndedByStreamer)
    }

    /// Opens a channel again that [`Self::hold`] closed.
    pub fn open(&self, channel: &ChannelName) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(channel);
    }

    /// Until when the channel is closed; `None` when it is open.
    #[must_use]
    pub fn held_until(&self, channel: &ChannelName) -> Option<Instant> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(channel).copied().filter(|until| *until > Instant::now())
    }

    /// Whether a person or program at `remote` holds the key of a channel, and of which: for doors through which nobody
    /// publishes. Judged like a publisher, and slowed down like one.
    ///
    /// # Errors
    /// As [`Self::admit`]; [`EndReason::TooManyConnections`] when too many strangers come from there.
    pub async fn channel_of(
        self: &Arc<Self>,
        door: Door,
        remote: SocketAddr,
        key: Option<&PlainKey>,
    ) -> Result<ChannelName, Refusal> {
        let place = self.enter(remote.ip()).ok_or(Refusal {
            reason: EndReason::TooManyConnections,
            why: "too many strangers from there".to_owned(),
        })?;
        let session = SessionId(rand::random());
        let guest = self.admit_key(session, door, remote, key, place).await?;
        let channel = guest.channel().clone();
        guest.end(EndReason::Disconnected);
        Ok(channel)
    }

    /// Ends every publisher ([`EndReason::ServerShutdown`]), gives the relay its ports back and reports the ends to the
    /// authoriser. What is not done by `deadline` is dropped.
    pub async fn shutdown(&self, deadline: Duration) {
        self.stop.cancel();
        self.sessions.close();
        let work = async {
            self.sessions.wait().await;
            let links = self.channels().take_links();
            for link in links {
                self.release(link.port).await;
            }
            self.events.close();
            self.events.wait().await;
        };
        if timeout(deadline, work).await.is_err() {
            tracing::warn!(?deadline, "the publishers' side did not close in time");
        }
    }

    fn channels(&self) -> MutexGuard<'_, Channels<RelayLink, Handle>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn doorkeeper(&self) -> MutexGuard<'_, Doorkeeper> {
        self.doorkeeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the relay for the channel's port. A port that is there already is confirmed, and its socket kept, so that
    /// the relay sees the same sender as before.
    async fn link(
        &self,
        request: StreamRequest,
        present: Option<RelayLink>,
    ) -> Result<RelayLink, AllocateError> {
        let allocation = timeout(RELAY_DEADLINE, self.allocator.allocate(request))
            .await
            .map_err(|_| AllocateError::Unreachable(format!("no answer in {RELAY_DEADLINE:?}")))??;
        if let Some(present) = present.filter(|present| present.port == allocation.port) {
            return Ok(present);
        }
        RelayLink::connect(self.settings.relay_addr, allocation.port)
            .map_err(|error| AllocateError::Unreachable(error.to_string()))
    }

    /// Waits for the grace time, then gives the channel's port back unless a publisher returned.
    async fn release_after_grace(&self, name: &ChannelName, generation: Generation) {
        tokio::select! {
            () = tokio::time::sleep(self.settings.grace) => {}
            () = self.stop.cancelled() => return, // shutdown gives everything back
        }
        let gate = self.channels().gate(name);
        let _gate = gate.lock().await;
        let link = self.channels().expire(name, generation);
        if let Some(link) = link {
            tracing::info!(channel = %name, relay_port = link.port, "no publisher returned; the channel ends");
            self.release(link.port).await;
            self.channels().forget(name);
        }
    }

    /// Gives a relay port back. Failing that, the relay will notice by itself that nothing comes.
    async fn release(&self, port: u16) {
        match timeout(RELAY_DEADLINE, self.allocator.release(port)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(relay_port = port, %error, "cannot give a relay port back"),
            Err(_) => tracing::warn!(relay_port = port, "cannot give a relay port back: no answer"),
        }
    }
}

/// One connection's place among the strangers of its address.
pub struct Place {
    house: Arc<House>,
    group: AddressGroup,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.house.doorkeeper().leave(self.group);
    }
}

const RELAY_DEADLINE: Duration = Duration::from_secs(3);
