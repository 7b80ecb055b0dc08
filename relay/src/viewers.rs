//! Joining: from "I want to watch" to a session in a worker, and what the one who holds it can do.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use heliograph_edge::{
    dtls::Identity,
    ice::{IceCredentials, IceLite, Route},
    sdp::{self, AudioSource, LocalDescription, Negotiated, SdpError, VideoSource},
};
use heliograph_media::{Codec, MediaKind, Ssrc, video::VideoFormat};
use rand::{Rng, RngExt};
use tokio::sync::watch;

use crate::{
    CloseReason, PlayoutDelay, PlayoutSettings, Relay, StreamId, Track, ViewerId,
    audience::{Audience, Refused},
    capacity::Limit,
    delays::ReportedDelay,
    egress::Egress,
    stream::LiveStream,
    unplayable::GoesWithout,
    viewer::{
        Stage, Viewer,
        mailbox::{Fact, Mailbox},
        player::PlayerMedia,
    },
    worker::queue::{Command, WorkerPort},
};

/// Who wants to watch, and how he came.
#[derive(Clone, Debug)]
pub struct WatchRequest {
    /// Our address on the signaling connection: what was reached there can be reached for media too.
    pub local_ip: Option<IpAddr>,
    /// The viewer's address, for limits per address.
    pub remote: IpAddr,
    /// The door, for logs: `websocket`, `whep`.
    pub transport: &'static str,
}

/// Why nobody can watch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// No such stream (any more).
    #[error("there is no such stream")]
    UnknownStream,
    /// All seats are taken.
    #[error("the server is full: {limit}", limit = Limit::MaxViewers)]
    Full,
    /// More viewers would harm those who watch: this limit of the machine is reached.
    #[error("the server serves as many viewers as it can: {0}")]
    Overloaded(Limit),
    /// This address has too many sessions that are not connected.
    #[error("too many unfinished sessions from this address")]
    TooManyPending,
    /// The viewer's description makes no sense; the text is fit for the viewer.
    #[error("{0}")]
    BadSdp(String),
    /// The viewer can decode nothing of the stream.
    #[error("the viewer supports none of the stream's codecs")]
    CodecNotSupported(Vec<Codec>),
    /// An answer came twice, or the session is over.
    #[error("the session is not waiting for this")]
    WrongState,
    /// A fault of ours.
    #[error("internal error: {0}")]
    Internal(String),
}

/// What a session's holder hears.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ViewerEvent {
    /// Media flows.
    Connected,
    /// The stream has so many viewers: at once after [`ViewerEvent::Connected`], then at most once a second.
    Count(u32),
    /// The stream has something that this viewer cannot decode; the rest flows.
    MissingCodec(Codec),
    /// The session is over. Nothing follows.
    Ended(CloseReason),
}

/// A viewer session. Dropping it ends the session.
pub struct ViewerHandle {
    id: ViewerId,
    slot: u32,
    egress: Arc<Egress>,
    worker: Arc<WorkerPort>,
    mailbox: Arc<Mailbox>,
    audience: Arc<Audience>,
    counts: watch::Receiver<u32>,
    connected_told: bool,
    count_told: bool,
    /// Of interest until the viewer has answered.
    proposal: Option<Box<Proposal>>,
    /// Of interest when ICE restarts.
    settled: Option<Box<Settled>>,
    missing: Vec<Codec>,
    /// So the streamer knows of it.
    goes_without: Vec<GoesWithout>,
    /// What holds on the channel.
    playout_settings: PlayoutSettings,
    /// What the viewer's packets carry, or will.
    playout: PlayoutDelay,
    /// How late the viewer sees the stream, once it has told.
    delay: Option<ReportedDelay>,
    live: Arc<LiveStream>,
    /// The layer that the viewer has asked for.
    layer: Option<Track>,
}

/// What we told the viewer, while its answer is awaited.
struct Proposal {
    identity: Identity,
    ours: Ours,
}

/// Our own side of the description.
struct Ours {
    ice: IceCredentials,
    candidates: Vec<SocketAddr>,
    cname: String,
    msid: String,
    video: Option<VideoSource>,
    audio: Option<AudioSource>,
    codecs: Vec<Codec>,
}

struct Settled {
    candidates: Vec<SocketAddr>,
    negotiated: Negotiated,
}

impl Ours {
    fn describe<'a>(&'a self, identity: &'a Identity) -> LocalDescription<'a> {
        LocalDescription {
            ice: &self.ice,
            fingerprint: identity.fingerprint(),
            candidates: &self.candidates,
            cname: &self.cname,
            msid: &self.msid,
            video: self.video,
            audio: self.audio,
        }
    }

