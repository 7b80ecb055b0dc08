//! The way of one channel to the relay: a connected socket, and what to do when nobody answers there any more.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

/// One relay port, and the socket that sends RTP and RTCP to it and hears its RTCP from there only.
#[derive(Clone, Debug)]
pub(crate) struct RelayLink {
    pub(crate) port: u16,
    pub(crate) socket: Arc<UdpSocket>,
}

impl RelayLink {
    pub(super) fn connect(relay: IpAddr, port: u16) -> io::Result<Self> {
        let local: IpAddr = match relay {
            IpAddr::V4(ip) if ip.is_loopback() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(ip) if ip.is_loopback() => Ipv6Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let there = SocketAddr::new(relay, port);
        let socket = Socket::new(Domain::for_address(there), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SocketAddr::new(local, 0).into())?;
        socket.connect(&there.into())?;
        Ok(Self { port, socket: Arc::new(UdpSocket::from_std(socket.into())?) })
    }
}

/// Judges a relay whose port answers that nobody is there: it was restarted, and must be asked again.
#[derive(Debug, Default)]
pub(super) struct Trouble(Option<Spell>);

#[derive(Clone, Copy, Debug)]
struct Spell {
    since: Instant,
    last: Instant,
    last_try: Option<Instant>,
}

/// What a [`Trouble`] calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    None,
    AskAgain,
    GiveUp,
}

impl Trouble {
    /// The relay's port refused a datagram.
    pub(super) fn note(&mut self, now: Instant) {
        let spell = self.0.get_or_insert(Spell { since: now, last: now, last_try: None });
        spell.last = now;
    }

    pub(super) fn remedy(&mut self, now: Instant) -> Remedy {
        let Some(spell) = &mut self.0 else { return Remedy::None };
        let since = |then: Instant| now.saturating_duration_since(then);
        if since(spell.last) > RECOVERED_AFTER {
            self.0 = None;
            return Remedy::None;
        }
        let lasted = spell.last.saturating_duration_since(spell.since);
        if lasted > GIVEN_UP_AFTER {
            return Remedy::GiveUp;
        }
        if lasted > GONE_AFTER && spell.last_try.is_none_or(|last| since(last) > TRY_EVERY) {
            spell.last_try = Some(now);
            return Remedy::AskAgain;
        }
        Remedy::None
    }
}

/// A held-back burst goes out at once.
const SEND_BUFFER: usize = 1 << 20;
const GONE_AFTER: Duration = Duration::from_secs(1);
const RECOVERED_AFTER: Duration = Duration::from_secs(2);
const TRY_EVERY: Duration = Duration::from_secs(2);
const GIVEN_UP_AFTER: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    /// Notes a refusal every 100 ms until `until`, looks each time, and says when something was called for.
    fn remedies(until: u64, look_until: u64) -> Vec<(u64, Remedy)> {
        let begin = Instant::now();
        let mut trouble = Trouble::default();
        let mut called_for = Vec::new();
        for at in (0..=look_until).step_by(100) {
            let now = begin + Duration::from_millis(at);
            if at <= until {
                trouble.note(now);
            }
            match trouble.remedy(now) {
                Remedy::None => {}
                remedy => called_for.push((at, remedy)),
            }
        }
        called_for
    }

    #[test]
    fn a_relay_that_restarts_is_asked_again_but_not_at_once_and_not_for_ever() {
        assert_eq!(remedies(900, 20_000), [], "a hiccup");
        assert_eq!(remedies(1_500, 20_000).first(), Some(&(1_100, Remedy::AskAgain)));
        let lasting = remedies(16_000, 16_000);
        assert_eq!(lasting[..2], [(1_100, Remedy::AskAgain), (3_200, Remedy::AskAgain)]);
        assert_eq!(
            lasting.iter().find(|(_, remedy)| *remedy == Remedy::GiveUp),
            Some(&(15_100, Remedy::GiveUp))
        );
    }
}
