//! A run from begin to end: publish, probes, ramp, hold, report.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    crowd::{Crowd, Kind},
    error::LoadError,
    histogram::Histogram,
    meter::{Meter, Usage},
    progress::Sample,
    publish::{Outlet, Published, Publisher, Shape},
    ramp::Ramp,
    report::Report,
    settings::{LoadSettings, PublishSettings, Targets},
    signal::{Joiner, Server},
    summary::{Edge, Edges, Material},
    sys::{
        clock::{Mono, process_cpu},
        files,
    },
    viewer::{CONNECT_LIMIT, Role, peer::PeerFactory},
    watched::{MARGIN, Medium, Phase, Place, Watched},
    worker::LINGER,
};

/// Step of the run's own clockwork.
const TICK: Duration = Duration::from_millis(5);
/// Time from sample to sample.
const SAMPLE: Duration = Duration::from_millis(500);
/// Samples that are kept; when there are more, every other one goes.
const MOST_SAMPLES: usize = 2048;
/// From the last join to the hold: the newest viewers catch up, and settle.
const SETTLE: Duration = Duration::from_millis(1500);
/// Longest wait for a stream of ours to be live, and for the probes' clean start.
const START_LIMIT: Duration = Duration::from_secs(15);
/// With fewer of the wanted viewers than this the figures mean nothing.
const LEAST_CONNECTED: f64 = 0.9;
/// Open files besides those of viewers.
const OTHER_FILES: u64 = 100;

/// What a run gives.
#[derive(Debug)]
pub struct Outcome {
    /// All figures.
    pub report: Report,
    /// The state of the run over time.
    pub samples: Vec<Sample>,
    /// Latency in the hold in microseconds, all viewers.
    pub latency_us: Histogram,
}

