//! Builds the parts that a command asks for, joins them, and takes them down in order.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use heliograph_ingest::allocator::HttpAllocator;
use heliograph_ingest::auth::{
    Authoriser, HttpAuthoriser, HttpAuthoriserSettings, KeysFile, WsAuthoriser, WsAuthoriserSettings,
};
use heliograph_ingest::ftl::{FtlServer, FtlSettings};
use heliograph_ingest::house::{House, HouseSettings, Takeover};
use heliograph_ingest::rtmp::client_configuration::{self, EndpointPorts, RemoteAddress};
use heliograph_ingest::rtmp::{RtmpServer, RtmpSettings};
use heliograph_ingest::srt::{SrtServer, SrtSettings};
use heliograph_ingest::whip::WhipDoor;
use heliograph_ingest::{BFrames, Reencoders};
use heliograph_relay::allocation::Allocator;
use heliograph_relay::{AnnouncedAddress, Relay, RelaySettings, host};
use heliograph_signaling::{
    ControlToken, Shutdown, SignalingSettings, control_router, local_only, public_router,
};
use heliograph_studio::messages::{Doors, SrtDoor};
use openssl::ssl::SslAcceptor;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::doors::{self, Door};
use crate::orphans::dies_with_us;
use crate::settings::{Authority, BFramesOption, Metrics, Parts, Port, Settings};
use crate::warnings::Facts;
use crate::{demo, key, logging, metrics, studio, web_app, whip};

/// How long the parts may take to say goodbye.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(5);

