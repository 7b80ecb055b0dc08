//! Settings: read from file, environment and flags, checked once, handed to the parts in small pieces.

mod branding;
mod options;
mod playout;
mod ranges;

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use heliograph_ingest::house::BitrateLimits;
use heliograph_ingest::rtmp;
use heliograph_ingest::srt::{self, Passphrase};
use heliograph_media::Bitrate;
use heliograph_relay::{ChannelName, PlayoutSettings};
use heliograph_signaling::messages::Branding;
pub(crate) use options::BFramesOption;

pub(crate) use options::Options;
pub(crate) use ranges::PortRange;

/// Everything the program goes by, complete and checked.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// Folder for keys and tokens.
    pub data: PathBuf,
    /// Filter in the words of `tracing`.
    pub log: String,
    /// Log file, or standard error.
    pub log_file: Option<PathBuf>,
    /// Address of every public listener; `None` is all IPv4 and IPv6.
    pub addr: Option<IpAddr>,
    /// Web page, API, WebSocket, WHEP.
    pub ws_port: u16,
    /// The same content on another port.
    pub web_port: Option<u16>,
    /// Certificate chain and private key, both PEM.
    pub tls: Option<TlsFiles>,
    /// Allocation API.
    pub control: SocketAddr,
    /// Host names under which the allocation API may be reached besides loopback.
    pub control_hosts: Vec<String>,
    /// Figures for Prometheus.
    pub metrics: Metrics,
    /// Allocation API on the public port without a token.
    pub stream_api_open: bool,
    /// WebSocket address for `config.json`.
    pub ws_url: Option<String>,
    /// How the page looks, where it is not as usual.
    pub branding: Option<Branding>,
    /// Reverse proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Bound on TCP connections of one address on the web port.
    pub connections_per_address: usize,
    /// FTL control port.
    pub ftl_port: u16,
    /// FTL media ports.
    pub media_ports: PortRange,
    /// RTMP.
    pub rtmp: Port,
    /// RTMP with TLS; only with [`Settings::tls`].
    pub rtmps: Port,
    /// SRT.
    pub srt: Port,
    /// What SRT callers encrypt with.
    pub srt_passphrase: Option<Passphrase>,
    /// The least that lost SRT packets are waited for.
    pub srt_latency: Duration,
    /// What becomes of publishers with B-frames.
    pub b_frames: BFramesOption,
    /// Most streams that are re-encoded at a time.
    pub reencode_max: u32,
    /// Of Opus made from AAC, kbit/s.
    pub opus_kbps: u32,
    /// How long a channel waits for its publisher to come back.
    pub publisher_grace: Duration,
    /// Silence after which a publisher is told 408.
    pub no_media: Duration,
    /// Whether a second publisher with the right key ends the first.
    pub take_over: bool,
    /// How much publishers may send.
    pub bitrate: BitrateLimits,
    /// Where publishers may come from; empty for anywhere.
    pub publisher_networks: Vec<ipnet::IpNet>,
    /// Longest wait for a gap on the uplink.
    pub uplink_hold: Duration,
    /// Allocation API that `heliograph ingest` uses.
    pub relay_url: String,
    /// Where `heliograph ingest` sends RTP.
    pub relay_rtp_addr: IpAddr,
    /// Token file for [`Settings::relay_url`].
    pub relay_token_file: PathBuf,
    /// UDP port for media over WHIP.
    pub whip_port: Port,
    /// TCP port for WHIP's requests under `heliograph ingest`.
    pub whip_http_port: Port,
    /// Keys file.
    pub keys: PathBuf,
    /// Who decides on publishers.
    pub authority: Authority,
    /// Whether an auth service off loopback may be asked without TLS.
    pub auth_insecure: bool,
    /// RTP ports of the relay.
    pub rtp_ports: PortRange,
    /// Address of the relay's RTP ports.
    pub rtp_addr: IpAddr,
    /// RTP port of the stream that always exists.
    pub rtp_port: Option<u16>,
    /// UDP ports towards viewers.
    pub ports: PortRange,
    /// Public addresses as written: IPs or names.
    pub ip: Vec<String>,
    /// STUN server to ask for the public address.
    pub stun_server: Option<String>,
    /// URLs handed to viewers.
    pub ice_servers: Vec<String>,
    /// Egress threads; `None` is one per usable processor.
    pub workers: Option<std::num::NonZeroUsize>,
    /// Whether egress threads are bound to processors.
    pub pin_workers: bool,
    /// Silence after which a stream closes.
    pub idle_timeout: Duration,
    /// Rest of a released port.
    pub port_rest: Duration,
    /// How long viewers' browsers may hold pictures back.
    pub playout: PlayoutSettings,
    /// The same for channels that have their own.
    pub channel_playout: HashMap<ChannelName, PlayoutSettings>,
    /// Bound on viewers.
    pub max_viewers: u32,
    /// Share of a core, 0 to 1, after which an egress worker takes no more viewers.
    pub max_egress_cpu: Option<f64>,
    /// Bound on one address' viewer sessions that have not connected.
    pub max_pending_per_address: u32,
}

