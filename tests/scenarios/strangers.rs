//! Thousands without a key at every door for publishers at once, while a broadcast goes on.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::ensure;
use futures_util::{StreamExt, TryStreamExt, stream};
use heliograph_tests::{
    clip::Clip,
    publisher::ClipPublisher,
    server::{Server, ServerPlan},
    strangers::Door,
    viewer::ws::WsViewer,
};
use tokio::{io::AsyncReadExt, time::timeout_at};

use crate::{FRAME_TICKS, turn};

const SOON: Duration = Duration::from_secs(15);
/// Of each kind at each door.
const STRANGERS: usize = 1_000;
/// Wrong keys that one door looks at together.
const AT_ONCE: usize = 200;
/// After which a connection that says nothing is closed.
const HANDSHAKE: Duration = Duration::from_secs(10);

async fn wrong_keys(server: &Server, tries: std::ops::Range<usize>) -> anyhow::Result<()> {
    let door = |door: Door| {
        let knock = move |number| door.try_wrong_key(server, door.stranger(number));
        stream::iter(tries.clone()).map(Ok).try_for_each_concurrent(AT_ONCE, knock)
    };
    futures_util::future::try_join_all(Door::ALL.map(door)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_silent_ones_and_a_thousand_wrong_keys_at_each_door() -> anyhow::Result<()> {
    let _turn = turn::alone().await;
    // Their sockets are all of this process.
    let limit = Command::new("prlimit")
        .args(["--pid", &std::process::id().to_string(), "--nofile=8192:"])
        .status()?;
    ensure!(limit.success(), "8192 open files");
    let mut server = ServerPlan::new().channels(&["one", "two"]).start().await?;
    let clip = Clip::standard().await?;
    let publisher = ClipPublisher::start(&server, 0, &clip).await?;
    server.wait_for_state("one", "live", SOON).await?;
    let viewer = WsViewer::join(&server, "channel=one").await?;
    viewer.watch().more(30, SOON).await?;
    viewer.watch().begin_anew();

    let mut silent = Vec::new();
    for number in 0..STRANGERS {
        for door in Door::ALL {
            silent.extend(door.say_half(&server, number).await?);
        }
    }
    let all_there = Instant::now();

    let mut resident = Vec::new();
    for round in 0..2 {
        let begun = Instant::now();
        let tries = wrong_keys(&server, round * STRANGERS / 2..(round + 1) * STRANGERS / 2);
        // Somebody honest from another address comes in meanwhile.
        let honest = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let began = Instant::now();
            let publisher = ClipPublisher::start(&server, 1, &clip).await?;
            server.wait_for_state("two", "live", SOON).await?;
            println!("an honest publisher is on the air after {:?}", began.elapsed());
            publisher.finish().await;
            anyhow::Ok(())
        };
        tokio::try_join!(tries, honest)?;
        println!("{} wrong keys at each door in {:?}", STRANGERS / 2, begun.elapsed());
        resident.push(server.resident_kib()?);
    }
    let report = viewer.watch().more(30, SOON).await?;
    report.check_continuous(FRAME_TICKS)?;
    ensure!(report.offers == 1, "the same peer connection");

    let log = server.log();
    let (lines, told) = (log.lines().count(), log.matches("publisher refused").count());
    println!("{resident:?} KiB resident, {lines} lines in the log, {told} of refusals");
    ensure!(told >= 10 && lines < 500, "{lines} lines in the log, {told} of refusals");
    ensure!(resident[1] < resident[0] + 8 * 1024, "memory grows: {resident:?} KiB");

    // Whoever said nothing is gone.
    let limit = all_there + HANDSHAKE + Duration::from_secs(10);
    for (number, stream) in silent.iter_mut().enumerate() {
        let mut said = [0; 4096];
        loop {
            match timeout_at(limit.into(), stream.read(&mut said)).await {
                Ok(Ok(1..)) => {}
                Ok(Ok(0) | Err(_)) => break,
                Err(_) => {
                    anyhow::bail!("connection {number} at port {} is kept open", stream.peer_addr()?.port())
                }
            }
        }
    }
    println!("the last silent one was sent away {:?} after it came", all_there.elapsed());
    publisher.finish().await;
    server.check_health()?;
    server.stop().await
}
