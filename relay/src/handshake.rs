//! DTLS away from the egress threads: a handshake costs about a millisecond of arithmetic, which would be heard
//! by everybody that worker serves.
//!
//! One or two threads own all handshakes. They make certificates, take datagrams from the workers, and give
//! back datagrams and, in the end, keys. A session's state is freed with the keys: the worker keeps our last flight
//! for a viewer that did not get it.

use std::{
    collections::HashMap,
    io,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use heliograph_edge::{
    dtls::{DtlsContext, DtlsEndpoint, DtlsError, DtlsStatus, Fingerprint, Identity},
    srtp::SrtpKeys,
};
use tokio::sync::oneshot;

use crate::{
    CloseReason, ViewerId,
    sys::memory,
    worker::queue::{Command, WorkerPort},
};

/// Datagrams of one viewer that may wait for their thread. A ClientHello in pieces needs four or five.
const QUEUE: u8 = 16;
/// After handshakes, this long after the last one, their memory is given back to the system.
const QUIET: Duration = Duration::from_secs(2);
/// How often the timers of open handshakes are looked at. They start at 75 ms.
const TIMERS_EVERY: Duration = Duration::from_millis(10);

/// What became of a handshake.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The datagrams that come with it are our last flight. The round trip is what the peer took to answer the flight
    /// before it.
    Connected {
        keys: SrtpKeys,
        round_trip: Duration,
    },
    Failed(CloseReason),
}

/// A worker's end of one handshake. Dropping it frees the handshake's state.
#[derive(Debug)]
pub(crate) struct HandshakeLink {
    id: ViewerId,
    inputs: Sender<Input>,
    waiting: Arc<AtomicU8>,
}

