//! What the kernel tells about this process, under the names that Prometheus' own clients use.

use std::fs;

use heliograph_relay::host;

use super::text::{Kind, Page};

/// Clock ticks per second in `/proc`: fixed by the kernel's interface, whatever its real rate.
const TICKS: f64 = 100.0;

/// The figures; what cannot be read is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Process {
    /// User and system time, seconds.
    cpu: Option<f64>,
    /// Start, seconds since 1970.
    start: Option<f64>,
    resident_bytes: Option<u64>,
    virtual_bytes: Option<u64>,
    threads: Option<u64>,
    open_files: Option<u64>,
    max_files: Option<u64>,
}

impl Process {
    /// Reads them. A few system calls, plus one per thousand open files.
    pub(super) fn read() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self {
            open_files: host::open_files(),
            max_files: host::file_limit().map(|limit| limit.soft),
            ..Self::parse(&text("/proc/self/stat"), &text("/proc/stat"), &text("/proc/self/status"))
        }
    }

    fn parse(stat: &str, system: &str, status: &str) -> Self {
        // The second field is the program's name in brackets, which may hold anything.
        let fields: Vec<&str> =
            stat.rsplit_once(')').map_or_else(Vec::new, |(_, rest)| rest.split_whitespace().collect());
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let boot = system.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse::<f64>().ok());
        let status = |key: &str| {
            let value = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
            value.split_whitespace().next()?.parse::<u64>().ok()
        };
        Self {
            cpu: field(14).zip(field(15)).map(|(user, kernel)| (user + kernel) / TICKS),
            start: boot.zip(field(22)).map(|(boot, ticks)| boot + ticks / TICKS),
            resident_bytes: status("VmRSS").map(|kib| kib * 1024),
            virtual_bytes: status("VmSize").map(|kib| kib * 1024),
            threads: status("Threads"),
            open_files: None,
            max_files: None,
        }
    }

    pub(super) fn write(&self, page: &mut Page) {
        let mut one = |name, kind, help: &str, value: Option<String>| {
            let mut family = page.family(name, kind, help);
            if let Some(value) = value {
                family.sample(&[], value);
            }
        };
        let float = |value: Option<f64>| value.map(|value| value.to_string());
        let whole = |value: Option<u64>| value.map(|value| value.to_string());
        one(
            "process_cpu_seconds_total",
            Kind::Counter,
            "User and system time of the whole process, in seconds.",
            float(self.cpu),
        );
        one(
            "process_resident_memory_bytes",
            Kind::Gauge,
            "Memory of the process in RAM.",
            whole(self.resident_bytes),
        );
        one(
            "process_virtual_memory_bytes",
            Kind::Gauge,
            "Address space of the process.",
            whole(self.virtual_bytes),
        );
        one("process_open_fds", Kind::Gauge, "Open file descriptors.", whole(self.open_files));
        one("process_max_fds", Kind::Gauge, "Most file descriptors.", whole(self.max_files));
        one("process_threads", Kind::Gauge, "Threads of the process.", whole(self.threads));
        one(
            "process_start_time_seconds",
            Kind::Gauge,
            "When the process started, in seconds since 1970.",
            float(self.start),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_texts_are_read() {
        let stat = "4242 (od) (d name) S 1 4242 4242 0 -1 4194560 900 0 0 0 250 75 0 0 20 0 9 0 123456 1 2 3";
        let status = "Name:\tx\nVmSize:\t  204800 kB\nVmRSS:\t   10240 kB\nThreads:\t9\n";
        let process = Process::parse(stat, "cpu 1 2\nbtime 1700000000\n", status);
        let wanted = Process {
            cpu: Some(3.25),
            start: Some(1_700_001_234.56),
            resident_bytes: Some(10_240 << 10),
            virtual_bytes: Some(204_800 << 10),
            threads: Some(9),
            ..Process::default()
        };
        assert_eq!(process, wanted);
        assert_eq!(Process::parse("", "", ""), Process::default());
    }

    #[test]
    fn this_process_has_all_of_it() {
        let process = Process::read();
        let missing = [
            process.cpu.is_none(),
            process.start.is_none(),
            process.resident_bytes.is_none(),
            process.virtual_bytes.is_none(),
            process.threads.is_none(),
            process.open_files.is_none(),
            process.max_files.is_none(),
        ];
        assert_eq!(missing, [false; 7]);
        assert!(process.open_files <= process.max_files);
    }
}
