//! Every setting, once: the same struct is read from the file (serde), from the environment and from flags (clap).

use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

use super::ranges::PortRange;

/// What a user may say, all optional; [`super::Settings`] is what it comes to.
///
/// In the file the names are written with underscores (`ws_port`), as flags with hyphens (`--ws-port`),
/// in the environment as `HELIOGRAPH_WS_PORT`. A flag beats the environment, the environment beats the file.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// Folder for keys and tokens; made when missing
    #[arg(long, env = "HELIOGRAPH_DATA", value_name = "DIR", help_heading = "General")]
    pub data: Option<PathBuf>,
    /// What to log, as in RUST_LOG: `info`, `heliograph_ingest=debug,warn`
    #[arg(long, env = "HELIOGRAPH_LOG", value_name = "FILTER", help_heading = "General")]
    pub log: Option<String>,
    /// Log to this file (truncated at start) instead of standard error
    #[arg(short = 'l', long, env = "HELIOGRAPH_LOG_FILE", value_name = "FILE", help_heading = "General")]
    pub log_file: Option<PathBuf>,

    /// Address of every public listener: an IP, or a name that resolves to one [default: all IPv4 and IPv6]
    #[arg(
        short = 'a',
        long,
        alias = "address",
        env = "HELIOGRAPH_ADDR",
        value_name = "IP",
        help_heading = "Network"
    )]
    pub addr: Option<String>,
    /// TCP port of the web page, API, WebSocket and WHEP [default: 8080]
    #[arg(long, env = "HELIOGRAPH_WS_PORT", value_name = "PORT", help_heading = "Network")]
    pub ws_port: Option<u16>,
    /// A second TCP port with the same content as --ws-port [default: none]
    #[arg(long, env = "HELIOGRAPH_WEB_PORT", value_name = "PORT", help_heading = "Network")]
    pub web_port: Option<u16>,
    /// Certificate chain (PEM); with --ssl-key, the web port speaks HTTPS and WSS
    #[arg(long, env = "HELIOGRAPH_SSL_CERT", value_name = "FILE", help_heading = "Network")]
    pub ssl_cert: Option<PathBuf>,
    /// Private key (PEM) of --ssl-cert
    #[arg(long, env = "HELIOGRAPH_SSL_KEY", value_name = "FILE", help_heading = "Network")]
    pub ssl_key: Option<PathBuf>,
    /// Where the allocation API listens; keep it on loopback [default: 127.0.0.1:8081]
    #[arg(long, env = "HELIOGRAPH_CONTROL", value_name = "IP:PORT", help_heading = "Network")]
    pub control: Option<String>,
    /// Where Prometheus may ask for figures (IP:PORT, or off); keep it on loopback [default: 127.0.0.1:9090 if free]
    #[arg(long, env = "HELIOGRAPH_METRICS", value_name = "IP:PORT", help_heading = "Network")]
    pub metrics: Option<String>,
    /// Extra Host names under which the allocation API and metrics may be reached (comma separated)
    #[arg(
        long,
        env = "HELIOGRAPH_CONTROL_HOSTS",
        value_name = "NAMES",
        value_delimiter = ',',
        help_heading = "Network"
    )]
    pub control_hosts: Option<Vec<String>>,
    /// Let anyone who reaches the web port create and delete streams, as itg-webrtc did [default: false]
    #[arg(long, env = "HELIOGRAPH_STREAM_API_OPEN", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Network")]
    pub stream_api_open: Option<bool>,
    /// WebSocket address told to pages in config.json [default: the address the page came from]
    #[arg(long, env = "HELIOGRAPH_WS_URL", value_name = "URL", help_heading = "Network")]
    pub ws_url: Option<String>,
    /// Reverse proxies whose X-Forwarded-For is believed (IPs, comma separated) [default: none]
    #[arg(
        long,
        env = "HELIOGRAPH_TRUSTED_PROXIES",
        value_name = "IPS",
        value_delimiter = ',',
        help_heading = "Network"
    )]
    pub trusted_proxies: Option<Vec<std::net::IpAddr>>,
    /// Most TCP connections of one address on the web port; a reverse proxy counts as one address [default: 10000]
    #[arg(long, env = "HELIOGRAPH_CONNECTIONS_PER_ADDRESS", value_name = "N", help_heading = "Network")]
    pub connections_per_address: Option<usize>,

    /// TCP port of the FTL control listener [default: 8084; OBS can use no other]
    #[arg(long, env = "HELIOGRAPH_FTL_PORT", value_name = "PORT", help_heading = "FTL ingest")]
    pub ftl_port: Option<u16>,
    /// UDP ports for FTL media, one per stream [default: 8100-8199]
    #[arg(long, env = "HELIOGRAPH_MEDIA_PORTS", value_name = "A-B", help_heading = "FTL ingest")]
    pub media_ports: Option<PortRange>,
    /// TCP port for RTMP: OBS, ffmpeg, phones, hardware encoders; 0 closes the door [default: 1935 if free]
    #[arg(long, env = "HELIOGRAPH_RTMP_PORT", value_name = "PORT", help_heading = "RTMP ingest")]
    pub rtmp_port: Option<u16>,
    /// TCP port for RTMP with TLS, when --ssl-cert is given; 0 closes the door [default: 1936 if free]
    #[arg(long, env = "HELIOGRAPH_RTMPS_PORT", value_name = "PORT", help_heading = "RTMP ingest")]
    pub rtmps_port: Option<u16>,
    /// UDP port for SRT: OBS, ffmpeg, GStreamer, hardware encoders; 0 closes the door [default: 8890 if free]
    #[arg(long, env = "HELIOGRAPH_SRT_PORT", value_name = "PORT", help_heading = "SRT ingest")]
    pub srt_port: Option<u16>,
    /// What SRT callers must encrypt with, 10 to 79 characters; without it they must not encrypt [default: none]
    #[arg(
        long,
        env = "HELIOGRAPH_SRT_PASSPHRASE",
        value_name = "TEXT",
        hide_env_values = true,
        help_heading = "SRT ingest"
    )]
    pub srt_passphrase: Option<String>,
    /// Fewest milliseconds that lost SRT packets may take to come again; callers may ask for more [default: 120]
    #[arg(long, env = "HELIOGRAPH_SRT_LATENCY_MS", value_name = "MS", help_heading = "SRT ingest")]
    pub srt_latency_ms: Option<u64>,
    /// What becomes of publishers with B-frames, which judder in browsers: warn, refuse, or reencode (with ffmpeg) [default: warn]
    #[arg(long, env = "HELIOGRAPH_B_FRAMES", value_name = "WHAT", help_heading = "RTMP ingest")]
    pub b_frames: Option<BFramesOption>,
    /// Most streams that are re-encoded at a time with --b-frames reencode; others are let through [default: 4]
    #[arg(long, env = "HELIOGRAPH_REENCODE_MAX", value_name = "N", help_heading = "RTMP ingest")]
    pub reencode_max: Option<u32>,
    /// Kilobits per second of the Opus that is made from AAC [default: 160]
    #[arg(long, env = "HELIOGRAPH_OPUS_KBPS", value_name = "KBPS", help_heading = "RTMP ingest")]
    pub opus_kbps: Option<u32>,
    /// Seconds a channel waits for its publisher to come back before its viewers are let go [default: 30]
    #[arg(long, env = "HELIOGRAPH_PUBLISHER_GRACE_S", value_name = "SECONDS", help_heading = "Publishers")]
    pub publisher_grace_s: Option<u64>,
    /// Seconds without media after which a publisher is ended with code 408 [default: 30]
    #[arg(long, env = "HELIOGRAPH_NO_MEDIA_S", value_name = "SECONDS", help_heading = "Publishers")]
    pub no_media_s: Option<u64>,
    /// A second publisher with the right key takes a live channel over [default: false]
    #[arg(long, env = "HELIOGRAPH_TAKE_OVER", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Publishers")]
    pub take_over: Option<bool>,
    /// Kilobits per second that a publisher may send; more for longer than max_bitrate_patience_s ends it [default: none]
    #[arg(long, env = "HELIOGRAPH_MAX_BITRATE_KBPS", value_name = "KBPS", help_heading = "Publishers")]
    pub max_bitrate_kbps: Option<u64>,
    /// Seconds that a publisher may send more than its channel's limit [default: 10]
    #[arg(
        long,
        env = "HELIOGRAPH_MAX_BITRATE_PATIENCE_S",
        value_name = "SECONDS",
        help_heading = "Publishers"
    )]
    pub max_bitrate_patience_s: Option<u64>,
    /// Networks that publishers may come from, such as 192.0.2.0/24 (comma separated) [default: anywhere]
    #[arg(
        long,
        env = "HELIOGRAPH_PUBLISHER_NETWORKS",
        value_name = "CIDR",
        value_delimiter = ',',
        help_heading = "Publishers"
    )]
    pub publisher_networks: Option<Vec<ipnet::IpNet>>,
    /// Milliseconds that a gap on the uplink may be waited for [default: 150]
    #[arg(long, env = "HELIOGRAPH_UPLINK_HOLD_MS", value_name = "MS", help_heading = "FTL ingest")]
    pub uplink_hold_ms: Option<u64>,
    /// Where `heliograph ingest` finds the allocation API [default: http://127.0.0.1:8081]
    #[arg(long, env = "HELIOGRAPH_RELAY_URL", value_name = "URL", help_heading = "FTL ingest")]
    pub relay_url: Option<String>,
    /// Where `heliograph ingest` sends RTP when the relay is not on this machine's loopback [default: 127.0.0.1]
    #[arg(long, env = "HELIOGRAPH_RELAY_RTP_ADDR", value_name = "IP", help_heading = "FTL ingest")]
    pub relay_rtp_addr: Option<std::net::IpAddr>,
    /// File with the token for an allocation API on a public port [default: DATA/control.token if it exists]
    #[arg(long, env = "HELIOGRAPH_RELAY_TOKEN_FILE", value_name = "FILE", help_heading = "FTL ingest")]
    pub relay_token_file: Option<PathBuf>,

    /// UDP port for media over WHIP; 0: no WHIP [default: 8200 if free]
    #[arg(long, env = "HELIOGRAPH_WHIP_PORT", value_name = "PORT", help_heading = "WHIP ingest")]
    pub whip_port: Option<u16>,
    /// TCP port for WHIP's requests under `heliograph ingest`; `heliograph serve` takes them on --ws-port [default: 8201 if free]
    #[arg(long, env = "HELIOGRAPH_WHIP_HTTP_PORT", value_name = "PORT", help_heading = "WHIP ingest")]
    pub whip_http_port: Option<u16>,

    /// Channels and their keys, TOML, mode 0600 [default: DATA/keys.toml]
    #[arg(long, env = "HELIOGRAPH_KEYS", value_name = "FILE", help_heading = "Who may publish")]
    pub keys: Option<PathBuf>,
    /// External service that decides over a WebSocket, instead of the keys file
    #[arg(long, env = "HELIOGRAPH_AUTH_WS_URL", value_name = "URL", help_heading = "Who may publish")]
    pub auth_ws_url: Option<String>,
    /// External service that decides over HTTP, instead of the keys file
    #[arg(long, env = "HELIOGRAPH_AUTH_HTTP_URL", value_name = "URL", help_heading = "Who may publish")]
    pub auth_http_url: Option<String>,
    /// Allow ws:// and http:// to an auth service that is not on loopback [default: false]
    #[arg(long, env = "HELIOGRAPH_AUTH_INSECURE", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Who may publish")]
    pub auth_insecure: Option<bool>,

    /// Loopback UDP ports on which the relay takes RTP, one per stream [default: 24000-24499]
    #[arg(long, env = "HELIOGRAPH_RTP_PORTS", value_name = "A-B", help_heading = "Relay")]
    pub rtp_ports: Option<PortRange>,
    /// Address the relay takes RTP on [default: 127.0.0.1]
    #[arg(long, env = "HELIOGRAPH_RTP_ADDR", value_name = "IP", help_heading = "Relay")]
    pub rtp_addr: Option<std::net::IpAddr>,
    /// A stream that always exists, on this RTP port outside the pool (itg-webrtc: 65535) [default: none]
    #[arg(long, env = "HELIOGRAPH_RTP_PORT", value_name = "PORT", help_heading = "Relay")]
    pub rtp_port: Option<u16>,
    /// UDP ports towards viewers; the first N are used, one per worker [default: 20000-20500]
    #[arg(long, env = "HELIOGRAPH_PORTS", value_name = "A-B", help_heading = "Relay")]
    pub ports: Option<PortRange>,
    /// Public addresses told to viewers and WHIP publishers (IPs or names, comma separated or repeated) [default: the interfaces']
    #[arg(long, env = "HELIOGRAPH_IP", value_name = "ADDR", value_delimiter = ',', help_heading = "Relay")]
    pub ip: Option<Vec<String>>,
    /// Ask this STUN server (host:port) for the public address, from each worker's socket and the WHIP port [default: none]
    #[arg(long, env = "HELIOGRAPH_STUN_SERVER", value_name = "HOST:PORT", help_heading = "Relay")]
    pub stun_server: Option<String>,
    /// STUN and TURN URLs handed to viewers (comma separated) [default: none]
    #[arg(
        long,
        env = "HELIOGRAPH_ICE_SERVERS",
        value_name = "URLS",
        value_delimiter = ',',
        help_heading = "Relay"
    )]
    pub ice_servers: Option<Vec<String>>,
    /// Egress threads [default: the processors this process may use]
    #[arg(long, env = "HELIOGRAPH_WORKERS", value_name = "N", help_heading = "Relay")]
    pub workers: Option<usize>,
    /// Bind each egress thread to one processor [default: false]
    #[arg(long, env = "HELIOGRAPH_PIN_WORKERS", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", help_heading = "Relay")]
    pub pin_workers: Option<bool>,
    /// Seconds without RTP after which a stream closes [default: 60]
    #[arg(long, env = "HELIOGRAPH_IDLE_TIMEOUT_S", value_name = "SECONDS", help_heading = "Relay")]
    pub idle_timeout_s: Option<u64>,
    /// Seconds a released port rests before it is used again [default: 5]
    #[arg(long, env = "HELIOGRAPH_PORT_REST_S", value_name = "SECONDS", help_heading = "Relay")]
    pub port_rest_s: Option<u64>,
    /// Most milliseconds a viewer's browser holds pictures back (playout-delay) unless it asks for more [default: 500]
    #[arg(long, env = "HELIOGRAPH_PLAYOUT_DELAY_MAX_MS", value_name = "MS", help_heading = "Relay")]
    pub playout_delay_max_ms: Option<u64>,
    /// Most milliseconds that a viewer may ask for [default: 4000]
    #[arg(long, env = "HELIOGRAPH_PLAYOUT_DELAY_LIMIT_MS", value_name = "MS", help_heading = "Relay")]
    pub playout_delay_limit_ms: Option<u64>,
    /// Most viewers at once [default: 20000]
    #[arg(long, env = "HELIOGRAPH_MAX_VIEWERS", value_name = "N", help_heading = "Relay")]
    pub max_viewers: Option<u32>,
    /// Percent of a core after which an egress worker takes no more viewers; 0 or 100: no limit [default: 90]
    #[arg(long, env = "HELIOGRAPH_MAX_EGRESS_CPU_PERCENT", value_name = "PERCENT", help_heading = "Relay")]
    pub max_egress_cpu_percent: Option<u8>,
    /// Most viewer sessions of one address that have not connected yet [default: 50]
    #[arg(long, env = "HELIOGRAPH_MAX_PENDING_PER_ADDRESS", value_name = "N", help_heading = "Relay")]
    pub max_pending_per_address: Option<u32>,
    /// `[branding]` in the file: what the page looks like
    #[arg(skip)]
    pub branding: Option<super::branding::BrandingOptions>,
    /// `[[channel]]` in the file: what single channels have of their own
    #[arg(skip)]
    pub channel: Option<Vec<ChannelOptions>>,
}

