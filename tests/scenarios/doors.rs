//! One channel and several doors: a streamer comes back through another one, or two come at once.

use std::time::Duration;

use anyhow::ensure;
use heliograph_ingest::ftl::client::ClientError;
use heliograph_tests::{
    clip::Clip,
    ffmpeg::{AAC, Ffmpeg, X264},
    foreign::Foreign,
    publisher::ClipPublisher,
    server::{Server, ServerPlan},
    viewer::{whep::WhepViewer, ws::WsViewer},
    whip::{WhipPlan, WhipPublisher},
};
use tokio::time::timeout;

use crate::{foreign::went_on, turn, whip::comes_back};

const SOON: Duration = Duration::from_secs(20);

fn rtmp(server: &Server) -> anyhow::Result<Foreign> {
    let key = &server.channel(0).key_text;
    Ffmpeg::rtmp(&format!("rtmp://127.0.0.1:{}/live/{key}", server.ports().rtmp()), X264, AAC)
}

fn srt(server: &Server) -> anyhow::Result<Foreign> {
    let key = &server.channel(0).key_text;
    Ffmpeg::srt(&format!("srt://127.0.0.1:{}?streamid={key}", server.ports().srt()), X264, AAC)
}

/// Two viewers of different making, who see each publisher in turn.
struct Audience(WsViewer, WhepViewer);

impl Audience {
    async fn join(server: &Server) -> anyhow::Result<Self> {
        let audience =
            Self(WsViewer::join(server, "channel=one").await?, WhepViewer::join(server, "/whep/one").await?);
        audience.0.watch().more(25, SOON).await?;
        audience.1.watch().more(25, SOON).await?;
        // This library drops packets of the first burst when its queue is full.
        audience.1.watch().begin_anew();
        Ok(audience)
    }

    /// The same peer connections, one numbering, and more pictures than may have been under way.
    async fn sees_more(&self, what: &str) -> anyhow::Result<()> {
        println!("{what}");
        went_on(&self.0.watch().more(60, SOON).await?)?;
        let second = self.1.watch().more(60, SOON).await?;
        for track in [&second.video, &second.audio] {
            let figures = (track.ssrcs.len(), track.lost(), track.backwards);
            ensure!(figures == (1, 0, 0), "{what}: SSRCs, lost, steps back: {figures:?}");
        }
        Ok(())
    }
}

/// The port of the one stream there is: the channel must never be there twice.
async fn port(server: &Server) -> anyhow::Result<serde_json::Value> {
    let stream = server.wait_for_state("one", "live", SOON).await?;
    let streams = server.streams().await?;
    ensure!(streams.len() == 1, "{streams:?}");
    Ok(stream["port"].clone())
}

/// Within the grace time every door leads to the same viewers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_streamer_comes_back_through_one_door_after_the_other() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let clip = Clip::standard().await?;
    let ftl = ClipPublisher::start(&server, 0, &clip).await?;
    let before = port(&server).await?;
    let audience = Audience::join(&server).await?;

    // Killed: the door does not know yet, and the newcomer has its address.
    ftl.kill().await;
    let publisher = rtmp(&server)?;
    audience.sees_more("FTL, then RTMP").await?;
    // A goodbye: the grace time runs.
    publisher.finish().await?;
    server.wait_for_state("one", "away", SOON).await?;
    let publisher = srt(&server)?;
    audience.sees_more("RTMP, then SRT").await?;
    publisher.kill().await?;
    let whip =
        comes_back(async || WhipPublisher::start(&server, 0, &clip, WhipPlan::default()).await).await?;
    audience.sees_more("SRT, then WHIP").await?;
    whip.kill().await;
    let publisher = rtmp(&server)?;
    audience.sees_more("WHIP, then RTMP").await?;
    publisher.kill().await?;
    let ftl = comes_back(async || Ok(ClipPublisher::start(&server, 0, &clip).await?)).await?;
    audience.sees_more("RTMP, then FTL").await?;

    ensure!(port(&server).await? == before, "the channel keeps its port");
    ftl.finish().await;
    server.check_health()?;
    server.stop().await
}

/// Whoever came first keeps the channel; each door refuses in its own words, and viewers notice nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_publisher_is_refused_at_every_door() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().start().await?;
    let clip = Clip::standard().await?;
    let whip = WhipPublisher::start(&server, 0, &clip, WhipPlan::default()).await?;
    let before = port(&server).await?;
    let audience = Audience::join(&server).await?;

    let refused = ClipPublisher::start(&server, 0, &clip).await.unwrap_err();
    ensure!(matches!(&refused, ClientError::Refused(refusal) if refusal.code == 406), "{refused}");
    let refused = WhipPublisher::start(&server, 0, &clip, WhipPlan::default()).await.unwrap_err();
    ensure!(refused.to_string().contains("channel_in_use"), "{refused}");
    let said = rtmp(&server)?.gives_up(SOON).await?;
    ensure!(said.contains("the channel is live already"), "{said}");
    srt(&server)?.gives_up(SOON).await?;
    audience.sees_more("whoever came first").await?;

    ensure!(port(&server).await? == before, "the channel keeps its port");
    ensure!(whip.delete().await? == 200, "the end");
    server.check_health()?;
    server.stop().await
}

/// Where the settings allow it, the newcomer gets the channel, and whoever had it is told and does not get it back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_take_over_goes_through_any_door() -> anyhow::Result<()> {
    let _turn = turn::shared().await;
    let mut server = ServerPlan::new().flag("--take-over", "true").start().await?;
    let clip = Clip::standard().await?;
    let ftl = ClipPublisher::start(&server, 0, &clip).await?;
    let before = port(&server).await?;
    let audience = Audience::join(&server).await?;

    let newcomer = rtmp(&server)?;
    let end = timeout(SOON, ftl.ended()).await?;
    ensure!(matches!(&*end, ClientError::Ended(_)), "{end}");
    audience.sees_more("RTMP takes over from FTL").await?;
    let again = ClipPublisher::start(&server, 0, &clip).await.unwrap_err();
    ensure!(matches!(&again, ClientError::Refused(refusal) if refusal.code == 406), "{again}");
    let again = WhipPublisher::start(&server, 0, &clip, WhipPlan::default()).await.unwrap_err();
    ensure!(again.to_string().contains("channel_in_use"), "{again}");
    audience.sees_more("once in a minute").await?;

    ensure!(port(&server).await? == before, "the channel keeps its port");
    newcomer.finish().await?;
    server.check_health()?;
    server.stop().await
}
