//! Who may use the allocation API: the control listener's rules and the public listener's token.

use std::{
    fmt,
    fs::{self, OpenOptions, Permissions},
    hint::black_box,
    io::{self, Read, Write},
    net::IpAddr,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::Arc,
};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri, header, uri::Authority},
    middleware::{self, Next},
    response::Response,
};
use heliograph_http::{Refusal, headers::bearer};
use rand::RngExt as _;
use thiserror::Error;

use crate::app::App;

/// The secret that opens `/stream` on the public listener. Never printed, compared in constant time.
#[derive(Clone, PartialEq, Eq)]
pub struct ControlToken(String);

/// Why the control token cannot be used.
#[derive(Debug, Error)]
pub enum TokenError {
    /// The file cannot be read or written.
    #[error("control token {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Other users can read it.
    #[error("control token {path} has mode {mode:o}: others can read it; make it 600")]
    Readable {
        /// The file.
        path: String,
        /// Its mode.
        mode: u32,
    },
    /// It is too short to be a secret.
    #[error("control token {path} has less than {MIN_TOKEN} characters; delete it, and a new one is made")]
    TooShort {
        /// The file.
        path: String,
    },
}

const MIN_TOKEN: usize = 32;
const MAX_TOKEN_FILE: u64 = 1024;

impl ControlToken {
    /// A fresh token of 256 random bits that nobody knows.
    #[must_use]
    pub fn generate() -> Self {
        let bytes: [u8; 32] = rand::rng().random();
        Self(bytes.iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = fmt::Write::write_fmt(&mut hex, format_args!("{byte:02x}"));
            hex
        }))
    }

    /// Reads the token from `path`; makes one (mode 0600) when there is no such file.
    ///
    /// # Errors
    /// When the file cannot be read or made, when others can read it, or when it is too short to be a secret.
    pub fn load_or_create(path: &Path) -> Result<Self, TokenError> {
        let shown = || path.display().to_string();
        let io = |source| TokenError::Io { path: shown(), source };
        match fs::File::open(path) {
            Ok(file) => {
                let mode = file.metadata().map_err(io)?.permissions().mode() & 0o777;
                if mode & 0o077 != 0 {
                    return Err(TokenError::Readable { path: shown(), mode });
                }
                let mut text = String::new();
                file.take(MAX_TOKEN_FILE).read_to_string(&mut text).map_err(io)?;
                let token = text.trim();
                if token.len() < MIN_TOKEN {
                    return Err(TokenError::TooShort { path: shown() });
                }
                Ok(Self(token.to_owned()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let token = Self::generate();
                let mut file =
                    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io)?;
                // The umask can only take bits away; this also covers file systems that ignore the mode.
                file.set_permissions(Permissions::from_mode(0o600)).map_err(io)?;
                writeln!(file, "{}", token.0).map_err(io)?;
                Ok(token)
            }
            Err(error) => Err(io(error)),
        }
    }

    /// The secret itself, for the program's own ingest in a split set-up.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// Whether `given` is this token, in a time that depends on the length of `given` only.
    #[must_use]
    pub fn matches(&self, given: &str) -> bool {
        let (own, given) = (self.0.as_bytes(), given.as_bytes());
        let mut different = own.len() ^ given.len();
        for (at, byte) in given.iter().enumerate() {
            different |= usize::from(black_box(own[at % own.len()] ^ byte));
        }
        black_box(different) == 0
    }
}

impl fmt::Debug for ControlToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ControlToken(hidden)")
    }
}

/// Guards a listener for programs on this machine: it answers requests without `Origin`, to a loopback host or one
/// of `hosts`. A page on the web can make a browser post to localhost, but cannot hide its `Origin`; a name it
/// owns can be pointed at 127.0.0.1, but then stands in `Host`.
pub fn local_only(router: Router, hosts: Vec<String>) -> Router {
    router.layer(middleware::from_fn_with_state(Arc::new(hosts), check_local))
}