/// The channels that have a limit of their own.
fn channel_bitrates(channels: &[options::ChannelOptions]) -> Result<HashMap<ChannelName, Bitrate>> {
    let limited = channels.iter().filter_map(|channel| Some((&channel.name, channel.max_bitrate_kbps?)));
    limited.map(|(name, kbps)| Ok((ChannelName::new(name)?, Bitrate::kbps(kbps)))).collect()
}

/// Certificate and key of the web port.
#[derive(Debug, Clone)]
pub(crate) struct TlsFiles {
    /// Certificate chain, PEM.
    pub certificate: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
}

/// Where `/metrics` is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Metrics {
    /// Nowhere.
    Off,
    /// At the usual place, if it is free.
    Usual(SocketAddr),
    /// There, or not at all.
    Asked(SocketAddr),
}

/// A port that a part listens on if it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    /// None.
    Off,
    /// The usual one, if it is free.
    Usual(u16),
    /// This one, or the program does not start.
    Asked(u16),
}

impl Port {
    fn new(said: Option<u16>, usual: u16) -> Self {
        match said {
            None => Self::Usual(usual),
            Some(0) => Self::Off,
            Some(port) => Self::Asked(port),
        }
    }

    /// The number, unless it is off.
    pub(crate) fn number(self) -> Option<u16> {
        match self {
            Self::Off => None,
            Self::Usual(port) | Self::Asked(port) => Some(port),
        }
    }

    /// The port that somebody insists on.
    fn asked(self) -> Option<u16> {
        if let Self::Asked(port) = self { Some(port) } else { None }
    }
}

/// Who decides on publishers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Authority {
    /// The keys file.
    Keys,
    /// An external service over a WebSocket.
    WebSocket(String),
    /// An external service over HTTP.
    Http(String),
}

/// Which parts run, and so which ports may clash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parts {
    /// All in one.
    Serve,
    /// Publishers' side alone.
    Ingest,
    /// Relay and signaling.
    Relay,
}

impl Settings {
    /// Reads `file` (when given), lays `said` (flags and environment) over it, and checks the whole.
    ///
    /// # Errors
    /// An unreadable file, an unknown key, a bad value, a clash of ports: each by the setting's name.
    pub(crate) fn load(file: Option<&Path>, said: Options, parts: Parts) -> Result<Settings> {
        let below = match file {
            Some(file) => {
                let text = fs::read_to_string(file)
                    .with_context(|| format!("the settings file {} cannot be read", file.display()))?;
                toml::from_str(&text).with_context(|| format!("in the settings file {}", file.display()))?
            }
            None => Options::default(),
        };
        let settings = Settings::complete(said.over(below))?;
        settings.check(parts)?;
        Ok(settings)
    }