    fn codecs(&self, kinds: &[MediaKind]) -> Vec<Codec> {
        self.codecs.iter().copied().filter(|codec| kinds.contains(&codec.kind())).collect()
    }

    fn error(&self, stream: &LiveStream, error: &SdpError) -> WatchError {
        match error {
            SdpError::NothingInCommon { missing } => {
                stream.unplayable.turned_away();
                WatchError::CodecNotSupported(self.codecs(missing))
            }
            other => WatchError::BadSdp(other.to_string()),
        }
    }
}

impl Relay {
    /// Begins a session in which we make the offer; [`ViewerHandle::accept_answer`] goes on with it.
    ///
    /// # Errors
    /// See [`WatchError`].
    pub async fn watch_offer(
        &self,
        stream: StreamId,
        request: WatchRequest,
    ) -> Result<(ViewerHandle, String), WatchError> {
        let (mut handle, proposal) = self.admit(stream, &request).await?;
        let offer = sdp::offer(&proposal.ours.describe(&proposal.identity));
        handle.proposal = Some(proposal);
        Ok((handle, offer))
    }

    /// Begins a session with the viewer's offer (WHEP) and returns our answer.
    ///
    /// # Errors
    /// See [`WatchError`].
    pub async fn watch_answer(
        &self,
        stream: StreamId,
        request: WatchRequest,
        offer: &str,
    ) -> Result<(ViewerHandle, String), WatchError> {
        let (mut handle, proposal) = self.admit(stream, &request).await?;
        let (answer, negotiated) = sdp::answer(offer, &proposal.ours.describe(&proposal.identity))
            .map_err(|error| proposal.ours.error(&handle.audience.stream, &error))?;
        handle.settle(*proposal, negotiated);
        Ok((handle, answer))
    }

    /// Which of the limits that can be behind a refusal it was.
    fn overloaded(&self, candidates: [Limit; 2]) -> WatchError {
        WatchError::Overloaded(self.capacity().reached_of(candidates))
    }

    async fn admit(
        &self,
        stream: StreamId,
        request: &WatchRequest,
    ) -> Result<(ViewerHandle, Box<Proposal>), WatchError> {
        let (egress, live) = self.egress_and_stream(stream).ok_or(WatchError::UnknownStream)?;
        let overloaded = || {
            egress.house.note_overload();
            self.overloaded([Limit::Buffers, Limit::Cpu])
        };
        egress.least_loaded().ok_or_else(overloaded)?;
        let audience = egress.house.audience(&live);
        let (seat, waiting) =
            egress.house.enter(request.remote, Arc::clone(&audience)).map_err(|refused| match refused {
                Refused::Full => WatchError::Full,
                Refused::Overloaded => self.overloaded([Limit::Network, Limit::Files]),
                Refused::TooManyWaiting => WatchError::TooManyPending,
            })?;
        let id = egress.next_viewer();
        let identity = egress.handshakes.certificate(id).await.map_err(WatchError::Internal)?;
        // Others may have taken the last place meanwhile.
        let worker = Arc::clone(egress.least_loaded().ok_or_else(overloaded)?);
        let candidates = egress.candidates.of(worker.reach(), request.local_ip).await;
        // From here on nothing waits, so the slot cannot be left behind by a cancelled future.
        let slot = worker.take_slot();
        let ours = self.describe_ours(&live, Route { worker: worker.index, slot }, candidates);
        let playout_settings = self.playout_of(&live);
        let mailbox = Arc::new(Mailbox::default());
        let viewer = Box::new(Viewer {
            id,
            stream,
            ice: IceLite::new(&ours.ice),
            path: None,
            runs: true,
            stage: Stage::Signaling { early: Vec::new() },
            handshake: None,
            last_flight: None,
            answered: None,
            trip: None,
            mailbox: Arc::clone(&mailbox),
            waiting: Some(waiting),
            seat,
            addresses: Vec::new(),
            since: Instant::now(),
            alerted: false,
            fast_tick: 0,
            slow_tick: 0,
        });
        tracing::info!(viewer = %id, %stream, remote = %request.remote, via = request.transport, "viewer session");
        worker.send(Command::Join { slot, viewer, stream: Arc::clone(&live) });
        let counts = audience.counts();
        let handle = ViewerHandle {
            id,
            slot,
            egress,
            worker,
            mailbox,
            audience,
            counts,
            connected_told: false,
            count_told: false,
            proposal: None,
            settled: None,
            missing: Vec::new(),
            goes_without: Vec::new(),
            playout_settings,
            playout: playout_settings.usual,
            delay: None,
            live,
            layer: None,
        };
        Ok((handle, Box::new(Proposal { identity, ours })))
    }

