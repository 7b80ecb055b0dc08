//! The page with plots: one file that needs nothing else, and no network.

mod plot;

use std::fmt::Write as _;

use self::plot::{Curve, Plot, Scale};
use crate::{histogram::Summary, progress::Sample, report::Report, run::Outcome};

const STYLE: &str = "\
:root{color-scheme:light}\
body{font:15px/1.5 system-ui,sans-serif;max-width:66rem;margin:2rem auto;padding:0 1rem;color:#1c2733;background:#f6f8fa}\
h1{font-size:1.5rem;margin:0}h2{font-size:1.05rem;margin:2rem 0 .5rem}\
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.75rem;margin:1.5rem 0}\
.facts div{background:#fff;border:1px solid #d8dee4;border-radius:8px;padding:.6rem .8rem}\
.facts b{display:block;font-size:1.25rem;font-variant-numeric:tabular-nums}\
.facts span,p{color:#57606a}figure{margin:0;background:#fff;border:1px solid #d8dee4;border-radius:8px;padding:.5rem}\
svg{display:block;width:100%;height:auto}.warnings{background:#fff8e5;border:1px solid #e3c766;border-radius:8px;padding:.6rem 1.8rem}\
pre{overflow:auto;background:#fff;border:1px solid #d8dee4;border-radius:8px;padding:1rem;font-size:12px}\
summary{cursor:pointer;margin-top:2rem}";

/// The page of a run.
pub fn page(outcome: &Outcome) -> String {
    let report = &outcome.report;
    let mut page = String::with_capacity(1 << 17);
    // Writing to a string cannot fail.
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\"><title>Load test</title><style>{STYLE}</style>\
         <h1>Load test</h1><p>{} viewers of {}, measured for {:.0} s</p>",
        report.viewers.connected,
        escape(&report.url),
        report.hold_seconds
    );
    facts(&mut page, report);
    if !report.warnings.is_empty() {
        page.push_str("<ul class=\"warnings\">");
        for warning in &report.warnings {
            let _ = write!(page, "<li>{}", escape(warning));
        }
        page.push_str("</ul>");
    }
    for (title, plot) in plots(outcome) {
        if let Some(svg) = plot.draw() {
            let _ = write!(page, "<h2>{title}</h2><figure>{svg}</figure>");
        }
    }
    let json = serde_json::to_string_pretty(report).unwrap_or_default();
    let _ =
        write!(page, "<details><summary>All figures</summary><pre>{}</pre></details></html>", escape(&json));
    page
}

/// The figures that one looks at first.
fn facts(page: &mut String, report: &Report) {
    let ms = |summary: &Option<Summary>, value: fn(&Summary) -> f64| {
        summary.as_ref().map_or("-".to_owned(), |summary| format!("{:.1} ms", value(summary)))
    };
    let percent =
        |ratio: Option<f64>| ratio.map_or("-".to_owned(), |ratio| format!("{:.4} %", 100.0 * ratio));
    let mut facts = vec![
        ("delivered", percent(report.media.share.delivered_ratio)),
        ("delivered, worst viewer", percent(report.media.worst_viewer_ratio)),
        ("latency, median", ms(&report.latency_ms, |latency| latency.p50)),
        ("latency, p99", ms(&report.latency_ms, |latency| latency.p99)),
        ("handshake, p95", ms(&report.join.handshake_ms, |time| time.p95)),
        ("clean start, p95", ms(&report.join.clean_start_ms, |time| time.p95)),
        ("received", format!("{:.0} Mbit/s", report.media.received_mbit_per_second)),
    ];
    if let Some(server) = &report.server {
        facts.push(("server, processors", format!("{:.2}", server.cpu_cores)));
        if let Some(cost) = server.cpu_us_per_packet {
            facts.push(("server, per packet", format!("{cost:.2} \u{b5}s")));
        }
        facts.push(("server, per viewer", format!("{:.1} KiB", server.kib_per_viewer)));
    }
    page.push_str("<div class=\"facts\">");
    for (name, value) in facts {
        let _ = write!(page, "<div><b>{value}</b><span>{name}</span></div>");
    }
    page.push_str("</div>");
}

fn plots(outcome: &Outcome) -> Vec<(&'static str, Plot<'static>)> {
    let over_time = |y, curves| Plot { x: "seconds", y, scale: Scale::Linear, curves };
    let samples = &outcome.samples;
    let curve = |name, value: fn(&Sample) -> Option<f64>| Curve {
        name,
        points: samples.iter().filter_map(|sample| Some((sample.at.as_secs_f64(), value(sample)?))).collect(),
    };
    let total = outcome.latency_us.count().max(1) as f64;
    let mut sum = 0;
    let arrived = outcome
        .latency_us
        .buckets()
        .map(|(micros, count)| {
            sum += count;
            (micros.max(1) as f64 / 1000.0, 100.0 * sum as f64 / total)
        })
        .collect();
    vec![
        (
            "Latency: percent of packets that arrived within",
            Plot {
                x: "milliseconds",
                y: "percent",
                scale: Scale::Logarithmic,
                curves: vec![Curve { name: "all viewers", points: arrived }],
            },
        ),
        (
            "Latency over time",
            over_time(
                "milliseconds",
                vec![
                    curve("median", |sample| sample.latency_p50_ms),
                    curve("p99", |sample| sample.latency_p99_ms),
                ],
            ),
        ),
        (
            if outcome.report.latency_kind == "added" {
                "Loss: what was published and did not come"
            } else {
                "Loss: gaps in sequence numbers"
            },
            over_time("percent", vec![curve("all viewers", |sample| Some(sample.loss_percent))]),
        ),
        (
            "Processors in use",
            over_time(
                "processors",
                vec![
                    curve("server", |sample| sample.server_cores),
                    curve("generator", |sample| Some(sample.generator_cores)),
                ],
            ),
        ),
        ("Viewers", over_time("connected", vec![curve("viewers", |sample| Some(sample.connected as f64))])),
        ("Received", over_time("Mbit/s", vec![curve("all viewers", |sample| Some(sample.mbit_per_second))])),
        (
            "Memory of the server",
            over_time(
                "MiB",
                vec![curve("resident", |sample| sample.server_rss_kib.map(|kib| kib as f64 / 1024.0))],
            ),
        ),
    ]
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escape("<a b=\"c\">&"), "&lt;a b=&quot;c&quot;&gt;&amp;");
    }
}
