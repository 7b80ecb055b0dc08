//! What can go wrong, in words for the person who started the run.

use std::{error::Error as _, io, net::IpAddr};

use thiserror::Error;

/// Why a run is void.
#[derive(Debug, Error)]
pub enum LoadError {
    /// A setting makes no sense; the text names it.
    #[error("{0}")]
    Setting(String),
    /// A load generator pointed at somebody else's machine is a weapon.
    #[error(
        "{host} ({ip}) is not this machine. A load generator can take a server off the air: aim it only at one that you \
         run, and say so with --allow-remote"
    )]
    Remote {
        /// Host of the address.
        host: String,
        /// What it resolved to.
        ip: IpAddr,
    },
    /// The file limit is too low for so many viewers.
    #[error(
        "{viewers} viewers need {wanted} open files, and this process may have {allowed}: raise the limit with `ulimit -n \
         {wanted}` or start fewer"
    )]
    Files {
        /// Viewers wanted.
        viewers: usize,
        /// Files they need.
        wanted: u64,
        /// Files allowed.
        allowed: u64,
    },
    /// The server does not answer as it should.
    #[error("{url}: {reason}")]
    Server {
        /// What was asked.
        url: String,
        /// What happened.
        reason: String,
    },
    /// There is nothing to watch.
    #[error("nothing to watch: {0}")]
    NoStream(String),
    /// The first viewers, those that measure, did not get anywhere.
    #[error("no probe on {place} had a clean start within {seconds} s{reason}")]
    NoProbe {
        /// Which stream.
        place: String,
        /// How long was waited.
        seconds: u64,
        /// The last failure, if there was one.
        reason: String,
    },
    /// Too few viewers came about for the figures to mean anything.
    #[error("only {connected} of {wanted} viewers connected; the last failure: {reason}")]
    TooFew {
        /// Viewers that connected.
        connected: usize,
        /// Viewers wanted.
        wanted: usize,
        /// The last failure.
        reason: String,
    },
    /// The system refused something.
    #[error("{what}")]
    System {
        /// What we wanted.
        what: &'static str,
        /// Its answer.
        source: io::Error,
    },
    /// Ended from outside before there were figures.
    #[error("interrupted before the measurement was over")]
    Interrupted,
}

impl LoadError {
    /// For `map_err`.
    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }

    /// For answers of the server that make no sense.
    pub(crate) fn server(url: &impl ToString, reason: &impl ToString) -> Self {
        Self::Server { url: url.to_string(), reason: reason.to_string() }
    }
}

/// What became of a request, with what lies at the bottom of it; without the address, which is told anyway.
pub(crate) fn in_full(error: reqwest::Error) -> String {
    let error = error.without_url();
    let Some(mut cause) = error.source() else { return error.to_string() };
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    format!("{error}: {cause}")
}

/// Why one viewer did not come about.
#[derive(Debug, Error)]
pub(crate) enum JoinError {
    #[error("no certificate could be made")]
    NoCertificate,
    #[error("nothing to offer")]
    NothingOffered,
    #[error("socket: {0}")]
    Socket(#[from] io::Error),
    #[error("peer connection: {0}")]
    Peer(String),
    #[error("the server refused: {0}")]
    Refused(String),
    #[error("signaling: {0}")]
    Signaling(String),
    #[error("no encrypted connection within {0} s")]
    Timeout(u64),
    #[error("the run is over")]
    Over,
}

impl JoinError {
    pub(crate) fn peer(error: impl std::fmt::Display) -> Self {
        Self::Peer(error.to_string())
    }

    pub(crate) fn signaling(error: impl std::fmt::Display) -> Self {
        Self::Signaling(error.to_string())
    }
}
