//! Which channels are live, who holds them, and who may take them over.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use heliograph_relay::ChannelName;

use super::Takeover;
use crate::auth::SessionId;

/// All channels that have a publisher, or had one a moment ago. `L` is the way to the relay, `S` the way to the
/// session's task.
#[derive(Debug)]
pub(super) struct Channels<L, S> {
    takeover: Takeover,
    takeover_silence: Duration,
    restart_silence: Duration,
    channels: HashMap<ChannelName, Channel<L, S>>,
}

#[derive(Debug)]
struct Channel<L, S> {
    holder: Option<Holder<S>>,
    /// Kept through take-overs and the grace time: same relay port, same sending socket.
    link: Option<L>,
    last_takeover: Option<Instant>,
    /// Changes with every holder, so that an old grace timer finds itself outdated.
    generation: u64,
    gate: Gate,
}

/// Held while a channel's port is asked for or given back, so that a publisher who returns in just that moment does
/// not get a port that is about to vanish.
pub(super) type Gate = Arc<tokio::sync::Mutex<()>>;

#[derive(Debug)]
struct Holder<S> {
    session: SessionId,
    handle: S,
    /// Addresses that this session took the channel from.
    ousted: Vec<IpAddr>,
}

/// The answer to a claim.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Claim<L, S> {
    Granted {
        /// Whom to stop, when the channel was live.
        ousted: Option<S>,
        /// The way to the relay that is already there.
        link: Option<L>,
    },
    InUse,
    /// The one that holds it comes from the same address, and may be the same publisher's session from before it was
    /// killed: ask again at this moment. Whoever cannot wait is to take it as [`Self::InUse`].
    PerhapsAt(Instant),
}

/// Remembers how to tell a grace timer from an outdated one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generation(u64);

/// What the registry needs to know of a session.
pub(super) trait SessionHandle: Clone {
    fn address(&self) -> IpAddr;
    /// The last time its UDP was heard, or when it got its port.
    fn last_heard(&self) -> Instant;
    /// Whether any of its media was heard.
    fn has_sent(&self) -> bool;
}

impl<L: Clone, S: SessionHandle> Channels<L, S> {
    pub(super) fn new(takeover: Takeover, takeover_silence: Duration, restart_silence: Duration) -> Self {
        Self { takeover, takeover_silence, restart_silence, channels: HashMap::new() }
    }

    /// A publisher with the right key wants the channel. When granted, it is the holder from now on.
    pub(super) fn claim(
        &mut self,
        now: Instant,
        name: &ChannelName,
        session: SessionId,
        handle: S,
    ) -> Claim<L, S> {
        let channel = self.channels.entry(name.clone()).or_insert_with(|| Channel {
            holder: None,
            link: None,
            last_takeover: None,
            generation: 0,
            gate: Gate::default(),
        });
        let mut holder = Holder { session, handle, ousted: Vec::new() };
        let mut ousted = None;
        if let Some(present) = &channel.holder {
            let from = present.handle.address();
            // One that is still about to connect is silent as well, so this is for those that have sent.
            let perhaps_itself = from == holder.handle.address() && present.handle.has_sent();
            let silence = if perhaps_itself { self.restart_silence } else { self.takeover_silence };
            let silent = now.saturating_duration_since(present.handle.last_heard()) >= silence;
            if !silent {
                let allowed = match self.takeover {
                    Takeover::WhenSilent => false,
                    Takeover::Every(period) => {
                        let passed = |last| now.saturating_duration_since(last) >= period;
                        channel.last_takeover.is_none_or(passed)
                            && !present.ousted.contains(&holder.handle.address())
                    }
                };
                if !allowed {
                    return match perhaps_itself {
                        true => Claim::PerhapsAt(present.handle.last_heard() + silence),
                        false => Claim::InUse,
                    };
                }
                channel.last_takeover = Some(now);
            }
            if from != holder.handle.address() {
                holder.ousted.push(from);
            }
            ousted = Some(present.handle.clone());
        }
        channel.holder = Some(holder);
        channel.generation += 1;
        Claim::Granted { ousted, link: channel.link.clone() }
    }

