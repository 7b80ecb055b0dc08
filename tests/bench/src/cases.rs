//! What is measured.

/// One row of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    /// How the row is called.
    pub(crate) name: &'static str,
    /// Viewers, all streams together.
    pub(crate) viewers: usize,
    /// Streams, each of 2.5 Mbit/s.
    pub(crate) streams: usize,
    /// Egress workers, each on a processor of its own.
    pub(crate) workers: usize,
    /// Joins per second.
    pub(crate) ramp: usize,
    /// Over the WebSocket instead of WHEP.
    pub(crate) websocket: bool,
    /// Every viewer is a full receiver that reports, and 2 % of what it gets is dropped.
    pub(crate) feedback: bool,
}

/// A row like the others but for what is said of it.
const ONE_STREAM: Case = Case {
    name: "one stream",
    viewers: 50,
    streams: 1,
    workers: 1,
    ramp: 200,
    websocket: false,
    feedback: false,
};

/// All rows, in order.
pub(crate) const ALL: &[Case] = &[
    ONE_STREAM,
    Case { viewers: 200, ..ONE_STREAM },
    Case { viewers: 500, ..ONE_STREAM },
    Case { viewers: 1000, ..ONE_STREAM },
    Case { viewers: 1200, ..ONE_STREAM },
    Case { name: "50 streams of 10 viewers", viewers: 500, streams: 50, ..ONE_STREAM },
    Case { name: "two workers", viewers: 500, workers: 2, ..ONE_STREAM },
    Case { name: "two workers", viewers: 1000, workers: 2, ..ONE_STREAM },
    Case { name: "WebSocket", viewers: 500, websocket: true, ..ONE_STREAM },
    Case { name: "300 joins a second", viewers: 600, ramp: 300, ..ONE_STREAM },
    Case { name: "full feedback, 2 % loss", viewers: 50, feedback: true, ..ONE_STREAM },
    Case { name: "full feedback, 2 % loss", viewers: 200, feedback: true, ..ONE_STREAM },
];
