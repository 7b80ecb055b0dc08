//! One caller: its key, its connection, its seat in the house.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use heliograph_media::{
    h264::annex_b,
    mpegts::{Demuxer, Event, Kind},
};
use heliograph_relay::TrackDescription;
use tokio::{net::UdpSocket, sync::mpsc};
use tracing::Instrument as _;

use super::Shared;
use crate::{
    Layer,
    auth::{Door, EndReason, PublicationMetadata, SessionId},
    house::{Place, Refusal, Seat},
    live::Live,
    outlet::Picture,
    srt::{
        BadStreamId, StreamId,
        connection::{Connection, Keys},
        handshake::{Conclusion, Rejection},
    },
};

/// A caller that has returned its cookie.
pub(super) struct Newcomer {
    pub(super) shared: Arc<Shared>,
    pub(super) socket: Arc<UdpSocket>,
    pub(super) remote: SocketAddr,
    /// What we go by in its session.
    pub(super) socket_id: u32,
    pub(super) arrived: Instant,
    pub(super) conclusion: Conclusion,
    pub(super) datagrams: mpsc::Receiver<Bytes>,
}

impl Newcomer {
    /// From the end of its handshake to its end.
    pub(super) async fn serve(mut self, place: Place) {
        let id = SessionId(rand::random());
        let span = tracing::info_span!("publisher", session = %id, remote = %self.remote);
        async move {
            match self.open(id, place).await {
                Ok((keys, seat)) => self.publish(keys, seat).await,
                Err(why) => {
                    tracing::debug!(%why, "caller refused");
                    self.refuse(why).await;
                }
            }
        }
        .instrument(span)
        .await;
    }

    /// Shows the key, then takes the channel. What will be sent is known only later; viewers are offered both.
    async fn open(&self, id: SessionId, place: Place) -> Result<(Keys, Seat), Rejection> {
        let refused = |refusal: Refusal| Rejection::Ended(refusal.reason);
        let house = &self.shared.house;
        let keys = match Keys::unwrap(&self.conclusion, self.shared.settings.passphrase.as_ref()) {
            Ok(keys) => keys,
            Err(why) => {
                // A wrong passphrase is a wrong key: it waits.
                house.refuse(&place, Door::Srt, self.remote, &why.to_string()).await;
                return Err(why);
            }
        };
        let stream_id = StreamId::parse(self.conclusion.stream_id.as_deref().unwrap_or_default());
        let stream_id = match stream_id {
            Ok(stream_id) => stream_id,
            Err(why) => {
                house.refuse(&place, Door::Srt, self.remote, &why.to_string()).await;
                return Err(match why {
                    BadStreamId::NotPublishing => Rejection::BadMode,
                    BadStreamId::Unreadable => Rejection::BadRequest,
                });
            }
        };
        let key = stream_id.key().plain();
        let guest =
            house.admit_key(id, Door::Srt, self.remote, key.as_ref(), place).await.map_err(refused)?;
        let seat = guest.sit(TrackDescription::defaults(), None).await.map_err(refused)?;
        Ok((keys, seat))
    }

    /// Says no for a while: the caller repeats its question until it has heard the answer, and no repetition may count as
    /// another attempt.
    async fn refuse(&mut self, why: Rejection) {
        let answer = self.conclusion.rejected(self.socket_id, why);
        self.send(&answer);
        let patience = tokio::time::sleep(REFUSE_FOR);
        tokio::pin!(patience);
        while self.datagrams.try_recv().is_ok() {}
        loop {
            tokio::select! {
                again = self.datagrams.recv() => match again {
                    Some(datagram) if datagram.starts_with(&[0x80, 0]) => self.send(&answer),
                    Some(_) => {}
                    None => return,
                },
                () = &mut patience => return,
                () = self.shared.stop.cancelled() => return,
            }
        }
    }

    fn send(&self, datagram: &[u8]) {
        // A full buffer loses it, as any network may.
        let _ = self.socket.try_send_to(datagram, self.remote);
    }

