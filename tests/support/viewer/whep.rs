//! A viewer over WHEP, made of `webrtc`: a third implementation, which offers instead of answering.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use rtc::rtp_transceiver::rtp_sender::RtpCodecKind;
use tokio::sync::{mpsc, watch};
use webrtc::{
    media_stream::track_remote::{TrackRemote, TrackRemoteEvent},
    peer_connection::{
        MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceGatheringState,
        RTCPeerConnectionState, RTCSessionDescription, Registry, register_default_interceptors,
    },
    rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit},
};

use super::{ViewerReport, Watch, report::Received};
use crate::server::Server;

/// A viewer with its WHEP resource.
pub struct WhepViewer {
    watch: Watch,
    connection: Box<dyn PeerConnection>,
    resource: String,
    http: reqwest::Client,
    /// Headers of the server's answer.
    pub headers: reqwest::header::HeaderMap,
}

impl WhepViewer {
    /// Joins at a path such as `/whep/one` or `/whep?port=24000`.
    pub async fn join(server: &Server, path: &str) -> anyhow::Result<Self> {
        let (report, watch) = Watch::new(Instant::now());
        let (gathered, mut gathering) = mpsc::channel(1);
        let handler = Arc::new(Handler { report, gathered });
        let mut engine = MediaEngine::default();
        engine.register_default_codecs()?;
        let registry = register_default_interceptors(Registry::new(), &mut engine)?;
        let connection = PeerConnectionBuilder::new()
            .with_media_engine(engine)
            .with_interceptor_registry(registry)
            .with_handler(handler)
            .with_udp_addrs(vec![format!("{}:0", Server::HOST)])
            .build()
            .await?;
        for kind in [RtpCodecKind::Video, RtpCodecKind::Audio] {
            let direction = RTCRtpTransceiverDirection::Recvonly;
            let init = RTCRtpTransceiverInit { direction, ..Default::default() };
            connection.add_transceiver_from_kind(kind, Some(init)).await?;
        }
        let offer = connection.create_offer(None).await?;
        connection.set_local_description(offer).await?;
        tokio::time::timeout(Duration::from_secs(5), gathering.recv())
            .await
            .context("gathering candidates")?;
        let offer = connection.local_description().await.context("a local description")?;

        let http = server.http().clone();
        let request = http.post(server.url(path)).header("content-type", "application/sdp").body(offer.sdp);
        let answer = request.send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.text().await?;
        ensure!(status == 201, "WHEP {path}: {status} {body}");
        let location = headers.get("location").context("a Location")?.to_str()?;
        let resource = reqwest::Url::parse(&server.url(path))?.join(location)?.to_string();
        connection.set_remote_description(RTCSessionDescription::answer(body)?).await?;
        Ok(Self { watch, connection: Box::new(connection), resource, http, headers })
    }

    /// What it sees.
    pub fn watch(&self) -> &Watch {
        &self.watch
    }

    /// The address of its session.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// Deletes its session, and returns the status.
    pub async fn delete(&self) -> anyhow::Result<u16> {
        Ok(self.http.delete(&self.resource).send().await?.status().as_u16())
    }

    /// Closes the peer connection without telling the server over HTTP.
    pub async fn close(self) -> anyhow::Result<()> {
        Ok(self.connection.close().await?)
    }
}

struct Handler {
    report: Arc<watch::Sender<ViewerReport>>,
    gathered: mpsc::Sender<()>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            // Told twice is as good as told once.
            let _ = self.gathered.try_send(());
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        self.report.send_modify(|report| match state {
            RTCPeerConnectionState::Connected => report.connected = Some(Instant::now()),
            RTCPeerConnectionState::Failed | RTCPeerConnectionState::Closed => {
                report.closed.get_or_insert_with(|| state.to_string());
            }
            _ => {}
        });
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let is_video = track.kind().await == RtpCodecKind::Video;
        let report = self.report.clone();
        tokio::spawn(async move {
            while let Some(event) = track.poll().await {
                let TrackRemoteEvent::OnRtpPacket(packet) = event else { continue };
                let header = &packet.header;
                let received = Received {
                    at: Instant::now(),
                    ssrc: header.ssrc,
                    seq: header.sequence_number,
                    timestamp: header.timestamp,
                    marker: header.marker,
                    payload: &packet.payload,
                    due: None,
                    captured: None,
                };
                report.send_modify(|report| report.add(is_video, &received));
            }
        });
    }
}