/// One `[[channel]]` of the settings file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChannelOptions {
    /// Its name.
    pub name: String,
    /// Fewest milliseconds that viewers' browsers hold pictures back.
    pub playout_delay_min_ms: Option<u64>,
    /// Most milliseconds, unless a viewer asks for more.
    pub playout_delay_max_ms: Option<u64>,
    /// Most milliseconds that a viewer may ask for.
    pub playout_delay_limit_ms: Option<u64>,
    /// Kilobits per second that its publisher may send.
    pub max_bitrate_kbps: Option<u64>,
}

/// `b_frames`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BFramesOption {
    /// Let through, with a line in the log.
    #[default]
    Warn,
    /// Told to turn them off.
    Refuse,
    /// Encoded anew by ffmpeg, without them.
    Reencode,
}

/// Variables of Project Lightspeed and ITG that stand in for a setting which neither a flag nor a
/// `HELIOGRAPH_` variable gave. `docs/migrating.md` lists them.
const COMPATIBLE: &[(&str, Apply)] = &[
    ("LS_INGEST_ADDR", |o, v| fill(&mut o.addr, v)),
    ("LS_LOG", |o, v| fill(&mut o.log_file, v)),
    ("WEBRTC_SERVER_URL", |o, v| fill(&mut o.relay_url, v)),
    ("AUTH_WS_URL", |o, v| fill(&mut o.auth_ws_url, v)),
    ("INGEST_PORT", |o, v| fill(&mut o.ftl_port, v)),
    ("WEBSOCKET_PORT", |o, v| fill(&mut o.ws_port, v)),
    ("WEB_PORT", |o, v| fill(&mut o.web_port, v)),
    ("WEBSOCKET_URL", |o, v| fill(&mut o.ws_url, v)),
    ("WEBSOCKET_HOST", |o, v| fill_list(&mut o.ip, v)),
    ("ICE_SERVERS", |o, v| fill_list(&mut o.ice_servers, v)),
];

