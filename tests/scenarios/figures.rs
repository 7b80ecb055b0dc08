//! What operators see: metrics, capacity, and the door that is shut when the house is full.

use std::time::Duration;

use anyhow::Context;
use heliograph_tests::{
    clip::Clip,
    publisher::ClipPublisher,
    server::{Server, ServerPlan},
    viewer::{whep::WhepViewer, ws::WsViewer},
    wait::until,
};
use serde_json::Value;

use crate::turn;

const SOON: Duration = Duration::from_secs(10);

/// The value of a line of `/metrics`.
fn figure(page: &str, series: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

fn metrics_url(server: &Server) -> String {
    format!("http://{}:{}/metrics", Server::HOST, server.ports().metrics())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_see_what_happens_and_viewers_are_told_when_it_is_full() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().flag("--max-viewers", 2).start().await?;
    let clip = Clip::standard().await?;
    let publisher = ClipPublisher::start(&server, 0, &clip).await?;
    server.wait_for_state("one", "live", SOON).await?;
    let first = WhepViewer::join(&server, "/whep/one?playout_max_ms=2000").await?;
    assert_eq!(first.headers["playout-delay"], "min=0, max=2000, limit=4000");
    let second = WsViewer::join(&server, "channel=one").await?;
    first.watch().more(30, SOON).await?;
    second.watch().more(30, SOON).await?;

    let page = server.http().get(metrics_url(&server)).send().await?.error_for_status()?.text().await?;
    let above = |series: &str, least: f64| {
        let value = figure(&page, series).unwrap_or(-1.0);
        assert!(value >= least, "{series} is {value}\n{page}");
    };
    above("process_cpu_seconds_total", 0.01);
    above("process_resident_memory_bytes", 1e6);
    above("process_open_fds", 10.0);
    above("heliograph_relay_egress_packets_total{worker=\"0\"}", 60.0);
    above("heliograph_relay_worker_cpu_seconds_total{worker=\"0\"}", 0.0);
    above("heliograph_relay_viewer_join_seconds_count", 2.0);
    above("heliograph_relay_stream_viewers{channel=\"one\"}", 2.0);
    above("heliograph_relay_stream_packets_total{channel=\"one\",kind=\"video\"}", 30.0);
    for stranger in [("host", "example.org"), ("origin", "http://localhost")] {
        let answer = server.http().get(metrics_url(&server)).header(stranger.0, stranger.1).send().await?;
        assert_eq!(answer.status(), 403, "{stranger:?}");
    }

    let capacity: Value = until("the capacity to be full", SOON, async || {
        let capacity: Value =
            server.http().get(server.url("/capacity")).send().await.ok()?.json().await.ok()?;
        (capacity["full"] == true && capacity["viewers"] == 2).then_some(capacity)
    })
    .await?;
    assert_eq!((&capacity["limited_by"], &capacity["can_carry"]), (&"max_viewers".into(), &2.into()));
    let on_control = server.http().get(server.control_url("/capacity")).send().await?;
    assert_eq!(on_control.status(), 200);
    let refused = WhepViewer::join(&server, "/whep/one").await.err().context("no third viewer")?;
    assert!(format!("{refused:#}").contains("full"), "{refused:#}");
    let page = server.http().get(metrics_url(&server)).send().await?.text().await?;
    assert_eq!(figure(&page, "heliograph_relay_refused_viewers_total{cause=\"full\"}"), Some(1.0));
    second.watch().more(30, SOON).await?;

    first.close().await?;
    publisher.finish().await;
    server.check_health()?;
    server.stop().await
}
