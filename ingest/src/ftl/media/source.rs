//! Who may send to a media port: the address of the control connection, from one source port at a time.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

/// The source of a session's media.
#[derive(Debug)]
pub(super) struct Source {
    control_ip: IpAddr,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    addr: SocketAddr,
    /// It has sent media with the announced identity, not only pings, which anybody could make up.
    proven: bool,
    last_heard: Instant,
}

/// What a datagram proves by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// The announced SSRC and payload type.
    Identity,
    /// Only that it is shaped like a ping.
    Shape,
}

impl Source {
    pub(super) fn new(control_ip: IpAddr) -> Self {
        Self { control_ip: control_ip.to_canonical(), current: None }
    }

    /// Whether `from` has the right address at all; its port does not matter yet.
    pub(super) fn is_publisher(&self, from: SocketAddr) -> bool {
        from.ip().to_canonical() == self.control_ip
    }

    /// Whether the datagram counts. The first valid port is latched. It moves with the session: when the latched one
    /// has been silent for a second (clients ping every 25 ms), or has never proven itself and the new one does.
    pub(super) fn accept(&mut self, now: Instant, from: SocketAddr, proof: Proof) -> bool {
        if !self.is_publisher(from) {
            return false;
        }
        let proves = proof == Proof::Identity;
        match &mut self.current {
            Some(current) if current.addr == from => {
                current.proven |= proves;
                current.last_heard = now;
                true
            }
            Some(current)
                if (!proves || current.proven)
                    && now.saturating_duration_since(current.last_heard) < SILENCE_BEFORE_A_MOVE =>
            {
                false
            }
            _ => {
                self.current = Some(Current { addr: from, proven: proves, last_heard: now });
                true
            }
        }
    }

    /// Where to send to.
    pub(super) fn addr(&self) -> Option<SocketAddr> {
        self.current.as_ref().map(|current| current.addr)
    }
}

const SILENCE_BEFORE_A_MOVE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn bug_f_and_itg_fault_6_other_addresses_never_count() {
        let now = Instant::now();
        let mut source = Source::new("192.0.2.1".parse().expect("ip"));
        for from in ["192.0.2.2:5000", "[2001:db8::1]:5000", "127.0.0.1:5000"] {
            assert!(!source.accept(now, addr(from), Proof::Identity));
        }
        assert!(source.accept(now, addr("192.0.2.1:5000"), Proof::Shape));
        assert!(!source.accept(now + Duration::from_secs(60), addr("192.0.2.2:5000"), Proof::Identity));
        // The same address in IPv6 clothing.
        assert!(source.accept(now, addr("[::ffff:192.0.2.1]:5000"), Proof::Identity));
    }

    #[test]
    fn the_port_is_latched_and_moves_with_the_session() {
        let now = Instant::now();
        let mut source = Source::new("192.0.2.1".parse().expect("ip"));
        let (mine, thief) = (addr("192.0.2.1:5000"), addr("192.0.2.1:6000"));
        // A ping alone does not hold the place against media.
        assert!(source.accept(now, thief, Proof::Shape));
        assert!(!source.accept(now, mine, Proof::Shape));
        assert!(source.accept(now, mine, Proof::Identity));
        assert_eq!(source.addr(), Some(mine));
        // Media does, while it flows.
        for step in 0..100 {
            let now = now + Duration::from_millis(25 * step);
            assert!(!source.accept(now, thief, Proof::Identity));
            assert!(source.accept(now, mine, Proof::Shape));
        }
        // A router gave the session another port.
        let later = now + Duration::from_secs(10);
        assert!(source.accept(later, thief, Proof::Identity));
        assert!(!source.accept(later, mine, Proof::Identity));
    }
}
