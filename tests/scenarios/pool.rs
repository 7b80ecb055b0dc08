//! The port pools run dry, and are refilled.

use std::time::Duration;

use heliograph_ingest::ftl::client::ClientError;
use heliograph_tests::{clip::Clip, publisher::ClipPublisher, server::ServerPlan, wait::until};
use serde_json::Value;

use crate::turn;

const SOON: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_pool_refuses_with_500_and_serves_again_after_a_port_came_back() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let plan = ServerPlan::new().channels(&["one", "two", "three"]).pools(10, 2);
    let mut server = plan.flag("--port-rest-s", 1).flag("--publisher-grace-s", 1).start().await?;
    let clip = Clip::standard().await?;
    let first = ClipPublisher::start(&server, 0, &clip).await?;
    let second = ClipPublisher::start(&server, 1, &clip).await?;
    let refused = ClipPublisher::start(&server, 2, &clip).await.unwrap_err();
    assert!(matches!(&refused, ClientError::Refused(refusal) if refusal.code == 500), "{refused}");
    first.finish().await;
    let third =
        until("a free port", SOON, async || ClipPublisher::start(&server, 2, &clip).await.ok()).await?;
    server.wait_for_state("three", "live", SOON).await?;
    server.wait_for_state("two", "live", SOON).await?;
    second.finish().await;
    third.finish().await;
    server.check_health()?;
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_media_pool_refuses_with_500_too() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().channels(&["one", "two"]).pools(1, 10).start().await?;
    let clip = Clip::standard().await?;
    let first = ClipPublisher::start(&server, 0, &clip).await?;
    let refused = ClipPublisher::start(&server, 1, &clip).await.unwrap_err();
    assert!(matches!(&refused, ClientError::Refused(refusal) if refusal.code == 500), "{refused}");
    first.finish().await;
    until("a free port", SOON, async || ClipPublisher::start(&server, 1, &clip).await.ok())
        .await?
        .finish()
        .await;
    server.check_health()?;
    server.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_allocation_api_hands_out_each_port_once_and_takes_it_back() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().pools(10, 3).flag("--port-rest-s", 1).start().await?;
    let url = server.control_url("/stream");
    let allocate = async || server.http().post(&url).send().await;
    let mut ports = Vec::new();
    for _ in 0..3 {
        let answer = allocate().await?.error_for_status()?;
        let port = answer.json::<Value>().await?["port"].as_u64().unwrap();
        assert!(!ports.contains(&port), "{port} twice");
        ports.push(port);
    }
    let dry = allocate().await?;
    assert_eq!(dry.status(), 503);
    assert!(!dry.text().await?.is_empty(), "with a reason");
    let release =
        async |query: &str| anyhow::Ok(server.http().delete(format!("{url}{query}")).send().await?.status());
    assert_eq!(release(&format!("?port={}", ports[1])).await?, 204);
    assert_eq!(release(&format!("?port={}", ports[1])).await?, 204, "also when absent");
    assert_eq!(release("").await?, 400);
    assert_eq!(release("?port=x").await?, 400);
    let again = until("a rested port", SOON, async || {
        allocate().await.ok()?.error_for_status().ok()?.json::<Value>().await.ok()?["port"].as_u64()
    })
    .await?;
    assert_eq!(again, ports[1]);
    server.check_health()?;
    server.stop().await
}
