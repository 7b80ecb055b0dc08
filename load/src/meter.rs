//! The server's processor time and memory, from the kernel or from its metrics.

use std::time::Duration;

use reqwest::Client;

use crate::{
    error::{LoadError, in_full},
    settings::MeterSettings,
    sys::clock::process_cpu,
};

/// Time for one look at the metrics.
const LIMIT: Duration = Duration::from_secs(3);

/// One look at the server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Usage {
    /// Processor time so far, user and system, all threads.
    pub(crate) cpu: Duration,
    /// Resident memory in bytes.
    pub(crate) resident: u64,
}

/// Where to look.
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    settings: MeterSettings,
    http: Client,
}

impl Meter {
    /// Looks once, so that a wrong address shows before the run.
    pub(crate) async fn new(settings: &MeterSettings) -> Result<Self, LoadError> {
        let http = Client::builder()
            .no_proxy()
            .timeout(LIMIT)
            .build()
            .map_err(|error| LoadError::Setting(error.to_string()))?;
        let meter = Self { settings: settings.clone(), http };
        if meter.exists() {
            meter.read().await?;
        }
        Ok(meter)
    }

    pub(crate) fn exists(&self) -> bool {
        self.settings != MeterSettings::None
    }

    /// Where the figures come from, in words.
    pub(crate) fn source(&self) -> &'static str {
        match self.settings {
            MeterSettings::None => "none",
            MeterSettings::Pid(_) => "process",
            MeterSettings::Metrics(_) => "metrics",
        }
    }

    /// Looks now.
    pub(crate) async fn read(&self) -> Result<Usage, LoadError> {
        match &self.settings {
            MeterSettings::None => Err(LoadError::Setting("no meter".to_owned())),
            MeterSettings::Pid(pid) => {
                let failed = |error| LoadError::Setting(format!("--server-pid {pid}: {error}"));
                let cpu = process_cpu(*pid).map_err(failed)?;
                let status = std::fs::read_to_string(format!("/proc/{pid}/status")).map_err(failed)?;
                Ok(Usage { cpu, resident: resident(&status).unwrap_or(0) })
            }
            MeterSettings::Metrics(url) => {
                let failed = |error: reqwest::Error| LoadError::server(url, &in_full(error));
                let answer = self.http.get(url).send().await.and_then(reqwest::Response::error_for_status);
                let text = answer.map_err(failed)?.text().await.map_err(failed)?;
                parse(&text)
                    .map_err(|what| LoadError::server(url, &format!("{what} is not among its metrics")))
            }
        }
    }
}

/// Resident memory in bytes, from `/proc/PID/status`.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}

/// Reads the two metrics that every Prometheus client library names alike; the error is the one that is missing.
fn parse(text: &str) -> Result<Usage, &'static str> {
    let value = |name: &'static str| {
        text.lines()
            .filter_map(|line| line.strip_prefix(name))
            .filter(|rest| rest.starts_with([' ', '{']))
            .filter_map(|rest| rest.rsplit('}').next()?.split_whitespace().next()?.parse::<f64>().ok())
            .find(|value| value.is_finite() && *value >= 0.0)
            .ok_or(name)
    };
    Ok(Usage {
        cpu: Duration::from_secs_f64(value("process_cpu_seconds_total")?.min(1e12)),
        resident: value("process_resident_memory_bytes")? as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_text() {
        let text = "# HELP process_cpu_seconds_total Time\n# TYPE process_cpu_seconds_total counter\n\
            process_cpu_seconds_total 12.5\nprocess_resident_memory_bytes{job=\"a b\"} 1.048576e+06 1700000000\n";
        let expected = Usage { cpu: Duration::from_millis(12_500), resident: 1 << 20 };
        assert_eq!(parse(text), Ok(expected));
        assert_eq!(parse("process_cpu_seconds_total 1\n"), Err("process_resident_memory_bytes"));
        assert_eq!(parse("process_cpu_seconds_total NaN\n"), Err("process_cpu_seconds_total"));
    }

    #[tokio::test]
    async fn a_process() {
        let meter = Meter::new(&MeterSettings::Pid(std::process::id())).await.expect("ourselves");
        let usage = meter.read().await.expect("ourselves");
        assert!(usage.resident > 1 << 20);
        assert!(Meter::new(&MeterSettings::Pid(u32::MAX)).await.is_err());
    }
}