    fn playout_of(&self, live: &LiveStream) -> PlayoutSettings {
        let settings = self.settings();
        let own = live.channel().and_then(|channel| settings.channel_playout.get(&channel).copied());
        own.unwrap_or(settings.playout)
    }

    fn describe_ours(&self, live: &LiveStream, route: Route, candidates: Vec<SocketAddr>) -> Ours {
        let mut rng = rand::rng();
        let tracks = live.tracks();
        let codecs: Vec<Codec> = tracks.iter().map(|track| track.codec).collect();
        let has = |codec: Codec| codecs.contains(&codec);
        let [video_ssrc, rtx_ssrc, fec_ssrc, audio_ssrc] = different_ssrcs(&mut rng);
        let known = live.parameters(Track::Video).and_then(|parameters| parameters.video_format());
        let format = known.or_else(|| codecs.iter().find_map(|codec| VideoFormat::usual(*codec)));
        Ours {
            ice: IceCredentials::generate(route, &mut rng),
            candidates,
            cname: format!("{:016x}", rng.random::<u64>()),
            msid: format!("{:016x}", rng.random::<u64>()),
            video: format.map(|format| VideoSource { format, ssrc: video_ssrc, rtx_ssrc, fec_ssrc }),
            audio: has(Codec::Opus).then_some(AudioSource { ssrc: audio_ssrc }),
            codecs,
        }
    }
}

fn different_ssrcs(rng: &mut impl Rng) -> [Ssrc; 4] {
    loop {
        let ssrcs: [u32; 4] = rng.random();
        let differs = |at: usize| ssrcs[at] != 0 && !ssrcs[..at].contains(&ssrcs[at]);
        if (0..ssrcs.len()).all(differs) {
            return ssrcs.map(Ssrc);
        }
    }
}

impl ViewerHandle {
    /// The session's number, as it stands in logs.
    #[must_use]
    pub const fn id(&self) -> ViewerId {
        self.id
    }

    /// What the stream has and the viewer cannot decode.
    #[must_use]
    pub fn missing(&self) -> &[Codec] {
        &self.missing
    }

    /// The viewer's answer to our offer.
    ///
    /// # Errors
    /// [`WatchError::BadSdp`] and [`WatchError::CodecNotSupported`]; the session then waits for another answer
    /// until its time is up. [`WatchError::WrongState`] for a second answer.
    pub fn accept_answer(&mut self, answer: &str) -> Result<(), WatchError> {
        let proposal = self.proposal.take().ok_or(WatchError::WrongState)?;
        match sdp::parse_answer(answer, &proposal.ours.describe(&proposal.identity)) {
            Ok(negotiated) => {
                self.settle(*proposal, negotiated);
                Ok(())
            }
            Err(error) => {
                let error = proposal.ours.error(&self.audience.stream, &error);
                self.proposal = Some(proposal);
                Err(error)
            }
        }
    }

    /// A candidate of the viewer's, as its browser trickles them. Only its shape matters: we never send first.
    ///
    /// # Errors
    /// [`WatchError::BadSdp`] when it is none.
    pub fn remote_candidate(&self, candidate: &str) -> Result<(), WatchError> {
        if sdp::is_candidate(candidate) {
            Ok(())
        } else {
            Err(WatchError::BadSdp("not an ICE candidate".to_owned()))
        }
    }

    /// ICE restart with the viewer's new fragment; returns the body that answers it (RFC 9725 section 4.3.1,
    /// the same for WHEP). The stream goes on over the old path until the first new check.
    ///
    /// # Errors
    /// [`WatchError::WrongState`] before the descriptions were exchanged.
    pub fn ice_restart(&self, remote_ufrag: &str) -> Result<String, WatchError> {
        let settled = self.settled.as_ref().ok_or(WatchError::WrongState)?;
        let route = Route { worker: self.worker.index, slot: self.slot };
        let local = IceCredentials::generate(route, &mut rand::rng());
        let body = sdp::restart_fragment(&local, &settled.candidates, &settled.negotiated);
        let remote_ufrag = remote_ufrag.to_owned();
        self.worker.send(Command::Restart { slot: self.slot, id: self.id, local, remote_ufrag });
        Ok(body)
    }