/// Sets what is unset from a variable's text.
type Apply = fn(&mut Options, &str) -> Result<(), String>;

fn fill<T: std::str::FromStr>(slot: &mut Option<T>, value: &str) -> Result<(), String>
where
    T::Err: std::fmt::Display,
{
    if slot.is_none() {
        *slot = Some(value.parse().map_err(|e| format!("{e}"))?);
    }
    Ok(())
}

fn fill_list(slot: &mut Option<Vec<String>>, value: &str) -> Result<(), String> {
    if slot.is_none() {
        *slot = Some(
            value.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect(),
        );
    }
    Ok(())
}

impl Options {
    /// Takes what is still unset from the variables that Lightspeed and ITG used. `get` reads the environment.
    ///
    /// # Errors
    /// A variable that cannot be read as its setting, by name.
    pub(crate) fn fill_from_compatible(
        &mut self,
        get: impl Fn(&str) -> Option<String>,
    ) -> Result<(), String> {
        for (name, apply) in COMPATIBLE {
            if let Some(value) = get(name).filter(|value| !value.is_empty()) {
                apply(self, &value).map_err(|why| format!("{name}: '{value}' {why}"))?;
            }
        }
        Ok(())
    }
}

/// `self` where it is said, `below` where it is not: one line per setting, so that none can be forgotten
/// (the exhaustive pattern makes the compiler complain).
macro_rules! layer {
    ($top:expr, $below:expr, { $($field:ident),+ $(,)? }) => {{
        let Options { $($field),+ } = $top;
        Options { $($field: $field.or($below.$field)),+ }
    }};
}

impl Options {
    /// These options, with `below` for whatever they leave unsaid.
    #[must_use]
    pub(crate) fn over(self, below: Options) -> Options {
        layer!(self, below, {
            data, log, log_file, addr, ws_port, web_port, ssl_cert, ssl_key, control, metrics, control_hosts, stream_api_open,
            ws_url, trusted_proxies, connections_per_address, ftl_port, media_ports, rtmp_port,
            rtmps_port, srt_port, srt_passphrase, srt_latency_ms, b_frames, reencode_max, opus_kbps, publisher_grace_s, no_media_s,
            take_over, max_bitrate_kbps, max_bitrate_patience_s, publisher_networks, uplink_hold_ms, relay_url,
            relay_rtp_addr, relay_token_file, whip_port, whip_http_port, keys, auth_ws_url, auth_http_url,
            auth_insecure, rtp_ports, rtp_addr, rtp_port, ports, ip, stun_server, ice_servers, workers, pin_workers,
            idle_timeout_s, port_rest_s, playout_delay_max_ms, playout_delay_limit_ms, max_viewers,
            max_egress_cpu_percent, max_pending_per_address, branding, channel,
        })
    }
}
