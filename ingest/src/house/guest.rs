//! A publisher with a proven key, that holds no channel yet.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use heliograph_relay::{ChannelName, StreamRequest, TrackDescription};
use tokio::time::timeout;

use super::{
    Ending, House,
    channels::Claim,
    reports::Reports,
    seat::{Handle, Seat},
};
use crate::auth::{Attempt, EndReason, Publication, SessionId};

/// A publisher that the authoriser let in. The authoriser hears of its end, also when it is dropped.
pub struct Guest {
    pub(super) house: Arc<House>,
    pub(super) publication: Publication,
    title: Option<String>,
    reports: Option<Reports>,
}

/// Why a publisher does not come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Each door says it in its own words.
    pub reason: EndReason,
    /// For logs only: it may tell a stranger too much.
    pub why: String,
}

impl Refusal {
    pub(super) fn denied(why: impl Into<String>) -> Self {
        Self { reason: EndReason::Denied, why: why.into() }
    }
}

impl Guest {
    pub(super) fn new(
        house: &Arc<House>,
        attempt: &Attempt,
        channel: ChannelName,
        title: Option<String>,
    ) -> Self {
        let publication = Publication {
            session: attempt.session,
            channel_id: attempt.channel_id,
            channel,
            door: attempt.door,
            digest: attempt.digest,
            remote: attempt.remote,
            port: None,
            relay_port: None,
        };
        let reports = Reports::start(&house.events, Arc::clone(&house.authoriser));
        Self { house: Arc::clone(house), publication, title, reports: Some(reports) }
    }

    /// What it publishes.
    #[must_use]
    pub fn channel(&self) -> &ChannelName {
        &self.publication.channel
    }

    /// The same as in its attempt.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.publication.session
    }

    /// The far side of its connection.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.publication.remote
    }

    /// Leaves without ever having been live.
    pub fn end(mut self, reason: EndReason) {
        self.report_end(Ending { reason, duration: Duration::ZERO, bytes: 0 });
    }

    pub(super) fn report_end(&mut self, ending: Ending) {
        if let Some(reports) = self.reports.take() {
            reports.ended(self.publication.clone(), ending);
        }
    }

    pub(super) fn reports(&self) -> Option<&Reports> {
        self.reports.as_ref()
    }

    /// Takes the channel, and the relay's port for it. Whoever held it before is sent away when it has to be. Waits for a
    /// second or so to see whether a holder from the same address is dead.
    /// `port` is the public media port that the publisher will be told, where its door has one per stream.
    ///
    /// # Errors
    /// [`EndReason::ChannelInUse`] or [`EndReason::RelayUnavailable`]; the guest has left then.
    pub async fn sit(self, tracks: Vec<TrackDescription>, port: Option<u16>) -> Result<Seat, Refusal> {
        let house = Arc::clone(&self.house);
        let channel = self.channel().clone();
        let session = self.session();
        let in_use = || Refusal { reason: EndReason::ChannelInUse, why: String::new() };
        if house.held_until(&channel).is_some() {
            self.end(EndReason::EndedByStreamer);
            return Err(Refusal {
                reason: EndReason::EndedByStreamer,
                why: "held by its streamer".to_owned(),
            });
        }
        let (handle, orders) = Handle::new(Instant::now(), self.remote());
        let patience = Instant::now() + RESTART_PATIENCE;
        let claim = loop {
            let claim = house.channels().claim(Instant::now(), &channel, session, handle.clone());
            match claim {
                Claim::PerhapsAt(moment) if moment < patience => {
                    tokio::time::sleep_until(moment.into()).await;
                }
                claim => break claim,
            }
        };
        let Claim::Granted { ousted, link } = claim else {
            self.end(EndReason::ChannelInUse);
            return Err(in_use());
        };
        // From here on the channel is held, so leaving must give it back: a seat does, also when it is dropped.
        let request =
            StreamRequest { channel: Some(channel.clone()), name: self.title.clone(), tracks, port: None };
        let mut seat = Seat::claimed(self, handle, orders, request);
        if let Some(old) = ousted {
            tracing::info!(%channel, from = %old.remote(), "takes the channel over");
            old.order(EndReason::TakenOver);
            // Two senders must not share the way to the relay; one that hangs will be told apart by its SSRC.
            let _ = timeout(OUST_WAIT, old.stopped()).await;
        }
        let link = {
            let gate = house.channels().gate(&channel);
            let _gate = gate.lock().await;
            house.link(seat.request().clone(), link).await
        };
        let link = match link {
            Ok(link) => link,
            Err(error) => {
                tracing::error!(%channel, %error, "the relay gives no port");
                seat.end(EndReason::RelayUnavailable, 0);
                return Err(Refusal { reason: EndReason::RelayUnavailable, why: error.to_string() });
            }
        };
        if !house.channels().set_link(&channel, session, link.clone()) {
            seat.end(EndReason::TakenOver, 0); // taken over meanwhile
            return Err(in_use());
        }
        seat.go_live(link, port);
        Ok(seat)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.report_end(Ending { reason: EndReason::ConnectionLost, duration: Duration::ZERO, bytes: 0 });
    }
}

/// What is under way from a killed publisher may still come in, and SRT holds it back for its latency.
const RESTART_PATIENCE: Duration = Duration::from_millis(1_500);
const OUST_WAIT: Duration = Duration::from_millis(300);
