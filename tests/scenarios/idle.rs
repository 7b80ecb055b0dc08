//! A server that nobody uses.

use std::time::Duration;

use heliograph_tests::server::ServerPlan;

use crate::turn;

#[tokio::test]
async fn an_idle_server_uses_next_to_nothing() -> anyhow::Result<()> {
    let _turn = turn::alone().await;
    let mut server = ServerPlan::new().workers(2).start().await?;
    let before = server.processor_time()?;
    let watched = Duration::from_secs(5);
    tokio::time::sleep(watched).await;
    let share = 100.0 * (server.processor_time()? - before).as_secs_f64() / watched.as_secs_f64();
    let resident = server.resident_kib()?;
    println!("idle: {share:.1} % of one processor (goal 1 %), {resident} KiB resident (goal 40 MiB)");
    assert!(share < 3.0, "{share} %");
    assert!(resident < 40 * 1024, "{resident} KiB");
    server.check_health()?;
    server.stop().await
}