async fn check_local(
    State(hosts): State<Arc<Vec<String>>>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    if request.headers().contains_key(header::ORIGIN) {
        return Err(refused("this listener does not talk to web pages"));
    }
    match host_of(request.uri(), request.headers()) {
        Some(host) if is_loopback(host.host()) || is_configured(&host, &hosts) => Ok(next.run(request).await),
        _ => Err(refused("this listener answers to loopback and configured host names only")),
    }
}

/// Guards `/stream` on the public listener.
pub(crate) async fn token_only(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    if request.headers().contains_key(header::ORIGIN) {
        return Err(refused("stream allocation does not talk to web pages"));
    }
    if app.settings.stream_api_open
        || bearer(request.headers()).is_some_and(|t| app.settings.token.matches(t))
    {
        return Ok(next.run(request).await);
    }
    Err(Refusal::new(StatusCode::UNAUTHORIZED, "token_required", "stream allocation needs the control token")
        .header(header::WWW_AUTHENTICATE, "Bearer"))
}

fn refused(detail: &str) -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, "forbidden", detail)
}

/// The authority that the client addressed: the request target's (HTTP/2), else `Host`.
pub(crate) fn host_of(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let authority = match uri.authority() {
        Some(authority) => authority.clone(),
        None => headers.get(header::HOST)?.to_str().ok()?.parse().ok()?,
    };
    (!authority.as_str().contains('@') && !authority.host().is_empty()).then_some(authority)
}

fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

fn is_configured(host: &Authority, allowed: &[String]) -> bool {
    allowed
        .iter()
        .any(|name| name.eq_ignore_ascii_case(host.host()) || name.eq_ignore_ascii_case(host.as_str()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::{env, path::PathBuf};

    fn fresh_path(name: &str) -> PathBuf {
        let folder = env::temp_dir().join(format!("heliograph-token-{name}-{}", rand::random::<u64>()));
        fs::create_dir(&folder).unwrap();
        folder.join("control.token")
    }

    #[test]
    fn a_token_is_made_once_for_its_owner_only_and_read_again() {
        let path = fresh_path("made");
        let made = ControlToken::load_or_create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(ControlToken::load_or_create(&path).unwrap(), made);
        assert_eq!(made.secret().len(), 64);
        assert!(!format!("{made:?}").contains(made.secret()));
    }

    #[test]
    fn a_token_that_others_can_read_or_guess_is_refused() {
        let path = fresh_path("open");
        fs::write(&path, ControlToken::generate().secret()).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(ControlToken::load_or_create(&path), Err(TokenError::Readable { mode: 0o640, .. })));
        fs::write(&path, "short\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(ControlToken::load_or_create(&path), Err(TokenError::TooShort { .. })));
    }

    #[test]
    fn only_the_very_token_matches() {
        let token = ControlToken::generate();
        let secret = token.secret().to_owned();
        assert!(token.matches(&secret));
        for wrong in ["", &secret[1..], &format!("{secret}0"), &format!("{secret}{secret}"), &"0".repeat(64)]
        {
            assert!(!token.matches(wrong), "{} characters", wrong.len());
        }
    }

    #[test]
    fn loopback_names() {
        for (host, loopback) in [
            ("localhost", true),
            ("LOCALHOST:8081", true),
            ("127.0.0.1:8081", true),
            ("127.8.9.1", true),
            ("[::1]:8081", true),
            ("[::ffff:127.0.0.1]", true),
            ("localhost.example.org", false),
            ("127.0.0.1.example.org", false),
            ("10.0.0.1", false),
            ("[2001:db8::1]", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            let host = host_of(&Uri::from_static("/stream"), &headers).unwrap();
            assert_eq!(is_loopback(host.host()), loopback, "{host}");
        }
    }

    #[test]
    fn a_host_with_user_info_or_nothing_is_no_host() {
        for host in ["localhost@example.org", "", "two words"] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            assert!(host_of(&Uri::from_static("/"), &headers).is_none(), "{host:?}");
        }
    }
}