impl HandshakeLink {
    /// Hands a datagram over; dropped when too many wait already (the peer repeats it).
    pub(crate) fn datagram(&self, bytes: &[u8]) -> bool {
        if self.waiting.load(Ordering::Relaxed) >= QUEUE {
            return false;
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let permit = Permit(Arc::clone(&self.waiting));
        self.inputs.send(Input::Datagram { id: self.id, bytes: bytes.into(), _permit: permit }).is_ok()
    }
}

impl Drop for HandshakeLink {
    fn drop(&mut self) {
        let _ = self.inputs.send(Input::Forget(self.id));
    }
}

#[derive(Debug)]
struct Permit(Arc<AtomicU8>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

enum Input {
    Certificate(oneshot::Sender<Result<Identity, DtlsError>>),
    Begin(Box<Begin>),
    Datagram { id: ViewerId, bytes: Box<[u8]>, _permit: Permit },
    Forget(ViewerId),
}

struct Begin {
    id: ViewerId,
    slot: u32,
    worker: Arc<WorkerPort>,
    identity: Identity,
    fingerprints: Vec<Fingerprint>,
}

/// The threads.
#[derive(Clone, Debug)]
pub(crate) struct Handshakes {
    threads: Arc<[Sender<Input>]>,
}

impl Handshakes {
    /// Starts `threads` threads. They end when the last handle and link is gone.
    ///
    /// # Errors
    /// When OpenSSL lacks something or no thread can be started.
    pub(crate) fn start(threads: NonZeroUsize, limit: Duration) -> io::Result<Self> {
        let context = DtlsContext::new().map_err(io::Error::other)?;
        let threads = (0..threads.get()).map(|index| {
            let (inputs, received) = mpsc::channel();
            let context = context.clone();
            thread::Builder::new().name(format!("dtls-{index}")).spawn(move || {
                Thread { context, limit, sessions: HashMap::new(), untidy: false }.run(&received);
            })?;
            Ok(inputs)
        });
        Ok(Self { threads: threads.collect::<io::Result<_>>()? })
    }

    /// A fresh certificate.
    ///
    /// # Errors
    /// When OpenSSL fails or the threads are gone.
    pub(crate) async fn certificate(&self, id: ViewerId) -> Result<Identity, String> {
        let (reply, answer) = oneshot::channel();
        self.thread(id).send(Input::Certificate(reply)).map_err(|_| "the DTLS thread is gone")?;
        match answer.await {
            Ok(Ok(identity)) => Ok(identity),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the DTLS thread is gone".to_owned()),
        }
    }

    /// Begins a handshake whose news go to `worker`.
    pub(crate) fn begin(
        &self,
        id: ViewerId,
        slot: u32,
        worker: Arc<WorkerPort>,
        identity: Identity,
        fingerprints: Vec<Fingerprint>,
    ) -> HandshakeLink {
        let inputs = self.thread(id).clone();
        let _ = inputs.send(Input::Begin(Box::new(Begin { id, slot, worker, identity, fingerprints })));
        HandshakeLink { id, inputs, waiting: Arc::default() }
    }

    fn thread(&self, id: ViewerId) -> &Sender<Input> {
        &self.threads[(id.0 % self.threads.len() as u64) as usize]
    }
}

struct Thread {
    context: DtlsContext,
    /// For a whole handshake.
    limit: Duration,
    sessions: HashMap<ViewerId, Session>,
    /// Handshakes were freed since memory was last given back.
    untidy: bool,
}

struct Session {
    id: ViewerId,
    slot: u32,
    worker: Arc<WorkerPort>,
    endpoint: DtlsEndpoint,
    /// When it is given up.
    deadline: Instant,
    over: bool,
    /// When our last flight went out.
    sent: Instant,
}

impl Thread {
    fn run(mut self, inputs: &Receiver<Input>) {
        let mut timers = Instant::now();
        loop {
            let input = if self.sessions.is_empty() && self.untidy {
                inputs.recv_timeout(QUIET)
            } else if self.sessions.is_empty() {
                inputs.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                inputs.recv_timeout(TIMERS_EVERY.saturating_sub(timers.elapsed()))
            };
            match input {
                Ok(input) => self.on_input(input),
                Err(RecvTimeoutError::Timeout) if self.sessions.is_empty() => {
                    memory::give_back();
                    self.untidy = false;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if timers.elapsed() >= TIMERS_EVERY {
                timers = Instant::now();
                self.on_timers(timers);
            }
        }
    }

    fn on_input(&mut self, input: Input) {
        match input {
            Input::Certificate(reply) => {
                let _ = reply.send(Identity::generate());
            }
            Input::Begin(begin) => {
                let Begin { id, slot, worker, identity, fingerprints } = *begin;
                match DtlsEndpoint::accept(&self.context, &identity, fingerprints) {
                    Ok(endpoint) => {
                        let now = Instant::now();
                        let session = Session {
                            id,
                            slot,
                            worker,
                            endpoint,
                            deadline: now + self.limit,
                            over: false,
                            sent: now,
                        };
                        self.sessions.insert(id, session);
                        self.untidy = true;
                    }
                    Err(error) => {
                        let failed = Outcome::Failed(CloseReason::HandshakeFailed(error.to_string()));
                        let outcome = Some(failed);
                        worker.send(Command::Handshake { slot, id, datagrams: Vec::new(), outcome });
                    }
                }
            }
            Input::Datagram { id, bytes, _permit } => {
                if let Some(session) = self.sessions.get_mut(&id) {
                    session.endpoint.handle_datagram(&bytes);
                    session.report(Instant::now());
                    if session.over {
                        self.sessions.remove(&id);
                    }
                }
            }
            Input::Forget(id) => {
                self.sessions.remove(&id);
            }
        }
    }

    fn on_timers(&mut self, now: Instant) {
        self.sessions.retain(|_, session| {
            if now >= session.deadline {
                session.tell(Vec::new(), Some(Outcome::Failed(CloseReason::HandshakeTimeout)));
                return false;
            }
            if session.endpoint.next_timeout().is_some_and(|left| left.is_zero()) {
                session.endpoint.handle_timeout();
                session.report(now);
            }
            !session.over
        });
    }
}

impl Session {
    /// Tells the worker what has come out of the endpoint.
    fn report(&mut self, now: Instant) {
        let mut datagrams = Vec::new();
        while let Some(datagram) = self.endpoint.poll_transmit() {
            datagrams.push(datagram);
        }
        let outcome = match self.endpoint.status() {
            DtlsStatus::Handshaking => None,
            DtlsStatus::Connected(keys) => {
                let round_trip = now.saturating_duration_since(self.sent);
                Some(Outcome::Connected { keys, round_trip })
            }
            DtlsStatus::Failed(error) => {
                Some(Outcome::Failed(CloseReason::HandshakeFailed(error.to_string())))
            }
            DtlsStatus::AlertReceived => {
                let words = "the viewer's browser refused the encrypted connection".to_owned();
                Some(Outcome::Failed(CloseReason::HandshakeFailed(words)))
            }
        };
        self.over = outcome.is_some();
        if !datagrams.is_empty() {
            self.sent = now;
        }
        self.tell(datagrams, outcome);
    }

    fn tell(&self, datagrams: Vec<Vec<u8>>, outcome: Option<Outcome>) {
        if !datagrams.is_empty() || outcome.is_some() {
            self.worker.send(Command::Handshake { slot: self.slot, id: self.id, datagrams, outcome });
        }
    }
}