    /// The viewer's wish for its playout delay, moved into what the channel permits; `None`: what is usual there.
    /// Its packets carry what is returned from the next frame on, without a new negotiation.
    pub fn set_playout(&mut self, wish: Option<PlayoutDelay>) -> PlayoutDelay {
        let playout = self.playout_settings.grant(wish);
        if playout != self.playout {
            self.playout = playout;
            // Before the answer the worker knows nothing of it.
            if self.settled.is_some() {
                self.worker.send(Command::Playout { slot: self.slot, id: self.id, playout });
            }
        }
        playout
    }

    /// The viewer says how late it sees the stream. Its newest word counts, for as long as the session's holder keeps it.
    pub fn report_delay(&mut self, delay: Duration) {
        self.delay = Some(ReportedDelay::new(Arc::clone(&self.audience.stream), delay));
    }

    /// Which layer of the picture this viewer gets, by name; `None`: as its network permits. A name that the stream
    /// does not have means the same.
    pub fn pick_layer(&mut self, rid: Option<&str>) {
        self.layer = rid.and_then(|rid| self.live.layer(rid));
        // Before the answer the worker knows nothing of it.
        if self.settled.is_some() {
            self.worker.send(Command::Layer { slot: self.slot, id: self.id, layer: self.layer });
        }
    }

    /// The most that this viewer may ask for.
    #[must_use]
    pub const fn playout_limit(&self) -> Duration {
        self.playout_settings.limit
    }

    /// Ends the session; [`ViewerHandle::next_event`] will tell.
    pub fn close(&self, reason: CloseReason) {
        self.worker.send(Command::Close { slot: self.slot, id: self.id, reason });
    }

    /// Whether media flows, or has.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.mailbox.is_connected()
    }

    /// Why the session is over; `None` while it is not.
    #[must_use]
    pub fn end_reason(&self) -> Option<CloseReason> {
        self.mailbox.end_reason()
    }

    /// The next thing to know; `None` after [`ViewerEvent::Ended`]. May be cancelled without loss.
    pub async fn next_event(&mut self) -> Option<ViewerEvent> {
        loop {
            if self.connected_told && !self.count_told {
                self.count_told = true;
                self.counts.mark_unchanged();
                return Some(ViewerEvent::Count(self.audience.now()));
            }
            match self.mailbox.take() {
                Some(Fact::Connected) => {
                    self.connected_told = true;
                    return Some(ViewerEvent::Connected);
                }
                Some(Fact::Missing(codec)) => return Some(ViewerEvent::MissingCodec(codec)),
                Some(Fact::Ended(reason)) => return Some(ViewerEvent::Ended(reason)),
                None => {}
            }
            tokio::select! {
                () = self.mailbox.rung() => {}
                changed = self.counts.changed(), if self.connected_told => {
                    if changed.is_ok() {
                        return Some(ViewerEvent::Count(*self.counts.borrow_and_update()));
                    }
                }
            }
        }
    }

    /// Both descriptions are known: hands the handshake to its thread and the rest to the worker.
    fn settle(&mut self, proposal: Proposal, negotiated: Negotiated) {
        let Proposal { identity, ours } = proposal;
        self.missing = ours.codecs(&negotiated.missing);
        for &codec in &self.missing {
            self.mailbox.missing(codec);
            self.goes_without.push(GoesWithout::new(Arc::clone(&self.audience.stream), codec.kind()));
        }
        let media = Box::new(PlayerMedia {
            video: negotiated.video.clone(),
            audio: negotiated.audio.clone(),
            cname: ours.cname.into(),
            playout: self.playout,
            video_codec: ours.video.map_or(Codec::H264, |video| video.format.codec()),
            layer: self.layer,
        });
        let handshake = self.egress.handshakes.begin(
            self.id,
            self.slot,
            Arc::clone(&self.worker),
            identity,
            negotiated.fingerprints.clone(),
        );
        let remote_ufrag = negotiated.remote_ufrag.clone();
        self.worker.send(Command::Answer { slot: self.slot, id: self.id, remote_ufrag, media, handshake });
        self.settled = Some(Box::new(Settled { candidates: ours.candidates, negotiated }));
    }
}

impl Drop for ViewerHandle {
    fn drop(&mut self) {
        self.close(CloseReason::ViewerLeft);
    }
}

impl fmt::Debug for ViewerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ViewerHandle")
            .field("id", &self.id)
            .field("worker", &self.worker.index)
            .finish_non_exhaustive()
    }
}