    fn complete(options: Options) -> Result<Settings> {
        let seconds = |value: Option<u64>, default| Duration::from_secs(value.unwrap_or(default));
        let data = options.data.unwrap_or_else(|| "heliograph-data".into());
        let authority = match (options.auth_ws_url, options.auth_http_url) {
            (None, None) => Authority::Keys,
            (Some(url), None) => Authority::WebSocket(url),
            (None, Some(url)) => Authority::Http(url),
            (Some(_), Some(_)) => bail!("auth_ws_url and auth_http_url are both set: one service decides"),
        };
        let tls = match (options.ssl_cert, options.ssl_key) {
            (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
            (None, None) => None,
            (Some(_), None) => bail!("ssl_cert is set without ssl_key"),
            (None, Some(_)) => bail!("ssl_key is set without ssl_cert"),
        };
        let workers = match options.workers {
            Some(0) => bail!("workers = 0: at least one thread has to send"),
            Some(n) if n > 1024 => bail!("workers = {n}: more than 1024"),
            other => other.and_then(std::num::NonZeroUsize::new),
        };
        let (playout, channel_playout) = playout::settings(
            options.playout_delay_max_ms,
            options.playout_delay_limit_ms,
            options.channel.as_deref().unwrap_or_default(),
        )?;
        // ITG spells "no value" as the word none.
        let none = |value: &String| !value.is_empty() && value != "none";
        Ok(Settings {
            log: options.log.unwrap_or_else(|| "info".to_owned()),
            log_file: options.log_file,
            addr: options.addr.as_deref().map(|text| resolve("addr", text)).transpose()?,
            ws_port: options.ws_port.unwrap_or(8080),
            web_port: options.web_port,
            control: match options.control.as_deref() {
                None => SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)),
                Some(text) => text
                    .parse()
                    .with_context(|| format!("control = '{text}' is not IP:PORT, such as 127.0.0.1:8081"))?,
            },
            metrics: match options.metrics.as_deref() {
                None => Metrics::Usual(SocketAddr::from((Ipv4Addr::LOCALHOST, 9090))),
                Some("off") => Metrics::Off,
                Some(text) => Metrics::Asked(text.parse().with_context(|| {
                    format!("metrics = '{text}' is neither IP:PORT, such as 127.0.0.1:9090, nor off")
                })?),
            },
            control_hosts: options.control_hosts.unwrap_or_default(),
            stream_api_open: options.stream_api_open.unwrap_or(false),
            ws_url: options.ws_url,
            branding: options.branding.map(branding::checked).transpose()?,
            trusted_proxies: options.trusted_proxies.unwrap_or_default(),
            connections_per_address: options.connections_per_address.unwrap_or(10_000),
            ftl_port: options.ftl_port.unwrap_or(8084),
            media_ports: options.media_ports.unwrap_or(PortRange::known(8100, 8199)),
            rtmp: Port::new(options.rtmp_port, rtmp::PORT),
            rtmps: match (Port::new(options.rtmps_port, rtmp::TLS_PORT), &tls) {
                (Port::Asked(port), None) => bail!("rtmps_port = {port}: TLS needs ssl_cert and ssl_key"),
                (_, None) => Port::Off,
                (port, Some(_)) => port,
            },
            srt: Port::new(options.srt_port, srt::PORT),
            srt_passphrase: options
                .srt_passphrase
                .map(|text| Passphrase::new(&text))
                .transpose()
                .context("srt_passphrase")?,
            srt_latency: Duration::from_millis(options.srt_latency_ms.unwrap_or(120)),
            b_frames: options.b_frames.unwrap_or_default(),
            reencode_max: options.reencode_max.unwrap_or(4),
            opus_kbps: options.opus_kbps.unwrap_or(160),
            publisher_grace: seconds(options.publisher_grace_s, 30),
            no_media: seconds(options.no_media_s, 30),
            take_over: options.take_over.unwrap_or(false),
            bitrate: BitrateLimits {
                usual: options.max_bitrate_kbps.map(Bitrate::kbps),
                channels: channel_bitrates(options.channel.as_deref().unwrap_or_default())?,
                patience: seconds(options.max_bitrate_patience_s, 10),
            },
            publisher_networks: options.publisher_networks.unwrap_or_default(),
            uplink_hold: Duration::from_millis(options.uplink_hold_ms.unwrap_or(150)),
            relay_url: options.relay_url.unwrap_or_else(|| "http://127.0.0.1:8081".to_owned()),
            relay_rtp_addr: options.relay_rtp_addr.unwrap_or(Ipv4Addr::LOCALHOST.into()),
            relay_token_file: options.relay_token_file.unwrap_or_else(|| data.join("control.token")),
            whip_port: Port::new(options.whip_port, heliograph_ingest::whip::PORT),
            whip_http_port: Port::new(options.whip_http_port, heliograph_ingest::whip::HTTP_PORT),
            keys: options.keys.unwrap_or_else(|| data.join("keys.toml")),
            authority,
            auth_insecure: options.auth_insecure.unwrap_or(false),
            rtp_ports: options.rtp_ports.unwrap_or(PortRange::known(24_000, 24_499)),
            rtp_addr: options.rtp_addr.unwrap_or(Ipv4Addr::LOCALHOST.into()),
            rtp_port: options.rtp_port,
            ports: options.ports.unwrap_or(PortRange::known(20_000, 20_500)),
            ip: options.ip.unwrap_or_default().into_iter().filter(none).collect(),
            stun_server: options.stun_server,
            ice_servers: options.ice_servers.unwrap_or_default().into_iter().filter(none).collect(),
            workers,
            pin_workers: options.pin_workers.unwrap_or(false),
            idle_timeout: seconds(options.idle_timeout_s, 60),
            port_rest: seconds(options.port_rest_s, 5),
            playout,
            channel_playout,
            max_viewers: options.max_viewers.unwrap_or(20_000),
            max_egress_cpu: match options.max_egress_cpu_percent.unwrap_or(90) {
                0 | 100 => None,
                percent if percent < 100 => Some(f64::from(percent) / 100.0),
                percent => bail!("max_egress_cpu_percent = {percent}: more than 100"),
            },
            max_pending_per_address: options.max_pending_per_address.unwrap_or(50),
            tls,
            data,
        })
    }

    /// Ranges, and ports that two listeners would fight for.
    fn check(&self, parts: Parts) -> Result<()> {
        for (name, port) in
            [("ws_port", self.ws_port), ("ftl_port", self.ftl_port), ("control", self.control.port())]
        {
            ensure!(port != 0, "{name}: port 0 is no port that anyone could be told");
        }
        if let Metrics::Asked(address) = self.metrics {
            ensure!(address.port() != 0, "metrics: port 0 is no port that anyone could be told");
        }
        ensure!(self.rtp_port != Some(0), "rtp_port: port 0 is no port");
        ensure!(self.web_port != Some(0), "web_port: port 0 is no port");
        for (name, value, low, high) in [
            ("publisher_grace_s", self.publisher_grace, 0, 3_600),
            ("no_media_s", self.no_media, 5, 3_600),
            ("max_bitrate_patience_s", self.bitrate.patience, 1, 600),
            ("idle_timeout_s", self.idle_timeout, 5, 86_400),
            ("port_rest_s", self.port_rest, 0, 600),
        ] {
            let seconds = value.as_secs();
            ensure!((low..=high).contains(&seconds), "{name} = {seconds}: outside {low} to {high} seconds");
        }
        for limit in self.bitrate.usual.iter().chain(self.bitrate.channels.values()) {
            let kbps = limit.as_bps() / 1_000;
            ensure!(
                (50..=1_000_000).contains(&kbps),
                "max_bitrate_kbps = {kbps}: outside 50 to 1000000 kilobits per second"
            );
        }
        ensure!(
            (16..=510).contains(&self.opus_kbps),
            "opus_kbps = {}: outside 16 to 510 kilobits per second",
            self.opus_kbps
        );
        ensure!(
            (1..=64).contains(&self.reencode_max),
            "reencode_max = {}: outside 1 to 64 streams",
            self.reencode_max
        );
        let hold = self.uplink_hold.as_millis();
        ensure!(hold <= 2_000, "uplink_hold_ms = {hold}: outside 0 to 2000 milliseconds");
        let latency = self.srt_latency.as_millis();
        ensure!(
            (20..=8_000).contains(&latency),
            "srt_latency_ms = {latency}: outside 20 to 8000 milliseconds"
        );
        for (name, value) in [
            ("max_viewers", self.max_viewers as usize),
            ("max_pending_per_address", self.max_pending_per_address as usize),
            ("connections_per_address", self.connections_per_address),
        ] {
            ensure!(value > 0, "{name} = 0: nobody could connect");
        }
        if let Some(workers) = self.workers {
            let room = self.ports.range().len();
            ensure!(
                workers.get() <= room,
                "workers = {workers} need as many ports, ports = {} has {room}",
                self.ports
            );
        }
        self.check_clashes(parts)
    }

    fn check_clashes(&self, parts: Parts) -> Result<()> {
        let (ingest, relay) = (parts != Parts::Relay, parts != Parts::Ingest);
        let mut tcp = Vec::new();
        let mut udp = Vec::new();
        if ingest {
            tcp.push(("ftl_port", self.ftl_port));
            for (name, port) in [("rtmp_port", self.rtmp), ("rtmps_port", self.rtmps)] {
                // The usual one gives way.
                if let Port::Asked(port) = port {
                    tcp.push((name, port));
                }
            }
            udp.push(("media_ports", self.media_ports));
            if let Port::Asked(port) = self.srt {
                udp.push(("srt_port", PortRange::known(port, port)));
            }
            udp.extend(self.whip_port.asked().map(|port| ("whip_port", PortRange::known(port, port))));
            if !relay {
                tcp.extend(self.whip_http_port.asked().map(|port| ("whip_http_port", port)));
            }
        }
        if relay {
            tcp.push(("ws_port", self.ws_port));
            tcp.extend(self.web_port.map(|port| ("web_port", port)));
            tcp.push(("control", self.control.port()));
            if let Metrics::Asked(address) = self.metrics {
                tcp.push(("metrics", address.port()));
            }
            udp.push(("rtp_ports", self.rtp_ports));
            udp.push(("ports", self.ports));
            udp.extend(self.rtp_port.map(|port| ("rtp_port", PortRange::known(port, port))));
        }
        for (i, (name, port)) in tcp.iter().enumerate() {
            if let Some((other, _)) = tcp[..i].iter().find(|(_, taken)| taken == port) {
                bail!("{other} and {name} clash: both are TCP port {port}");
            }
        }
        for (i, (name, ports)) in udp.iter().enumerate() {
            if let Some((other, theirs)) = udp[..i].iter().find(|(_, taken)| taken.overlaps(*ports)) {
                bail!("{other} = {theirs} and {name} = {ports} clash: UDP ports of both");
            }
        }
        Ok(())
    }
}

/// An IP as it stands, or the first address a name resolves to (IPv4 first, as most encoders use it).
fn resolve(setting: &str, text: &str) -> Result<IpAddr> {
    if let Ok(ip) = text.parse() {
        return Ok(ip);
    }
    let mut found: Vec<IpAddr> = (text, 0)
        .to_socket_addrs()
        .with_context(|| format!("{setting} = '{text}' is neither an IP address nor a name that resolves"))?
        .map(|address| address.ip())
        .collect();
    found.sort();
    found.first().copied().with_context(|| format!("{setting} = '{text}' resolves to no address"))
}

#[cfg(test)]
mod tests;
