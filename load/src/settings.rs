//! What a run is to do.

use std::time::Duration;

use crate::error::LoadError;

/// Most viewers of one process: as many as there are ports for their sockets.
const MOST_VIEWERS: usize = 28_000;
/// Most streams of our own.
const MOST_STREAMS: usize = 400;

/// Settings of a run; the defaults are a small one that publishes nothing.
#[derive(Debug, Clone)]
pub struct LoadSettings {
    /// The server's base, such as `http://127.0.0.1:8080`.
    pub url: String,
    /// Which streams are watched, when we do not publish ourselves.
    pub targets: Targets,
    /// Publish streams of our own, and watch those.
    pub publish: Option<PublishSettings>,
    /// How viewers signal.
    pub transport: TransportMix,
    /// Viewers in all, probes included.
    pub viewers: usize,
    /// Joins per second.
    pub ramp: f64,
    /// How long it is measured after all have joined.
    pub hold: Duration,
    /// Percent of received media packets that each viewer drops.
    pub loss: f64,
    /// Of the viewers, how many stop reading for stretches.
    pub slow: usize,
    /// Viewers per second that leave and are replaced during the hold.
    pub churn: f64,
    /// Viewers that decrypt and check everything; at least one for each of the first [`LoadSettings::MOST_PROBED`] streams.
    pub probes: usize,
    /// All viewers are complete receivers.
    pub feedback: bool,
    /// Threads that read.
    pub threads: usize,
    /// Joins under way at once.
    pub concurrency: usize,
    /// Whether the kernel may deliver several datagrams joined (`UDP_GRO`).
    pub receive_offload: bool,
    /// Where the server's processor time and memory are read.
    pub meter: MeterSettings,
    /// From the publisher's begin to the first viewer: what the server keeps for each stream fills up.
    pub warm_up: Duration,
    /// Aim at other machines.
    pub allow_remote: bool,
    /// Seed of all chance.
    pub seed: u64,
}

/// Which streams are watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Targets {
    /// All that is live when the run begins.
    All,
    /// These channels, viewers spread evenly.
    Channels(Vec<String>),
    /// The stream of this port.
    Port(u16),
}

/// How viewers signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportMix {
    /// WHEP alone.
    Whep,
    /// The server's WebSocket alone.
    WebSocket,
    /// By turns.
    Both,
}

/// Streams of our own.
#[derive(Debug, Clone)]
pub struct PublishSettings {
    /// Base of the allocation API.
    pub control: String,
    /// How many, named `load-1` and so on.
    pub streams: usize,
    /// Video bitrate in kbit/s.
    pub bitrate_kbit: u32,
    /// Time from one keyframe to the next.
    pub keyframe_interval: Duration,
}

/// Where the server's processor time and memory are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MeterSettings {
    /// Nowhere.
    None,
    /// From the kernel.
    Pid(u32),
    /// From an address with Prometheus text.
    Metrics(String),
}

impl Default for LoadSettings {
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:8080".to_owned(),
            targets: Targets::All,
            publish: None,
            transport: TransportMix::Whep,
            viewers: 100,
            ramp: 100.0,
            hold: Duration::from_secs(20),
            loss: 0.0,
            slow: 0,
            churn: 0.0,
            probes: 4,
            feedback: false,
            threads: 1,
            concurrency: 40,
            receive_offload: true,
            meter: MeterSettings::None,
            warm_up: Duration::from_secs(3),
            allow_remote: false,
            seed: 1,
        }
    }
}

impl LoadSettings {
    /// Streams that get a probe of their own, however many there are.
    pub const MOST_PROBED: usize = 64;

    /// Checks everything that can be checked without a network.
    ///
    /// # Errors
    /// [`LoadError::Setting`], with the flag's name.
    pub fn check(&self) -> Result<(), LoadError> {
        let need =
            |fits: bool, text: &str| if fits { Ok(()) } else { Err(LoadError::Setting(text.to_owned())) };
        need((1..=MOST_VIEWERS).contains(&self.viewers), "--viewers: 1 to 28000, each takes a port")?;
        need(self.ramp > 0.0 && self.ramp <= 100_000.0, "--ramp: more than 0 joins per second")?;
        let hold = Duration::from_secs(1)..=Duration::from_secs(86_400);
        need(hold.contains(&self.hold), "--hold: 1 to 86400 seconds")?;
        need((0.0..=90.0).contains(&self.loss), "--loss: 0 to 90 percent")?;
        need(self.slow < self.viewers, "--slow: fewer than --viewers")?;
        need((0.0..=1000.0).contains(&self.churn), "--churn: 0 to 1000 per second")?;
        need((1..=256).contains(&self.threads), "--threads: 1 to 256")?;
        need((1..=1000).contains(&self.concurrency), "--concurrency: 1 to 1000")?;
        need(self.warm_up <= Duration::from_secs(600), "--warm-up: 0 to 600 seconds")?;
        if let Some(publish) = &self.publish {
            need((1..=MOST_STREAMS).contains(&publish.streams), "--streams: 1 to 400")?;
            need((50..=100_000).contains(&publish.bitrate_kbit), "--bitrate: 50 to 100000 kbit/s")?;
            let interval = Duration::from_millis(100)..=Duration::from_secs(60);
            need(interval.contains(&publish.keyframe_interval), "--keyframe-interval: 0.1 to 60 seconds")?;
            need(!self.allow_remote, "--publish sends to loopback: not together with --allow-remote")?;
            need(
                self.targets == Targets::All,
                "--publish watches its own streams: not together with --channel or --port",
            )?;
        }
        Ok(())
    }

    /// Part of all numbers of 32 bits that means "drop".
    pub(crate) fn loss_threshold(&self) -> u32 {
        (self.loss / 100.0 * f64::from(u32::MAX)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change = fn(&mut LoadSettings);

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        LoadSettings::default().check().expect("the defaults");
        let cases: [(Change, &str); 9] = [
            (|settings| settings.viewers = 0, "--viewers"),
            (|settings| settings.viewers = 30_000, "--viewers"),
            (|settings| settings.ramp = 0.0, "--ramp"),
            (|settings| settings.ramp = f64::NAN, "--ramp"),
            (|settings| settings.loss = 91.0, "--loss"),
            (|settings| settings.slow = 100, "--slow"),
            (|settings| settings.hold = Duration::ZERO, "--hold"),
            (|settings| settings.threads = 0, "--threads"),
            (|settings| settings.churn = -1.0, "--churn"),
        ];
        for (change, flag) in cases {
            let mut settings = LoadSettings::default();
            change(&mut settings);
            let error = settings.check().expect_err(flag).to_string();
            assert!(error.starts_with(flag), "{error}");
        }
    }

    #[test]
    fn loss_is_a_part_of_all_numbers() {
        let threshold = |loss| LoadSettings { loss, ..LoadSettings::default() }.loss_threshold();
        assert_eq!(threshold(0.0), 0);
        assert!(threshold(50.0).abs_diff(u32::MAX / 2) < 2);
    }
}