/// Runs the parts until a signal says stop.
///
/// # Errors
/// Whatever keeps a part from starting, with the setting to look at.
pub(crate) fn run(settings: &Settings, parts: Parts, demo: bool) -> Result<()> {
    logging::start(&settings.log, settings.log_file.as_deref())?;
    std::fs::create_dir_all(&settings.data)
        .with_context(|| format!("data: {} cannot be made", settings.data.display()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(serve(settings, parts, demo))
}

async fn serve(settings: &Settings, parts: Parts, demo: bool) -> Result<()> {
    // Before anything listens, so that a signal during start is not lost.
    let mut stop = Stop::listen()?;
    let demo_key = if demo { Some(demo::key(settings)?) } else { None };
    let ground = match parts {
        Parts::Ingest => None,
        Parts::Serve | Parts::Relay => Some(Ground::lay(settings)?),
    };
    let publishers_side = match parts {
        Parts::Relay => None,
        Parts::Serve | Parts::Ingest => {
            Some(PublishersSide::start(settings, ground.as_ref().map(|ground| &ground.relay))?)
        }
    };
    let viewers_side = ground.map(|ground| {
        let publishing =
            publishers_side.as_ref().map_or_else(Router::new, |side| side.router(settings, &ground.relay));
        ViewersSide::open(ground, settings, publishing)
    });
    let whip = publishers_side.as_ref().is_some_and(|side| side.whip.is_some());
    welcome(settings, parts, whip);
    let demo = demo_key.map(|key| demo::start(settings, key));

    stop.asked().await;
    info!("stopping; a second signal stops at once");
    let goodbye = async {
        if let Some(demo) = demo {
            demo.abort();
        }
        if let Some(side) = publishers_side {
            side.stop().await;
        }
        if let Some(side) = viewers_side {
            side.stop().await;
        }
    };
    tokio::select! {
        done = tokio::time::timeout(SHUTDOWN_DEADLINE, goodbye) => {
            if done.is_err() {
                warn!("not every connection was closed in time");
            }
        }
        () = stop.asked() => warn!("stopped at once"),
    }
    Ok(())
}

/// What the viewers' side stands on: files and ports first, because what can fail should fail before threads run.
struct Ground {
    tls: Option<SslAcceptor>,
    token: ControlToken,
    control: TcpListener,
    figures: Option<TcpListener>,
    public: Vec<(&'static str, TcpListener)>,
    relay: Relay,
}

impl Ground {
    fn lay(settings: &Settings) -> Result<Ground> {
        let tls = settings.tls.as_ref().map(doors::tls).transpose()?;
        let token = ControlToken::load_or_create(&settings.data.join("control.token"))
            .context("data: the token file control.token cannot be used")?;
        let control = doors::listen("control", Some(settings.control.ip()), settings.control.port())?;
        let figures = metrics_listener(settings.metrics)?;
        let mut public = vec![("ws_port", doors::listen("ws_port", settings.addr, settings.ws_port)?)];
        if let Some(port) = settings.web_port {
            public.push(("web_port", doors::listen("web_port", settings.addr, port)?));
        }

        // Each WebSocket is a file.
        let files = host::raise_file_limit().ok();
        let relay = Relay::start(relay_settings(settings)).context("the relay cannot start")?;
        let facts = Facts { sockets: relay.sockets(), files, max_viewers: settings.max_viewers };
        for warning in facts.warnings() {
            warn!("{warning}");
        }
        Ok(Ground { tls, token, control, figures, public, relay })
    }
}

/// Relay, signaling, web page.
struct ViewersSide {
    relay: Relay,
    shutdown: Shutdown,
    closing: watch::Sender<bool>,
    doors: Vec<JoinHandle<()>>,
}

impl ViewersSide {
    /// Opens the listeners; `publishing` is what publishers ask of the public ones.
    fn open(ground: Ground, settings: &Settings, publishing: Router) -> ViewersSide {
        let Ground { tls, token, control, figures, public, relay } = ground;
        let shutdown = Shutdown::default();
        let signaling = Arc::new(SignalingSettings {
            ws_url: settings.ws_url.clone(),
            ice_servers: settings.ice_servers.clone(),
            branding: settings.branding.clone(),
            tls: tls.is_some(),
            default_port: settings.rtp_port,
            stream_api_open: settings.stream_api_open,
            token,
            control_hosts: settings.control_hosts.clone(),
            trusted_proxies: settings.trusted_proxies.clone(),
            max_sockets: settings.max_viewers,
            shutdown: shutdown.clone(),
            ..SignalingSettings::default()
        });
        let (closing, closed) = watch::channel(false);
        let open = |name, listener, tls, router| {
            let connections_per_address = settings.connections_per_address;
            Door { name, listener, tls, router, connections_per_address }.open(closed.clone())
        };
        let router = public_router(relay.clone(), Arc::clone(&signaling))
            .merge(publishing)
            .fallback_service(web_app::router());
        let mut doors = vec![open("control", control, None, control_router(relay.clone(), signaling))];
        if let Some(listener) = figures {
            let router = local_only(metrics::router(relay.clone()), settings.control_hosts.clone());
            doors.push(open("metrics", listener, None, router));
        }
        doors.extend(
            public.into_iter().map(|(name, listener)| open(name, listener, tls.clone(), router.clone())),
        );
        ViewersSide { relay, shutdown, closing, doors }
    }

    async fn stop(self) {
        self.shutdown.begin();
        self.relay.shutdown(SHUTDOWN_DEADLINE).await;
        self.shutdown.finished(SHUTDOWN_DEADLINE).await;
        self.closing.send_replace(true);
        for door in self.doors {
            // A door that panicked has nothing left to close.
            let _ended = door.await;
        }
    }
}

/// The usual place for metrics may be somebody else's; one that was asked for may not.
fn metrics_listener(metrics: Metrics) -> Result<Option<TcpListener>> {
    let listen = |address: SocketAddr| doors::listen("metrics", Some(address.ip()), address.port());
    match metrics {
        Metrics::Off => Ok(None),
        Metrics::Asked(address) => listen(address).map(Some),
        Metrics::Usual(address) => Ok(listen(address)
            .inspect_err(|error| warn!("no metrics: {error:#}; --metrics sets another place, or off"))
            .ok()),
    }
}

/// Public addresses as written: IPs or names.
fn announced(settings: &Settings) -> Vec<AnnouncedAddress> {
    let announced = |text: &String| match text.parse() {
        Ok(ip) => AnnouncedAddress::Ip(ip),
        Err(_) => AnnouncedAddress::Name(text.clone()),
    };
    settings.ip.iter().map(announced).collect()
}

fn relay_settings(settings: &Settings) -> RelaySettings {
    RelaySettings {
        rtp_addr: settings.rtp_addr,
        rtp_ports: settings.rtp_ports.range(),
        permanent_port: settings.rtp_port,
        media_addr: settings.addr,
        ports: settings.ports.range(),
        workers: settings.workers,
        pin_workers: settings.pin_workers,
        announced: announced(settings),
        stun_server: settings.stun_server.clone(),
        idle_timeout: settings.idle_timeout,
        port_rest: settings.port_rest,
        playout: settings.playout,
        channel_playout: settings.channel_playout.clone(),
        max_viewers: settings.max_viewers,
        max_egress_cpu: settings.max_egress_cpu,
        max_pending_per_address: settings.max_pending_per_address,
        ..RelaySettings::default()
    }
}

/// The doors that publishers come in by, and the house behind them.
struct PublishersSide {
    house: Arc<House>,
    _ftl: FtlServer,
    rtmp: Vec<RtmpServer>,
    srt: Option<SrtServer>,
    whip: Option<WhipDoor>,
    /// WHIP's requests, where there is no web server.
    requests: Option<Requests>,
}

/// A listener of the publishers' side.
struct Requests {
    closing: watch::Sender<bool>,
    door: JoinHandle<()>,
}

impl PublishersSide {
    /// Towards `relay` in this process or, without one, towards the allocation API of another.
    fn start(settings: &Settings, relay: Option<&Relay>) -> Result<PublishersSide> {
        let house =
            House::new(house_settings(settings, relay), authoriser(settings)?, allocator(settings, relay)?);
        let any = [IpAddr::from(Ipv4Addr::UNSPECIFIED), IpAddr::from(Ipv6Addr::UNSPECIFIED)];
        let addresses = settings.addr.as_ref().map_or(&any[..], std::slice::from_ref);
        let ftl = FtlSettings {
            listen: addresses.iter().map(|&ip| SocketAddr::new(ip, settings.ftl_port)).collect(),
            media_ports: settings.media_ports.range(),
            port_rest: settings.port_rest,
            media_timeout: settings.no_media,
            hold: settings.uplink_hold,
            ..FtlSettings::default()
        };
        let ftl = FtlServer::start(ftl, Arc::clone(&house)).context("the FTL ingest cannot start")?;
        let b_frames = b_frames(settings);
        let rtmp = rtmp_doors(settings, addresses, &house, &b_frames)?;
        let srt = srt_door(settings, addresses, &house, &b_frames)?;
        let whip = whip::open(settings, announced(settings), &house)?;
        let requests = match &whip {
            Some(door) if relay.is_none() => {
                let configuration = configuration_router(&house, &rtmp, settings);
                Self::listen(settings, configuration.merge(whip::router(door, settings)))?
            }
            _ => None,
        };
        Ok(PublishersSide { house, _ftl: ftl, rtmp, srt, whip, requests })
    }

    /// What publishers ask of the web server: WHIP, the streamer's desk, and which sizes OBS is to send.
    fn router(&self, settings: &Settings, relay: &Relay) -> Router {
        let doors = Doors {
            ftl_port: Some(settings.ftl_port),
            rtmp_port: open_rtmp(&self.rtmp, settings.rtmp),
            rtmps_port: open_rtmp(&self.rtmp, settings.rtmps),
            srt: self.srt.as_ref().and_then(|_| settings.srt.number()).map(|port| SrtDoor {
                port,
                latency_ms: u32::try_from(settings.srt_latency.as_millis()).unwrap_or(u32::MAX),
                passphrase: settings.srt_passphrase.as_ref().map(|passphrase| passphrase.reveal().to_owned()),
            }),
            whip: self.whip.is_some(),
        };
        let whip = self.whip.as_ref().map(|door| whip::router(door, settings));
        let desk = studio::router(&self.house, relay, settings, doors, whip.clone());
        let configuration = configuration_router(&self.house, &self.rtmp, settings);
        whip.into_iter().fold(desk.merge(configuration), Router::merge)
    }

    fn listen(settings: &Settings, router: Router) -> Result<Option<Requests>> {
        let tls = settings.tls.as_ref().map(doors::tls).transpose()?;
        let Some((port, listener)) = whip::listener(settings)? else { return Ok(None) };
        info!(port, "WHIP requests are taken");
        let (closing, closed) = watch::channel(false);
        let connections_per_address = settings.connections_per_address;
        let door = Door { name: "whip_http_port", listener, tls, router, connections_per_address };
        Ok(Some(Requests { closing, door: door.open(closed) }))
    }

    async fn stop(self) {
        self.house.shutdown(SHUTDOWN_DEADLINE).await;
        if let Some(Requests { closing, door }) = self.requests {
            closing.send_replace(true);
            // A door that panicked has nothing left to close.
            let _ended = door.await;
        }
    }
}

/// The number of an RTMP port that publishers can really come in by.
fn open_rtmp(doors: &[RtmpServer], port: Port) -> Option<u16> {
    let is_open = |number: &u16| {
        let mut addresses = doors.iter().flat_map(RtmpServer::local_addrs);
        addresses.any(|address| address.port() == *number)
    };
    port.number().filter(is_open)
}

/// `POST /multitrack`: which sizes OBS is to send over RTMP.
fn configuration_router(house: &Arc<House>, doors: &[RtmpServer], settings: &Settings) -> Router {
    let ports =
        EndpointPorts { rtmp: open_rtmp(doors, settings.rtmp), rtmps: open_rtmp(doors, settings.rtmps) };
    if ports == EndpointPorts::default() {
        return Router::new();
    }
    let router = client_configuration::router(house, ports);
    doors::introduced(router, &settings.trusted_proxies, |_, ip, _| RemoteAddress(ip))
}

/// RTMP and RTMPS. The usual ports may be somebody else's (another media server's, most likely), which is said and no
/// more; those that were asked for may not.
fn rtmp_doors(
    settings: &Settings,
    addresses: &[IpAddr],
    house: &Arc<House>,
    b_frames: &BFrames,
) -> Result<Vec<RtmpServer>> {
    let listen =
        |port: u16| addresses.iter().map(|&ip| SocketAddr::new(ip, port)).collect::<Vec<SocketAddr>>();
    let common = || RtmpSettings {
        media_timeout: settings.no_media,
        b_frames: b_frames.clone(),
        opus_bitrate: settings.opus_kbps * 1_000,
        ..RtmpSettings::default()
    };
    let mut doors = Vec::new();
    for (name, port, secure) in [("rtmp_port", settings.rtmp, false), ("rtmps_port", settings.rtmps, true)] {
        let Some(number) = port.number() else { continue };
        let door = match &settings.tls {
            Some(files) if secure => {
                RtmpSettings { listen_tls: listen(number), tls: Some(doors::tls(files)?), ..common() }
            }
            _ => RtmpSettings { listen: listen(number), ..common() },
        };
        match (RtmpServer::start(door, Arc::clone(house)), port) {
            (Ok(door), _) => doors.push(door),
            (Err(error), Port::Usual(_)) => {
                let flag = name.replace('_', "-");
                warn!("no publishers at {number}: {error}; --{flag} sets another port, or 0 for none");
            }
            (Err(error), _) => return Err(error).context(name),
        }
    }
    Ok(doors)
}

/// The rule of the doors whose publishers may have any.
fn b_frames(settings: &Settings) -> BFrames {
    match settings.b_frames {
        BFramesOption::Warn => BFrames::Warn,
        BFramesOption::Refuse => BFrames::Refuse,
        BFramesOption::Reencode => {
            let reencoders = Reencoders::new(settings.reencode_max, dies_with_us);
            reencoders.look_for_encoder();
            BFrames::Reencode(reencoders)
        }
    }
}

/// SRT; its usual port may be somebody else's, too.
fn srt_door(
    settings: &Settings,
    addresses: &[IpAddr],
    house: &Arc<House>,
    b_frames: &BFrames,
) -> Result<Option<SrtServer>> {
    let Some(port) = settings.srt.number() else { return Ok(None) };
    let door = SrtSettings {
        listen: addresses.iter().map(|&ip| SocketAddr::new(ip, port)).collect(),
        passphrase: settings.srt_passphrase.clone(),
        latency: settings.srt_latency,
        media_timeout: settings.no_media,
        b_frames: b_frames.clone(),
        opus_bitrate: settings.opus_kbps * 1_000,
    };
    match (SrtServer::start(door, Arc::clone(house)), settings.srt) {
        (Ok(door), _) => Ok(Some(door)),
        (Err(error), Port::Usual(_)) => {
            warn!("no publishers at {port}: {error}; --srt-port sets another port, or 0 for none");
            Ok(None)
        }
        (Err(error), _) => Err(error).context("srt_port"),
    }
}

fn house_settings(settings: &Settings, relay: Option<&Relay>) -> HouseSettings {
    let relay_addr = match relay {
        // A wildcard is where the relay listens, not where one sends to.
        Some(_) if settings.rtp_addr.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        Some(_) => settings.rtp_addr,
        None => settings.relay_rtp_addr,
    };
    HouseSettings {
        relay_addr,
        bitrate: settings.bitrate.clone(),
        networks: settings.publisher_networks.clone(),
        grace: settings.publisher_grace,
        takeover: if settings.take_over { Takeover::ALLOWED } else { Takeover::WhenSilent },
        ..HouseSettings::default()
    }
}

fn allocator(settings: &Settings, relay: Option<&Relay>) -> Result<Arc<dyn Allocator>> {
    if let Some(relay) = relay {
        return Ok(Arc::new(relay.clone()));
    }
    let token = match std::fs::read_to_string(&settings.relay_token_file) {
        Ok(token) => Some(token.trim().to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            let file = settings.relay_token_file.display();
            return Err(error).with_context(|| format!("relay_token_file: {file} cannot be read"));
        }
    };
    Ok(Arc::new(HttpAllocator::new(&settings.relay_url, token).context("relay_url")?))
}

fn authoriser(settings: &Settings) -> Result<Arc<dyn Authoriser>> {
    let allow_plain = settings.auth_insecure;
    Ok(match &settings.authority {
        Authority::Keys => {
            key::ensure_file(&settings.keys)?;
            let keys = KeysFile::load(&settings.keys)?;
            if keys.is_empty() {
                info!("no channel yet: `heliograph key new NAME` makes one, also while the server runs");
            }
            Arc::new(keys)
        }
        Authority::WebSocket(url) => {
            let settings = WsAuthoriserSettings { url: url.clone(), allow_plain };
            Arc::new(WsAuthoriser::start(&settings).context("auth_ws_url")?)
        }
        Authority::Http(url) => {
            let settings = HttpAuthoriserSettings { url: url.clone(), authorization: None, allow_plain };
            Arc::new(HttpAuthoriser::new(&settings).context("auth_http_url")?)
        }
    })
}

/// Tells a person where to go, once everything listens.
fn welcome(settings: &Settings, parts: Parts, whip: bool) {
    let host = match settings.addr {
        Some(ip) if !ip.is_unspecified() => ip,
        _ => IpAddr::from(Ipv4Addr::LOCALHOST),
    };
    let host = if host.is_loopback() && host.is_ipv4() { "localhost".to_owned() } else { uri_host(host) };
    if parts != Parts::Ingest {
        let scheme = if settings.tls.is_some() { "https" } else { "http" };
        info!("watch at {scheme}://{host}:{}", settings.ws_port);
    }
    if parts != Parts::Relay {
        info!("stream to ftl://{host} (control port {})", settings.ftl_port);
        if let Some(port) = settings.rtmp.number() {
            info!("or to rtmp://{host}:{port}/live with the same stream key");
        }
        if let Some(port) = settings.srt.number() {
            info!("or to srt://{host}:{port}?streamid=KEY with the same stream key");
        }
        if whip && parts == Parts::Serve {
            let scheme = if settings.tls.is_some() { "https" } else { "http" };
            info!("or by WHIP to {scheme}://{host}:{}/whip", settings.ws_port);
        }
    }
}

fn uri_host(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// SIGTERM and SIGINT.
struct Stop {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Stop {
    fn listen() -> Result<Stop> {
        Ok(Stop { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
