//! The load generator against a real server.

use std::fs;

use heliograph_tests::{load::load, scratch::Scratch, server::ServerPlan};
use serde_json::Value;

use crate::turn;

fn number(report: &Value, path: &str) -> f64 {
    let value = report.pointer(path);
    value.and_then(Value::as_f64).unwrap_or_else(|| panic!("a number at {path}, not {value:?} in {report:#}"))
}

#[tokio::test]
async fn a_small_crowd_gets_everything_and_the_report_says_so() -> anyhow::Result<()> {
    let _turn = turn::alone().await;
    let mut server = ServerPlan::new().start().await?;
    let scratch = Scratch::new()?;
    let html = scratch.path().join("load.html");
    let page = html.to_str().expect("a name in UTF-8");
    let report = load(
        &server,
        &[
            "--publish",
            "--streams",
            "2",
            "--viewers",
            "30",
            "--ramp",
            "60",
            "--hold",
            "4",
            "--warm-up",
            "1",
            "--transport",
            "both",
            "--probes",
            "4",
            "--bitrate",
            "1000",
            "--html",
            page,
        ],
    )
    .await?;
    for (path, expected) in [
        ("/viewers/connected", 30.0),
        ("/viewers/connected_at_end", 30.0),
        ("/viewers/failed", 0.0),
        ("/viewers/lost", 0.0),
        ("/viewers/whep", 16.0),
        ("/viewers/websocket", 14.0),
        ("/join/without_clean_start", 0.0),
        ("/join/handshake_ms/count", 30.0),
        ("/join/clean_start_ms/count", 30.0),
        ("/media/delivered_ratio", 1.0),
        ("/media/worst_viewer_ratio", 1.0),
        ("/media/missing_packets", 0.0),
        ("/media/repeated_packets", 0.0),
        ("/probes/count", 4.0),
        ("/probes/payloads_damaged", 0.0),
        ("/probes/payloads_foreign", 0.0),
        ("/probes/timeline_shifts", 0.0),
        ("/generator/socket_drops_packets", 0.0),
        ("/generator/publisher_failed_packets", 0.0),
        ("/streams/0/viewers", 15.0),
        ("/streams/1/delivered_ratio", 1.0),
        ("/schema", 1.0),
        ("/streams_omitted", 0.0),
    ] {
        assert_eq!(number(&report, path), expected, "{path} in {report:#}");
    }
    // 30 pictures and 50 sounds a second, four seconds, two streams, fifteen viewers each.
    let published = number(&report, "/media/published_packets");
    assert!((2.0 * 4.0 * 150.0..2.0 * 4.0 * 250.0).contains(&published), "{published}");
    assert_eq!(number(&report, "/media/owed_packets"), published * 15.0);
    assert_eq!(number(&report, "/media/delivered_packets"), published * 15.0);
    assert!(number(&report, "/probes/payloads_whole") > 4.0 * 600.0);
    for path in [
        "/hold_seconds",
        "/latency_ms/p50",
        "/latency_ms/p90",
        "/latency_ms/p99",
        "/latency_ms/max",
        "/probes/latency_ms/p50",
        "/probes/clean_start_ms/p95",
        "/join/handshake_ms/p99",
        "/join/achieved_per_second",
        "/server/cpu_us_per_packet",
        "/server/cpu_cores",
        "/server/rss_before_kib",
        "/server/rss_hold_end_kib",
        "/generator/cpu_cores",
        "/generator/viewer_cpu_us_per_packet",
        "/media/received_packets",
    ] {
        assert!(number(&report, path) > 0.0, "{path} in {report:#}");
    }
    assert!(number(&report, "/server/kib_per_viewer").is_finite());
    assert_eq!(report["latency_kind"], "added");
    let page = fs::read_to_string(&html)?;
    assert!(page.matches("<svg").count() >= 6 && page.ends_with("</html>"), "{} bytes", page.len());
    assert!(["<script", "src=", "href="].iter().all(|part| !page.contains(part)), "self-contained");
    // All ports were given back.
    assert!(server.streams().await?.is_empty());
    server.check_health()?;
    server.stop().await
}

#[tokio::test]
async fn loss_churn_and_slow_readers_are_seen_for_what_they_are() -> anyhow::Result<()> {
    let _turn = turn::alone().await;
    let mut server = ServerPlan::new().start().await?;
    let common = ["--publish", "--viewers", "20", "--hold", "4", "--warm-up", "1", "--bitrate", "500"];
    let with = |more: &[&'static str]| [&common[..], more].concat();
    let report = load(&server, &with(&["--loss", "5"])).await?;
    let ratio = number(&report, "/media/delivered_ratio");
    assert!((0.93..0.97).contains(&ratio), "5 % dropped and not asked for again: {ratio}");
    assert!(number(&report, "/media/injected_drops_packets") > 0.0);

    let report = load(&server, &with(&["--loss", "5", "--feedback", "--seed", "7"])).await?;
    let repaired = number(&report, "/media/delivered_ratio");
    // Sound is not asked for again; it is a third of the packets here.
    assert!(repaired > 0.97, "pictures were asked for again: {repaired}");
    assert!(number(&report, "/media/rtx_packets") > 0.0);

    let report = load(&server, &with(&["--churn", "5", "--slow", "3", "--transport", "both"])).await?;
    assert_eq!(number(&report, "/media/delivered_ratio"), 1.0, "{report:#}");
    assert_eq!(number(&report, "/viewers/slow"), 3.0);
    let (left, late) = (number(&report, "/viewers/left"), number(&report, "/viewers/late"));
    assert!((15.0..=21.0).contains(&left) && (15.0..=21.0).contains(&late), "{left} {late}");
    // The newest may be shaking hands at that moment.
    assert!(number(&report, "/viewers/connected_at_end") >= 18.0, "{report:#}");
    server.check_health()?;
    server.stop().await
}

#[tokio::test]
async fn a_void_run_says_why() -> anyhow::Result<()> {
    let mut server = ServerPlan::new().start().await?;
    for (arguments, reason) in [
        (&["--hold", "1"][..], "no stream is live"),
        (&["--channel", "nobody"], "channel nobody is not live"),
        (&["--viewers", "0"], "--viewers"),
    ] {
        let error = load(&server, arguments).await.expect_err(reason).to_string();
        assert!(error.contains(reason), "{error}");
    }
    server.stop().await
}
