//! What is shown while a run goes on: one line that is written over and over on a terminal, a line now and then elsewhere.

use std::{
    fmt::Write as _,
    io::{self, Write},
    time::Duration,
};

/// Between two lines where they stay.
const LINES_APART: Duration = Duration::from_secs(5);
/// Cells of the bar.
const BAR: usize = 20;

/// The state of a run at one moment.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// Since the begin of the run.
    pub at: Duration,
    /// What is going on, in a word.
    pub phase: &'static str,
    /// How much of it is done, 0 to 1.
    pub done: f64,
    /// Viewers that have begun to join.
    pub joining: usize,
    /// Viewers that are connected.
    pub connected: usize,
    /// Viewers wanted.
    pub wanted: usize,
    /// Viewers that failed or were lost.
    pub failed: usize,
    /// Published packets that did not come since the last sample, in percent of them and all that came; gaps in the sequence
    /// numbers where somebody else publishes.
    pub loss_percent: f64,
    /// Latency since the last sample in milliseconds.
    pub latency_p50_ms: Option<f64>,
    /// Latency since the last sample in milliseconds.
    pub latency_p99_ms: Option<f64>,
    /// Received since the last sample.
    pub mbit_per_second: f64,
    /// Processors the server used since the last sample.
    pub server_cores: Option<f64>,
    /// The server's resident memory.
    pub server_rss_kib: Option<u64>,
    /// Processors the generator used since the last sample.
    pub generator_cores: f64,
}

impl Sample {
    /// The sample in one line.
    fn line(&self) -> String {
        let filled = ((self.done.clamp(0.0, 1.0) * BAR as f64).round()) as usize;
        let mut line = format!(
            "{:>5.0} s  {:<7} [{}{}] {}/{} viewers",
            self.at.as_secs_f64(),
            self.phase,
            "=".repeat(filled),
            " ".repeat(BAR - filled),
            self.connected,
            self.wanted,
        );
        // Writing to a string cannot fail.
        if self.failed > 0 {
            let _ = write!(line, " ({} failed)", self.failed);
        }
        let _ = write!(line, "  loss {:.2} %", self.loss_percent);
        if let Some((p50, p99)) = self.latency_p50_ms.zip(self.latency_p99_ms) {
            let _ = write!(line, "  latency {p50:.1}/{p99:.1} ms");
        }
        let _ = write!(line, "  {:.0} Mbit/s", self.mbit_per_second);
        if let Some(cores) = self.server_cores {
            let _ = write!(line, "  server {:.0} %", cores * 100.0);
        }
        let _ = write!(line, "  generator {:.0} %", self.generator_cores * 100.0);
        line
    }
}

/// Writes samples to where the person looks.
#[derive(Debug)]
pub struct Progress<W> {
    out: W,
    is_terminal: bool,
    shown: Option<(Duration, &'static str)>,
    /// Something stands on the terminal's line.
    open: bool,
}

impl<W: Write> Progress<W> {
    /// On a terminal the line is written over.
    pub fn new(out: W, is_terminal: bool) -> Self {
        Self { out, is_terminal, shown: None, open: false }
    }

    /// Shows a sample, if it is time for one.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn show(&mut self, sample: &Sample) -> io::Result<()> {
        if self.is_terminal {
            self.open = true;
            write!(self.out, "\r\x1b[K{}", sample.line())?;
            return self.out.flush();
        }
        let due = self.shown.is_none_or(|(at, phase)| sample.at >= at + LINES_APART || phase != sample.phase);
        if due {
            self.shown = Some((sample.at, sample.phase));
            writeln!(self.out, "{}", sample.line())?;
        }
        Ok(())
    }

    /// Writes a sentence on a line of its own.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn say(&mut self, text: &str) -> io::Result<()> {
        self.close()?;
        writeln!(self.out, "{text}")
    }

    /// Leaves the last line standing.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn close(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.open) {
            writeln!(self.out)?;
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn sample(seconds: u64, phase: &'static str) -> Sample {
        Sample {
            at: Duration::from_secs(seconds),
            phase,
            done: 0.5,
            connected: 250,
            wanted: 500,
            failed: 1,
            loss_percent: 0.25,
            latency_p50_ms: Some(1.25),
            latency_p99_ms: Some(20.0),
            mbit_per_second: 650.4,
            server_cores: Some(0.425),
            generator_cores: 0.3,
            ..Sample::default()
        }
    }

    fn written(is_terminal: bool, samples: &[Sample]) -> String {
        let mut progress = Progress::new(Vec::new(), is_terminal);
        samples.iter().for_each(|sample| progress.show(sample).unwrap());
        progress.say("end").unwrap();
        String::from_utf8(progress.out).unwrap()
    }

    #[test]
    fn one_line_has_all_figures() {
        let line = sample(12, "hold").line();
        assert_eq!(
            line,
            "   12 s  hold    [==========          ] 250/500 viewers (1 failed)  loss 0.25 %  latency 1.2/20.0 ms  \
             650 Mbit/s  server 42 %  generator 30 %"
        );
        let bare = Sample { phase: "ramp", done: 7.0, ..Sample::default() }.line();
        assert!(bare.contains("[====================]") && !bare.contains("latency"), "{bare}");
    }

    #[test]
    fn a_terminal_line_is_written_over() {
        let text = written(true, &[sample(1, "ramp"), sample(2, "ramp")]);
        assert_eq!(text.matches("\r\x1b[K").count(), 2);
        assert!(text.ends_with("generator 30 %\nend\n"), "{text:?}");
    }

    #[test]
    fn elsewhere_a_line_comes_now_and_then_and_with_each_phase() {
        let samples: Vec<_> =
            [(0, "ramp"), (1, "ramp"), (4, "ramp"), (5, "ramp"), (6, "hold"), (7, "hold"), (11, "hold")]
                .map(|(at, phase)| sample(at, phase))
                .into();
        let text = written(false, &samples);
        let starts: Vec<_> = text.lines().map(|line| line.split("  [").next().unwrap().trim()).collect();
        assert_eq!(text.lines().count(), 5, "{starts:?}");
        assert!(!text.contains('\r'));
    }
}
