//! Figures of one worker: counted without atomics, published once per round.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use serde::Serialize;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The worker's own figures since it started.
        #[derive(Clone, Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: u64,)*
        }

        /// The same, readable by everybody; written once per round.
        #[derive(Debug, Default)]
        pub(crate) struct Published {
            $($name: AtomicU64,)*
        }

        /// Figures of one egress worker. Counters count since its start.
        #[derive(Clone, Debug, Default, Serialize)]
        #[non_exhaustive]
        pub struct WorkerSnapshot {
            /// UDP port of the worker.
            pub port: u16,
            /// Whether the kernel cuts large sends into datagrams.
            pub gso: bool,
            /// Viewer sessions, connected or not.
            pub sessions: u32,
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Published {
            pub(crate) fn publish(&self, counters: &Counters) {
                $(self.$name.store(counters.$name, Ordering::Relaxed);)*
            }

            pub(crate) fn snapshot(&self, port: u16, gso: bool, sessions: u32) -> WorkerSnapshot {
                WorkerSnapshot { port, gso, sessions, $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Datagrams given to the kernel.
    packets,
    /// Their bytes, IP and UDP headers not counted.
    bytes,
    /// System calls for that.
    calls,
    /// Packets sent again on request, first copies and second ones.
    resent,
    /// Parity packets sent (forward error correction).
    parity,
    /// Requests for packets not answered because of the viewer's budget.
    resend_over_budget,
    /// Requests for packets sent less than a round trip ago.
    resend_duplicate,
    /// Requests for packets no longer, or never, in the ring, or older than the newest keyframe.
    resend_gone,
    /// Times a viewer was sent the newest keyframe again on its request.
    replays,
    /// Times a viewer was taken to the newest keyframe because it had fallen behind.
    fell_behind,
    /// Times a viewer was moved to another layer of the picture.
    layer_switches,
    /// Packets dropped because the socket stayed full.
    dropped_full,
    /// Packets the kernel refused for other reasons.
    dropped_error,
    /// Packets too long to be sent.
    dropped_oversize,
    /// Waits for a full socket, at most one per flush.
    full_waits,
    /// Runs the kernel refused and that were sent singly; the viewer stays on single sends.
    gso_fallbacks,
    /// Datagrams received.
    received,
    /// Datagrams received that were nobody's, malformed, or not authentic.
    received_rejected,
    /// Batches of media lost because the worker was too far behind.
    batches_lost,
    /// Processor time of the thread, microseconds.
    cpu_us,
}

impl Counters {
    pub(crate) const fn set_cpu(&mut self, time: Duration) {
        self.cpu_us = time.as_micros() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_published() {
        let published = Published::default();
        let mut counters = Counters { packets: 7, dropped_full: 2, ..Counters::default() };
        counters.set_cpu(Duration::from_millis(3));
        published.publish(&counters);
        let snapshot = published.snapshot(20_000, true, 4);
        assert_eq!((snapshot.packets, snapshot.dropped_full, snapshot.cpu_us), (7, 2, 3000));
        assert_eq!((snapshot.port, snapshot.gso, snapshot.sessions), (20_000, true, 4));
    }
}