    /// Keeps the way to the relay for whoever holds the channel next. False when `session` is not the holder.
    pub(super) fn set_link(&mut self, name: &ChannelName, session: SessionId, link: L) -> bool {
        match self.channels.get_mut(name) {
            Some(channel) if channel.holder.as_ref().is_some_and(|holder| holder.session == session) => {
                channel.link = Some(link);
                true
            }
            _ => false,
        }
    }

    /// The session is over. When it still held the channel, the grace time begins: call [`Self::expire`] after it.
    pub(super) fn leave(&mut self, name: &ChannelName, session: SessionId) -> Option<Generation> {
        let channel = self.channels.get_mut(name)?;
        if channel.holder.as_ref().is_none_or(|holder| holder.session != session) {
            return None;
        }
        channel.holder = None;
        if channel.link.is_none() {
            self.channels.remove(name);
            return None;
        }
        Some(Generation(channel.generation))
    }

    /// The grace time that began at `generation` is over: the way to the relay to give back, unless somebody came.
    /// Call [`Self::forget`] when that is done.
    pub(super) fn expire(&mut self, name: &ChannelName, generation: Generation) -> Option<L> {
        let channel = self.channels.get_mut(name)?;
        if channel.holder.is_some() || channel.generation != generation.0 {
            return None;
        }
        channel.link.take()
    }

    /// Drops what is known of a channel that has neither holder nor way to the relay.
    pub(super) fn forget(&mut self, name: &ChannelName) {
        if self.channels.get(name).is_some_and(|channel| channel.holder.is_none() && channel.link.is_none()) {
            self.channels.remove(name);
        }
    }

    /// See [`Gate`].
    pub(super) fn gate(&self, name: &ChannelName) -> Gate {
        self.channels.get(name).map(|channel| channel.gate.clone()).unwrap_or_default()
    }

    /// Who holds the channel.
    pub(super) fn holder(&self, name: &ChannelName) -> Option<&S> {
        Some(&self.channels.get(name)?.holder.as_ref()?.handle)
    }

    /// Every holder.
    pub(super) fn holders(&self) -> impl Iterator<Item = (&ChannelName, &S)> {
        self.channels.iter().filter_map(|(name, channel)| Some((name, &channel.holder.as_ref()?.handle)))
    }