    async fn publish(mut self, keys: Keys, seat: Seat) {
        let now = Instant::now();
        let settings = &self.shared.settings;
        let connection = Connection::new(
            now,
            self.remote,
            self.socket_id,
            &self.conclusion,
            self.arrived,
            settings.latency,
            keys,
        );
        self.send(connection.answer());
        let mut publishing = Publishing {
            connection,
            live: Live::new(now, seat, settings.opus_bitrate, &settings.b_frames),
            demuxer: Demuxer::default(),
        };
        let reason = loop {
            match publishing.advance(&self).await {
                Ok(wake) => {
                    tokio::select! {
                        datagram = self.datagrams.recv() => match datagram {
                            Some(datagram) => publishing.on_datagrams(&mut self, datagram),
                            // Somebody else calls from the same address.
                            None => break EndReason::ConnectionLost,
                        },
                        event = publishing.live.event() => {
                            if let Some(reason) = publishing.live.on_event(event) {
                                break reason;
                            }
                        }
                        () = self.shared.stop.cancelled() => break EndReason::ServerShutdown,
                        () = tokio::time::sleep_until(wake.into()) => {}
                    }
                }
                Err(reason) => break reason,
            }
        };
        let Publishing { connection, live, demuxer } = publishing;
        if reason != EndReason::Disconnected {
            self.send(&connection.goodbye(Instant::now()));
        }
        live.end(reason, demuxer.broken());
    }
}

/// While the session is live.
struct Publishing {
    connection: Connection,
    live: Live,
    demuxer: Demuxer,
}

impl Publishing {
    fn on_datagrams(&mut self, caller: &mut Newcomer, first: Bytes) {
        let now = Instant::now();
        let mut next = Some(first);
        for _ in 0..MAX_BATCH {
            let Some(datagram) = next.or_else(|| caller.datagrams.try_recv().ok()) else { return };
            next = None;
            if self.connection.on_datagram(now, datagram) {
                caller.send(self.connection.answer());
            }
        }
    }

    /// Does everything that is due; says when to wake up, or why it is over.
    async fn advance(&mut self, caller: &Newcomer) -> Result<Instant, EndReason> {
        let now = Instant::now();
        let wake = self.connection.on_time(now);
        let mut datagram = Vec::new();
        while self.connection.next_datagram(now, &mut datagram) {
            caller.send(&datagram);
        }
        while let Some(payload) = self.connection.next_payload(now) {
            self.live.heard(now, payload.len());
            for event in self.demuxer.push(&payload) {
                self.on_media(now, event).await?;
            }
            if self.live.b_frames_forbidden() {
                return Err(EndReason::UnsupportedMedia);
            }
        }
        if self.connection.is_over() {
            let said = self.connection.said_goodbye();
            return Err(if said { EndReason::Disconnected } else { EndReason::ConnectionLost });
        }
        if now.saturating_duration_since(self.connection.heard()) > GONE_AFTER {
            return Err(EndReason::ConnectionLost);
        }
        let (lost, nacks) = self.connection.loss();
        let said = PublicationMetadata {
            vendor_name: String::new(),
            lost,
            nacks,
            discarded: self.demuxer.broken(),
            round_trip: self.connection.round_trip(),
            held: self.connection.latency(),
            ..PublicationMetadata::default()
        };
        if let Some(reason) = self.live.on_time(now, caller.shared.settings.media_timeout, said) {
            return Err(reason);
        }
        Ok(wake.min(self.live.next_tick()).max(now + SHORTEST_NAP))
    }

    async fn on_media(&mut self, now: Instant, event: Event) -> Result<(), EndReason> {
        let live = &mut self.live;
        match event {
            Event::Picture { codec, show, key, data } => {
                if codec != live.codec() {
                    // Its parameter sets come with the pictures.
                    live.configure_video(Layer::FIRST, "", codec, Vec::new()).await;
                }
                let units: Vec<&[u8]> = annex_b::nal_units(&data).collect();
                live.picture(now, Layer::FIRST, Picture { show: show.duration(), key, units: &units });
            }
            Event::AacConfiguration(configuration) => live.aac_configuration(&configuration),
            Event::Aac(at, frame) => live.aac(at.duration(), &frame),
            Event::Opus(at, packet) => live.opus(now, at.duration(), &packet),
            Event::Jump(Kind::Video) => live.video_jumped(Layer::FIRST),
            Event::Jump(Kind::Audio) => live.audio_jumped(),
            Event::Unsupported(what) => {
                tracing::warn!(%what, "publisher cannot be shown");
                return Err(EndReason::UnsupportedMedia);
            }
        }
        Ok(())
    }
}

const REFUSE_FOR: Duration = Duration::from_secs(1);
const MAX_BATCH: usize = 256;
/// Callers that have nothing to send say so every second.
const GONE_AFTER: Duration = Duration::from_secs(3);
/// Timers of the machine that are due again at once must not spin.
const SHORTEST_NAP: Duration = Duration::from_micros(500);
