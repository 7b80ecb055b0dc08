//! Prometheus' text format, version 0.0.4: families with their help and type, samples with labels.

use std::fmt::{Display, Write as _};

/// What a family's values mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only grows, until whatever it counts starts anew.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by upper bound, and their sum.
    Histogram,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A page of metrics, written from top to bottom.
#[derive(Debug, Default)]
pub(super) struct Page(String);

/// A family that is being written.
pub(super) struct Family<'a> {
    page: &'a mut String,
    name: &'static str,
}

impl Page {
    /// Begins a family. It stands on the page also when no sample follows, so that one sees what there can be.
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {}", kind.word());
        Family { page: &mut self.0, name }
    }

    /// A family of one number.
    pub(super) fn single(&mut self, name: &'static str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help).sample(&[], value);
    }

    /// The page as it goes out.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

impl Family<'_> {
    /// One sample.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) {
        self.line("", labels, value);
    }

    /// A histogram: `(upper bound, count up to it)` in ascending order without the infinite one, all, and the sum.
    pub(super) fn histogram(&mut self, buckets: impl Iterator<Item = (f64, u64)>, count: u64, sum: f64) {
        for (bound, below) in buckets {
            self.line("_bucket", &[("le", &bound.to_string())], below);
        }
        self.line("_bucket", &[("le", "+Inf")], count);
        self.line("_sum", &[], sum);
        self.line("_count", &[], count);
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.page, "{}{suffix}", self.name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.page, "{}{label}=\"", if index == 0 { '{' } else { ',' });
            for letter in text.chars() {
                match letter {
                    '\\' => self.page.push_str("\\\\"),
                    '"' => self.page.push_str("\\\""),
                    '\n' => self.page.push_str("\\n"),
                    other => self.page.push(other),
                }
            }
            self.page.push('"');
        }
        let _ = writeln!(self.page, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_what_prometheus_reads() {
        let mut page = Page::default();
        page.single("up_total", Kind::Counter, "How often.", 3);
        let mut family = page.family("load", Kind::Gauge, "How much.");
        family.sample(&[("channel", "a\"b\\c\nd"), ("kind", "video")], 0.5);
        page.family("wait_seconds", Kind::Histogram, "How long.").histogram(
            [(0.1, 1), (2.5, 3)].into_iter(),
            4,
            7.25,
        );
        let wanted = r#"# HELP up_total How often.
# TYPE up_total counter
up_total 3
# HELP load How much.
# TYPE load gauge
load{channel="a\"b\\c\nd",kind="video"} 0.5
# HELP wait_seconds How long.
# TYPE wait_seconds histogram
wait_seconds_bucket{le="0.1"} 1
wait_seconds_bucket{le="2.5"} 3
wait_seconds_bucket{le="+Inf"} 4
wait_seconds_sum 7.25
wait_seconds_count 4
"#;
        assert_eq!(page.finish(), wanted);
    }
}