    /// At shutdown: everything there is to give back.
    pub(super) fn take_links(&mut self) -> Vec<L> {
        self.channels.drain().filter_map(|(_, channel)| channel.link).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Handle(&'static str, Instant, bool);

    impl SessionHandle for Handle {
        fn address(&self) -> IpAddr {
            self.0.parse().unwrap()
        }
        fn last_heard(&self) -> Instant {
            self.1
        }
        fn has_sent(&self) -> bool {
            self.2
        }
    }

    const ME: &str = "192.0.2.1";
    const YOU: &str = "192.0.2.2";

    struct Sim {
        channels: Channels<u16, Handle>,
        now: Instant,
        next: u64,
    }

    impl Sim {
        fn new(takeover: Takeover) -> Self {
            let (seconds, millis) = (Duration::from_secs(3), Duration::from_millis(700));
            Self { channels: Channels::new(takeover, seconds, millis), now: Instant::now(), next: 1 }
        }

        fn main() -> ChannelName {
            "main".parse().unwrap()
        }

        /// Claims with a session that will have been heard until `heard_for` from now.
        fn claim(&mut self, ip: &'static str, heard_for: u64) -> (SessionId, Claim<u16, Handle>) {
            let session = SessionId(self.next);
            self.next += 1;
            let handle = Handle(ip, self.now + Duration::from_secs(heard_for), heard_for > 0);
            (session, self.channels.claim(self.now, &Self::main(), session, handle))
        }

        fn pass(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
        }
    }

    fn granted(claim: &Claim<u16, Handle>) -> Option<Option<&'static str>> {
        match claim {
            Claim::Granted { ousted, .. } => Some(ousted.as_ref().map(|handle| handle.0)),
            Claim::InUse | Claim::PerhapsAt(_) => None,
        }
    }

    #[test]
    fn a_sending_publisher_keeps_its_channel() {
        let mut sim = Sim::new(Takeover::WhenSilent);
        assert_eq!(granted(&sim.claim(ME, 1000).1), Some(None));
        sim.pass(100);
        assert_eq!(granted(&sim.claim(YOU, 1000).1), None);
        assert_eq!(granted(&sim.claim(ME, 1000).1), None, "its own second encoder, too");
    }

    #[test]
    fn three_seconds_without_udp_may_always_be_taken_over() {
        let mut sim = Sim::new(Takeover::WhenSilent);
        sim.claim(ME, 0);
        sim.pass(2);
        assert_eq!(granted(&sim.claim(YOU, 0).1), None);
        sim.pass(1);
        assert_eq!(granted(&sim.claim(ME, 0).1), Some(Some(ME)));
        sim.pass(3);
        assert_eq!(granted(&sim.claim(YOU, 0).1), Some(Some(ME)), "no limit on this kind");
    }

    #[test]
    fn a_killed_publisher_that_comes_back_need_not_wait_for_long() {
        let mut sim = Sim::new(Takeover::WhenSilent);
        sim.claim(ME, 10);
        sim.pass(10);
        let again = sim.now + Duration::from_millis(700);
        assert_eq!(sim.claim(ME, 10).1, Claim::PerhapsAt(again));
        assert_eq!(sim.claim(YOU, 10).1, Claim::InUse, "not from elsewhere");
        sim.now = again;
        assert_eq!(granted(&sim.claim(YOU, 10).1), None, "not from elsewhere");
        assert_eq!(granted(&sim.claim(ME, 0).1), Some(Some(ME)));
        sim.pass(2);
        assert_eq!(sim.claim(ME, 0).1, Claim::InUse, "the new one has not begun to send");
        sim.pass(1);
        assert_eq!(granted(&sim.claim(ME, 0).1), Some(Some(ME)));
    }

    #[test]
    fn by_setting_once_in_a_time_and_never_back() {
        let mut sim = Sim::new(Takeover::ALLOWED);
        sim.claim(ME, 10_000);
        sim.pass(1);
        assert_eq!(granted(&sim.claim(YOU, 10_000).1), Some(Some(ME)));
        sim.pass(30);
        assert_eq!(granted(&sim.claim("192.0.2.3", 10_000).1), None, "too soon for anybody");
        sim.pass(31);
        assert_eq!(granted(&sim.claim(ME, 10_000).1), None, "the ousted one, while the new one lives");
        assert_eq!(granted(&sim.claim("192.0.2.3", 10_000).1), Some(Some(YOU)));
    }

    #[test]
    fn the_ousted_one_may_return_when_the_new_one_is_silent_or_gone() {
        let mut sim = Sim::new(Takeover::ALLOWED);
        sim.claim(ME, 10_000);
        let (you, claim) = sim.claim(YOU, 100);
        assert!(granted(&claim).is_some());
        sim.pass(103);
        assert_eq!(granted(&sim.claim(ME, 10_000).1), Some(Some(YOU)));
        assert_eq!(sim.channels.leave(&Sim::main(), you), None, "the ousted session has nothing to leave");
        let mut sim = Sim::new(Takeover::ALLOWED);
        sim.claim(ME, 10_000);
        let (you, _) = sim.claim(YOU, 10_000);
        sim.channels.set_link(&Sim::main(), you, 24_000);
        sim.channels.leave(&Sim::main(), you).unwrap();
        assert_eq!(granted(&sim.claim(ME, 10_000).1), Some(None));
    }

    #[test]
    fn within_the_grace_time_the_way_to_the_relay_stays() {
        let mut sim = Sim::new(Takeover::WhenSilent);
        let (first, _) = sim.claim(ME, 10);
        assert!(sim.channels.set_link(&Sim::main(), first, 24_000));
        let old = sim.channels.leave(&Sim::main(), first).unwrap();
        let (second, claim) = sim.claim(ME, 10);
        assert_eq!(claim, Claim::Granted { ousted: None, link: Some(24_000) });
        assert_eq!(sim.channels.expire(&Sim::main(), old), None, "somebody came");
        let new = sim.channels.leave(&Sim::main(), second).unwrap();
        assert_eq!(sim.channels.expire(&Sim::main(), old), None, "outdated");
        assert_eq!(sim.channels.expire(&Sim::main(), new), Some(24_000));
        assert_eq!(sim.channels.expire(&Sim::main(), new), None);
        assert!(!sim.channels.set_link(&Sim::main(), second, 1));
        sim.channels.forget(&Sim::main());
        assert_eq!(sim.channels.channels.len(), 0);
    }
}