/// What a run tells while it goes on.
#[derive(Debug)]
pub enum Told<'a> {
    /// Its state, twice a second.
    Sample(&'a Sample),
    /// A sentence.
    Say(&'a str),
}

/// Runs the whole load test. `stop` ends it early: a hold that has begun is then cut short and still reported.
///
/// # Errors
/// Whatever makes the run void, see [`LoadError`].
pub async fn run(
    settings: LoadSettings,
    stop: impl Future<Output = ()>,
    mut tell: impl FnMut(Told<'_>),
) -> Result<Outcome, LoadError> {
    settings.check()?;
    let files = settings.viewers as u64 * 2 + OTHER_FILES + settings.concurrency as u64;
    let allowed = files::allow(files).map_err(LoadError::system("the limit of open files"))?;
    if allowed < files {
        return Err(LoadError::Files { viewers: settings.viewers, wanted: files, allowed });
    }
    let server = Server::new(&settings.url)?;
    let local = server.local_address(settings.allow_remote).await?;
    let meter = Meter::new(&settings.meter).await?;
    let stage = Stage::set(&settings, &server).await?;
    let factory =
        PeerFactory::new().map_err(|error| LoadError::Setting(format!("no peer connection: {error}")))?;
    let joiner = Joiner { server: server.clone(), factory, local, receive_offload: settings.receive_offload };
    let crowd = Crowd::start(&settings, joiner, Arc::clone(&stage.streams))
        .map_err(LoadError::system("no threads for viewers"))?;
    let mut running = Running {
        settings: &settings,
        crowd,
        meter,
        begun: Instant::now(),
        samples: Vec::new(),
        sample_every: SAMPLE,
        next_sample: Instant::now(),
        last: Look::default(),
        phase: ("start", Instant::now(), Duration::ZERO),
        tell: &mut tell,
        stop: Box::pin(stop),
    };
    let result = running.play(&stage).await;
    let Running { crowd, samples, meter, .. } = running;
    let counts = crowd.counts.clone();
    let outcomes = crowd.finish().await.map_err(LoadError::system("a viewers' thread"));
    let publisher = stage.publisher.as_ref().map(Publisher::take_figures);
    let streams = Arc::clone(&stage.streams);
    stage.strike().await;
    let (edges, outcomes) = (result?, outcomes?);
    let material = Material {
        settings: &settings,
        streams: &streams,
        outcomes: &outcomes,
        counts: &counts,
        edges: &edges,
        meter: meter.source(),
        publisher: publisher.as_ref(),
    };
    Ok(Outcome { report: material.report(), samples, latency_us: material.latency(Phase::Hold) })
}

/// What is watched, and who publishes it.
struct Stage {
    streams: Arc<[Arc<Watched>]>,
    publisher: Option<Publisher>,
    /// Ports to give back, and to whom.
    ports: Vec<u16>,
    control: Option<Server>,
}

impl Stage {
    async fn set(settings: &LoadSettings, server: &Server) -> Result<Self, LoadError> {
        if let Some(publish) = &settings.publish {
            return Self::publish(settings, publish, server).await;
        }
        let mut live = server.streams().await?;
        live.retain(|stream| stream.state == "live");
        let named = |port: u16, channel: Option<String>| channel.map_or(Place::Port(port), Place::Channel);
        let places: Vec<Place> = match &settings.targets {
            Targets::Port(port) => vec![Place::Port(*port)],
            Targets::All => live.into_iter().map(|stream| named(stream.port, stream.channel)).collect(),
            Targets::Channels(names) => {
                let is_live = |name: &String| live.iter().any(|stream| stream.is_live(name));
                if let Some(name) = names.iter().find(|name| !is_live(name)) {
                    let others: Vec<_> = live.iter().filter_map(|stream| stream.channel.as_deref()).collect();
                    let others = if others.is_empty() { "none".to_owned() } else { others.join(", ") };
                    return Err(LoadError::NoStream(format!("channel {name} is not live (live: {others})")));
                }
                names.iter().cloned().map(Place::Channel).collect()
            }
        };
        if places.is_empty() {
            let reason = "no stream is live; publish one, or let this command do it with --publish";
            return Err(LoadError::NoStream(reason.to_owned()));
        }
        let streams = places.into_iter().enumerate();
        let streams = streams.map(|(index, place)| Arc::new(Watched::new(index, place, None))).collect();
        Ok(Self { streams, publisher: None, ports: Vec::new(), control: None })
    }

    async fn publish(
        settings: &LoadSettings,
        publish: &PublishSettings,
        server: &Server,
    ) -> Result<Self, LoadError> {
        let control = Server::new(&publish.control)?;
        control.local_address(false).await?;
        let names: Vec<String> = (1..=publish.streams).map(|number| format!("load-{number}")).collect();
        let live = server.streams().await?;
        let taken = |name: &String| live.iter().any(|stream| stream.channel.as_ref() == Some(name));
        if let Some(name) = names.iter().find(|name| taken(name)) {
            return Err(LoadError::NoStream(format!(
                "channel {name} is taken: another run seems to be under way"
            )));
        }
        let mut stage = Self {
            streams: Arc::new([]),
            publisher: None,
            ports: Vec::new(),
            control: Some(control.clone()),
        };
        let result = stage.publish_all(settings, publish, server, &control, &names).await;
        if let Err(error) = result {
            stage.strike().await;
            return Err(error);
        }
        Ok(stage)
    }

    async fn publish_all(
        &mut self,
        settings: &LoadSettings,
        publish: &PublishSettings,
        server: &Server,
        control: &Server,
        names: &[String],
    ) -> Result<(), LoadError> {
        let mut outlets = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let port = control.allocate(name).await?;
            self.ports.push(port);
            // Timestamps begin anywhere (RFC 3550 section 5.1), here shortly before they wrap.
            let base = 0_u32.wrapping_sub(90_000 * (10 + index as u32));
            outlets.push(Outlet { port, published: Published::new(base, base / 2) });
        }
        let shape = Shape::new(publish.bitrate_kbit, publish.keyframe_interval);
        self.streams = outlets
            .iter()
            .zip(names)
            .enumerate()
            .map(|(index, (outlet, name))| {
                let place = Place::Channel(name.clone());
                Arc::new(Watched::new(index, place, Some(Arc::clone(&outlet.published))))
            })
            .collect();
        let ssrc_base = settings.seed as u32 ^ std::process::id().wrapping_mul(0x9e37_79b9);
        let publisher = Publisher::start(&outlets, shape, ssrc_base);
        self.publisher = Some(publisher.map_err(LoadError::system("no publisher"))?);
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let live = server.streams().await?;
            let is_live = |name: &String| live.iter().any(|stream| stream.is_live(name));
            let Some(missing) = names.iter().find(|name| !is_live(name)) else { return Ok(()) };
            if Instant::now() > deadline {
                return Err(LoadError::NoStream(format!("channel {missing} did not become live")));
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Ends what was begun.
    async fn strike(self) {
        drop(self.publisher);
        let Some(control) = self.control else { return };
        for port in self.ports {
            control.release(port).await;
        }
    }
}

struct Running<'a, T, S> {
    settings: &'a LoadSettings,
    crowd: Crowd,
    meter: Meter,
    begun: Instant,
    samples: Vec<Sample>,
    sample_every: Duration,
    next_sample: Instant,
    last: Look,
    /// Name, begin and expected length of what is going on.
    phase: (&'static str, Instant, Duration),
    tell: &'a mut T,
    stop: std::pin::Pin<Box<S>>,
}

/// Sums at one moment, for the differences between samples.
#[derive(Debug, Clone, Copy, Default)]
struct Look {
    at: Option<Instant>,
    packets: u64,
    bytes: u64,
    missing: u64,
    own_cpu: Duration,
    server: Option<Usage>,
}

/// Whether a phase went to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Done,
    Stopped,
}

impl<T: FnMut(Told<'_>), S: Future<Output = ()>> Running<'_, T, S> {
    /// All phases.
    async fn play(&mut self, stage: &Stage) -> Result<Edges, LoadError> {
        if stage.publisher.is_some() {
            self.enter("warm-up", self.settings.warm_up);
            let until = Instant::now() + self.settings.warm_up;
            self.must(until, |_| false).await?;
        }
        let before = self.usage().await?;
        self.start_probes(stage).await?;
        let joins_per_second = self.ramp(stage).await?;
        self.enter("settle", SETTLE);
        let until = Instant::now() + SETTLE;
        self.must(until, |_| false).await?;
        self.check_enough()?;
        if let Some(publisher) = &stage.publisher {
            // What was late before is not part of the measurement.
            publisher.take_figures();
        }
        let (hold, begin, end, connected_at_end) = self.hold(stage).await?;
        Ok(Edges { hold, begin, end, before, connected_at_end, joins_per_second })
    }

    fn enter(&mut self, phase: &'static str, length: Duration) {
        self.phase = (phase, Instant::now(), length);
    }

    /// Runs the clockwork until `until` comes or `done` says so; `each` is done at every tick.
    async fn wait(
        &mut self,
        until: Instant,
        mut done: impl FnMut(&mut Self) -> bool,
    ) -> Result<End, LoadError> {
        loop {
            self.crowd.take_notes();
            if done(self) || Instant::now() >= until {
                return Ok(End::Done);
            }
            if Instant::now() >= self.next_sample {
                self.sample().await;
            }
            tokio::select! {
                () = sleep_until((Instant::now() + TICK).min(until)) => {}
                () = &mut self.stop => return Ok(End::Stopped),
            }
        }
    }

    /// The same where stopping leaves nothing to report.
    async fn must(&mut self, until: Instant, done: impl FnMut(&mut Self) -> bool) -> Result<(), LoadError> {
        match self.wait(until, done).await? {
            End::Done => Ok(()),
            End::Stopped => Err(LoadError::Interrupted),
        }
    }

    /// Probes join first: they tell by how much the server moved the timestamps.
    async fn start_probes(&mut self, stage: &Stage) -> Result<(), LoadError> {
        self.enter("probes", START_LIMIT);
        let probed = stage.streams.len().min(LoadSettings::MOST_PROBED);
        for index in 0..self.probes(stage) {
            let transport = self.crowd.transport(index);
            let stream = index % probed;
            self.crowd.join(Kind { stream, role: Role::Probe, transport, slow: false, late: false });
        }
        let ready = |running: &mut Self| {
            let clean = running.clean_probes(stage.streams.len());
            let tells = |watched: &Watched| {
                let mut timelines = Medium::BOTH.iter().filter_map(|medium| watched.timeline(*medium));
                timelines.all(crate::timeline::Timeline::is_known)
            };
            stage.streams.iter().zip(clean).take(probed).all(|(watched, clean)| clean > 0 && tells(watched))
        };
        let until = Instant::now() + START_LIMIT;
        let mut is_ready = false;
        self.must(until, |running| {
            is_ready = ready(running);
            is_ready || (running.crowd.under_way() == 0 && running.crowd.present() == 0)
        })
        .await?;
        if is_ready {
            return Ok(());
        }
        let clean = self.clean_probes(stage.streams.len());
        let silent = stage.streams.iter().zip(clean).find(|(_, clean)| *clean == 0);
        Err(LoadError::NoProbe {
            place: silent
                .map_or_else(|| stage.streams[0].place.to_string(), |(watched, _)| watched.place.to_string()),
            seconds: START_LIMIT.as_secs(),
            reason: self
                .crowd
                .counts
                .last_failure
                .as_ref()
                .map(|reason| format!(" ({reason})"))
                .unwrap_or_default(),
        })
    }

    /// As many as wanted, one for each stream, and no more than there are viewers.
    fn probes(&self, stage: &Stage) -> usize {
        let least = stage.streams.len().min(LoadSettings::MOST_PROBED);
        self.settings.probes.max(least).min(self.settings.viewers.max(least))
    }

    fn clean_probes(&self, streams: usize) -> Vec<usize> {
        let mut clean = vec![0; streams];
        for worker in self.crowd.workers() {
            let shown = worker.view.shown();
            clean.iter_mut().zip(&shown.clean_probes).for_each(|(sum, more)| *sum += more);
        }
        clean
    }

    /// Everybody else joins; returns how many per second really did.
    async fn ramp(&mut self, stage: &Stage) -> Result<Option<f64>, LoadError> {
        let probes = self.probes(stage);
        let ordinary = self.settings.viewers.saturating_sub(probes);
        let length = Duration::from_secs_f64(ordinary as f64 / self.settings.ramp);
        self.enter("ramp", length);
        let (begun, already) = (Instant::now(), self.crowd.counts.connected);
        let mut ramp = Ramp::new(self.settings.ramp, ordinary);
        let mut index = 0;
        let role = if self.settings.feedback { Role::Receiver } else { Role::Counter };
        // Whoever waits for a turn begins its own clock then.
        let limit = Instant::now() + length * 10 + CONNECT_LIMIT * 2;
        self.must(limit, |running| {
            for _ in 0..ramp.due(begun.elapsed()) {
                let kind = Kind {
                    stream: index % stage.streams.len(),
                    role,
                    transport: running.crowd.transport(index / stage.streams.len()),
                    slow: index < running.settings.slow,
                    late: false,
                };
                running.crowd.join(kind);
                index += 1;
            }
            ramp.is_over() && running.crowd.under_way() == 0
        })
        .await?;
        let joined = self.crowd.counts.connected - already;
        Ok((joined > 1).then(|| joined as f64 / begun.elapsed().as_secs_f64()))
    }

    fn check_enough(&self) -> Result<(), LoadError> {
        let (connected, wanted) = (self.crowd.counts.connected, self.settings.viewers);
        if (connected as f64) < LEAST_CONNECTED * wanted as f64 {
            let reason = self.crowd.counts.last_failure.clone().unwrap_or_else(|| "none was told".to_owned());
            return Err(LoadError::TooFew { connected, wanted, reason });
        }
        Ok(())
    }

    /// The measurement: its length, both edges, and who was there at its end.
    async fn hold(&mut self, stage: &Stage) -> Result<(Duration, Edge, Edge, usize), LoadError> {
        self.enter("hold", self.settings.hold);
        stage.streams.iter().for_each(|stream| stream.begin_hold(Mono::now()));
        let begun = Instant::now();
        let begin = self.edge().await?;
        self.must(begun + MARGIN, |_| false).await?;
        stage.streams.iter().for_each(|stream| stream.fix_begin());
        let mut churn = Ramp::new(self.settings.churn, usize::MAX);
        self.wait(begun + self.settings.hold, |running| {
            for _ in 0..churn.due(begun.elapsed()) {
                running.crowd.replace_oldest();
            }
            false
        })
        .await?;
        let end = self.edge().await?;
        let hold = begun.elapsed();
        stage.streams.iter().for_each(|stream| stream.end_hold(Mono::now()));
        self.sample().await;
        let connected = self.connected();
        // A second wish to stop finds nothing left to cut short.
        self.stop_no_more(MARGIN).await;
        stage.streams.iter().for_each(|stream| stream.fix_end());
        self.stop_no_more(LINGER).await;
        Ok((hold, begin, end, connected))
    }

    async fn stop_no_more(&mut self, wait: Duration) {
        sleep(wait).await;
        self.crowd.take_notes();
    }

    fn connected(&self) -> usize {
        self.crowd.workers().iter().map(|worker| worker.view.shown().connected).sum()
    }

    async fn usage(&self) -> Result<Option<Usage>, LoadError> {
        if self.meter.exists() { self.meter.read().await.map(Some) } else { Ok(None) }
    }

    async fn edge(&self) -> Result<Edge, LoadError> {
        let server = self.usage().await?;
        let (packets, bytes) = self.crowd.received();
        Ok(Edge { server, packets, bytes, own_cpu: own_cpu(), threads_cpu: self.threads_cpu() })
    }

    fn threads_cpu(&self) -> Duration {
        self.crowd.workers().iter().map(|worker| worker.view.shown().cpu).sum()
    }

    /// Looks at everything, shows it and keeps it.
    async fn sample(&mut self) {
        let now = Instant::now();
        self.next_sample = now + self.sample_every;
        // A server that does not answer for once leaves a hole in the curve.
        let server = self.usage().await.ok().flatten();
        let (packets, bytes) = self.crowd.received();
        let mut latency = Histogram::default();
        let (mut missing, mut connected) = (0, 0);
        for worker in self.crowd.workers() {
            let mut shown = worker.view.shown();
            missing += shown.missing;
            connected += shown.connected;
            latency.merge(&shown.latency_us);
            shown.latency_us.clear();
        }
        let look = Look { at: Some(now), packets, bytes, missing, own_cpu: own_cpu(), server };
        let last = std::mem::replace(&mut self.last, look);
        // The first look is what the others are compared with.
        let Some(before) = last.at else { return };
        let passed = (now - before).as_secs_f64().max(1e-3);
        let cores = |now: Duration, before: Duration| now.saturating_sub(before).as_secs_f64() / passed;
        let came = packets.saturating_sub(last.packets);
        let lost = missing.saturating_sub(last.missing);
        let in_ms = |quantile| latency.quantile(quantile).map(|micros| micros as f64 / 1000.0);
        let (phase, phase_begun, length) = self.phase;
        let sample = Sample {
            at: now - self.begun,
            phase,
            done: if length.is_zero() {
                1.0
            } else {
                phase_begun.elapsed().as_secs_f64() / length.as_secs_f64()
            },
            joining: self.crowd.under_way(),
            connected,
            wanted: self.settings.viewers,
            failed: self.crowd.counts.failed + self.crowd.counts.lost,
            loss_percent: if came + lost > 0 { 100.0 * lost as f64 / (came + lost) as f64 } else { 0.0 },
            latency_p50_ms: in_ms(0.5),
            latency_p99_ms: in_ms(0.99),
            mbit_per_second: bytes.saturating_sub(last.bytes) as f64 * 8e-6 / passed,
            server_cores: server.zip(last.server).map(|(now, before)| cores(now.cpu, before.cpu)),
            server_rss_kib: server.map(|usage| usage.resident / 1024),
            generator_cores: cores(look.own_cpu, last.own_cpu),
        };
        (self.tell)(Told::Sample(&sample));
        self.samples.push(sample);
        if self.samples.len() > MOST_SAMPLES {
            let mut keep = false;
            self.samples.retain(|_| {
                keep = !keep;
                keep
            });
            self.sample_every *= 2;
        }
    }
}

fn own_cpu() -> Duration {
    process_cpu(std::process::id()).unwrap_or_default()
}
