//! What a run found, as one JSON object. Every number has its unit in its name; `docs/load.md` explains each.

use serde::Serialize;

use crate::histogram::Summary;

/// Version of the object's shape.
pub(crate) const SCHEMA: u32 = 1;

/// The whole object.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Changes when a field changes its meaning or goes.
    pub schema: u32,
    /// The server.
    pub url: String,
    /// Length of the measurement.
    pub hold_seconds: f64,
    /// Who was there.
    pub viewers: Viewers,
    /// How they came.
    pub join: Join,
    /// What they got in the hold.
    pub media: Media,
    /// What those who watched already got while others joined.
    pub ramp: Share,
    /// From the publisher to the viewer's socket, all viewers, all packets of the hold.
    pub latency_ms: Option<Summary>,
    /// `added` with our own publisher; `relative` to the fastest packet with a foreign one.
    pub latency_kind: &'static str,
    /// Those who decrypt.
    pub probes: Probes,
    /// What it cost the server.
    pub server: Option<ServerCost>,
    /// How the generator itself fared; when it is at its limit, the rest is worth little.
    pub generator: Generator,
    /// The first streams one by one.
    pub streams: Vec<StreamReport>,
    /// Streams that are not listed.
    pub streams_omitted: usize,
    /// Why some figures should be read with care.
    pub warnings: Vec<String>,
}

/// Numbers of viewers.
#[derive(Debug, Clone, Serialize)]
pub struct Viewers {
    /// Asked for.
    pub wanted: usize,
    /// Connected, those of the churn not counted.
    pub connected: usize,
    /// Connected at the end of the hold.
    pub connected_at_end: usize,
    /// Never connected.
    pub failed: usize,
    /// Connected and lost again, without having been told to leave.
    pub lost: usize,
    /// Left and were replaced.
    pub left: usize,
    /// Joined in the hold.
    pub late: usize,
    /// Of all that connected, over WHEP.
    pub whep: usize,
    /// Of all that connected, over the WebSocket.
    pub websocket: usize,
    /// Viewers that stopped reading for stretches; in none of the figures of `media`.
    pub slow: usize,
    /// The last failure.
    pub last_failure: Option<String>,
}

/// How viewers came.
#[derive(Debug, Clone, Serialize)]
pub struct Join {
    /// Wanted joins per second.
    pub wanted_per_second: f64,
    /// Joins per second that came about, from the first to the last connection.
    pub achieved_per_second: Option<f64>,
    /// From the begin of signaling to the encrypted connection.
    pub handshake_ms: Option<Summary>,
    /// From the begin of signaling to the first picture, complete.
    pub first_picture_ms: Option<Summary>,
    /// From the begin of signaling to the first picture and the one after it, both complete.
    pub clean_start_ms: Option<Summary>,
    /// Connected viewers that never had a clean start.
    pub without_clean_start: usize,
}

/// Delivered against owed.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Share {
    /// What was published while each viewer watched, summed over viewers.
    pub owed_packets: u64,
    /// What came of it.
    pub delivered_packets: u64,
    /// The one divided by the other.
    pub delivered_ratio: Option<f64>,
}

/// What came.
#[derive(Debug, Clone, Serialize)]
pub struct Media {
    /// Who counted what was published.
    pub published_by: &'static str,
    /// Published in the hold, all streams.
    pub published_packets: u64,
    /// Over all viewers that read all the time.
    #[serde(flatten)]
    pub share: Share,
    /// The viewer that got least of what it should have.
    pub worst_viewer_ratio: Option<f64>,
    /// Viewers that did not get everything.
    pub viewers_with_loss: usize,
    /// Gaps in the sequence numbers, over the whole run: a server that skips numbers on without a gap.
    pub missing_packets: u64,
    /// Packets that came again under their own number, over the whole run.
    pub repeated_packets: u64,
    /// Retransmissions, over the whole run.
    pub rtx_packets: u64,
    /// Packets that viewers threw away as `--loss` wants, over the whole run.
    pub injected_drops_packets: u64,
    /// Longest time without a packet of the picture in the hold, one value for each viewer.
    pub longest_pause_ms: Option<Summary>,
    /// Datagrams of any kind received in the hold.
    pub received_packets: u64,
    /// Their bits per second.
    pub received_mbit_per_second: f64,
}

/// The few that look closely.
#[derive(Debug, Clone, Serialize)]
pub struct Probes {
    /// How many.
    pub count: usize,
    /// Packet by packet from the publisher's send call; none with a foreign publisher.
    pub latency_ms: Option<Summary>,
    /// As in `join`, with the pictures decrypted and recognised.
    pub clean_start_ms: Option<Summary>,
    /// As in `join`, with the pictures decrypted and recognised.
    pub first_picture_ms: Option<Summary>,
    /// Payloads that came as they were sent.
    pub payloads_whole: u64,
    /// Payloads that did not.
    pub payloads_damaged: u64,
    /// Payloads of somebody else, which cannot be checked.
    pub payloads_foreign: u64,
    /// Gaps in their sequence numbers.
    pub missing_packets: u64,
    /// Packets that came again under their own number.
    pub repeated_packets: u64,
    /// Retransmissions.
    pub rtx_packets: u64,
    /// Times that the server moved the timestamps of a stream anew.
    pub timeline_shifts: u64,
}

/// What it cost the server.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ServerCost {
    /// `process` (the kernel's count) or `metrics`.
    pub source: &'static str,
    /// Processors in use in the hold, user and system.
    pub cpu_cores: f64,
    /// Processor time per datagram that viewers received in the hold.
    pub cpu_us_per_packet: Option<f64>,
    /// Resident memory before the first viewer.
    pub rss_before_kib: u64,
    /// When the hold began.
    pub rss_hold_begin_kib: u64,
    /// When the hold ended.
    pub rss_hold_end_kib: u64,
    /// From before the first viewer to the end of the hold, per viewer.
    pub kib_per_viewer: f64,
}

/// The generator's own figures.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Generator {
    /// Reading threads.
    pub threads: usize,
    /// Processors that this process used in the hold, publisher and signaling included.
    pub cpu_cores: f64,
    /// Processor time of the reading threads per datagram in the hold.
    pub viewer_cpu_us_per_packet: Option<f64>,
    /// Share of their processors that the reading threads used in the hold, percent of one processor each.
    pub threads_busy_percent: f64,
    /// Datagrams that the kernel dropped because a viewer's buffer was full: ours, not the server's.
    pub socket_drops_packets: u64,
    /// From arrival in the kernel to reading.
    pub read_delay_ms: Option<Summary>,
    /// Datagrams per group that the kernel delivered joined.
    pub datagrams_per_group: Option<f64>,
    /// Groups per receive call.
    pub groups_per_call: Option<f64>,
    /// Whether the kernel may join datagrams, which saves both sides work on loopback.
    pub receive_offload: bool,
    /// How late our publisher sent.
    pub publisher_late_ms: Option<Summary>,
    /// Packets of our publisher that the kernel did not take.
    pub publisher_failed_packets: u64,
}

/// One stream.
#[derive(Debug, Clone, Serialize)]
pub struct StreamReport {
    /// Channel or port.
    pub name: String,
    /// Viewers that connected.
    pub viewers: usize,
    /// Published in the hold.
    pub published_packets: u64,
    /// See [`Media`].
    #[serde(flatten)]
    pub share: Share,
    /// Gaps in the sequence numbers.
    pub missing_packets: u64,
    /// See [`Report`].
    pub latency_ms: Option<Summary>,
}
