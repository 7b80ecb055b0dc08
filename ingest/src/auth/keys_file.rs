//! Channels and their keys in a TOML file, read again whenever it changes.
//!
//! ```toml
//! [[channel]]
//! id = 1
//! name = "main"
//! secret = "…"
//! ```

use std::{
    collections::HashMap,
    fmt, fs,
    fs::File,
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Mutex,
};

use futures_util::future::{BoxFuture, FutureExt as _};
use heliograph_relay::ChannelName;
use serde::Deserialize;

use super::{Attempt, Authoriser, Verdict, digest};
use crate::secret::{BadSecret, Secret};

/// An [`Authoriser`] that knows its channels from a file which only its owner can read.
///
/// The file is looked at on every attempt and read again when it changed, so that adding or revoking a key needs
/// no restart. A changed file that cannot be used is reported once and the last good one stays in force.
#[derive(Debug)]
pub struct KeysFile {
    path: PathBuf,
    state: Mutex<State>,
    /// Used for ids that do not exist, so that an answer takes as long as for one that does.
    decoy: Secret,
}

#[derive(Debug)]
struct State {
    channels: HashMap<u32, Channel>,
    seen: Option<Stamp>,
}

#[derive(Clone, Debug)]
struct Channel {
    name: ChannelName,
    secret: Secret,
}

impl KeysFile {
    /// Reads the file; refuses one that others than its owner can read.
    pub fn load(path: impl Into<PathBuf>) -> Result<Self, KeysFileError> {
        let path = path.into();
        let (channels, stamp) = read(&path)?;
        let state = Mutex::new(State { channels, seen: Some(stamp) });
        Ok(Self { path, state, decoy: Secret::generate(&mut rand::rng()) })
    }

    /// How many channels the file has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().channels.len()
    }

    /// Whether the file has no channel at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `id-secret` of the channel with this name: what its streamer pastes into OBS.
    #[must_use]
    pub fn stream_key(&self, name: &str) -> Option<String> {
        let state = self.lock();
        let (id, channel) = state.channels.iter().find(|(_, channel)| channel.name.as_str() == name)?;
        Some(format!("{id}-{}", channel.secret.reveal()))
    }

    /// Adds a channel with a fresh secret to the file, which is made (mode 0600) when there is none. What already
    /// stands in it, comments too, stays as it is.
    pub fn add_channel(path: &Path, name: &str) -> Result<NewChannel, KeysFileError> {
        let error = |source| KeysFileError::Io { path: path.to_owned(), source };
        let name: ChannelName = name
            .parse()
            .map_err(|error| KeysFileError::Channel { name: name.to_owned(), why: format!("{error}") })?;
        let mut file =
            File::options().read(true).append(true).create(true).mode(0o600).open(path).map_err(error)?;
        // Two people may add channels at once; each waits for the other.
        file.lock().map_err(error)?;
        check_mode(path, &file.metadata().map_err(error)?)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(error)?;
        let channels = parse(path, &text)?;
        if channels.values().any(|channel| channel.name == name) {
            return Err(KeysFileError::Channel {
                name: name.to_string(),
                why: "there is one already".to_owned(),
            });
        }
        // 0 cannot be used: it is what encoders make of a key that does not begin with a number.
        let id =
            channels.keys().max().map_or(Some(1), |highest| highest.checked_add(1)).unwrap_or_else(|| {
                (1..).find(|id| !channels.contains_key(id)).expect("a file cannot hold all 2^32 ids")
            });
        let channel = NewChannel { id, name, secret: Secret::generate(&mut rand::rng()) };
        let gap = if text.is_empty() || text.ends_with("\n\n") { "" } else { "\n" };
        let newline = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        let entry = format!(
            "{newline}{gap}[[channel]]\nid = {}\nname = \"{}\"\nsecret = \"{}\"\n",
            channel.id,
            channel.name,
            channel.secret.reveal()
        );
        // One write, so that a server reading just now sees all of it or nothing.
        file.write_all(entry.as_bytes()).and_then(|()| file.sync_all()).map_err(error)?;
        Ok(channel)
    }

    fn decide(&self, attempt: &Attempt) -> Verdict {
        self.reload_if_changed();
        let channel = self.lock().channels.get(&attempt.channel_id).cloned();
        let secret = channel.as_ref().map_or(&self.decoy, |channel| &channel.secret);
        let proven = digest::proves(secret, &attempt.challenge, &attempt.digest);
        match channel {
            None => Verdict::deny(format!("no channel {}", attempt.channel_id)),
            Some(_) if !proven => Verdict::deny(format!("wrong key for channel {}", attempt.channel_id)),
            Some(channel) => Verdict::Allow { channel: channel.name, name: None },
        }
    }

    fn reload_if_changed(&self) {
        let stamp = fs::metadata(&self.path).ok().map(|metadata| Stamp::of(&metadata));
        let mut state = self.lock();
        if stamp == state.seen {
            return;
        }
        state.seen = stamp;
        match read(&self.path) {
            Ok((channels, stamp)) => {
                tracing::info!(path = %self.path.display(), channels = channels.len(), "read the changed keys file");
                *state = State { channels, seen: Some(stamp) };
            }
            Err(error) => {
                tracing::warn!(%error, "cannot use the changed keys file; the keys read before stay in force");
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Authoriser for KeysFile {
    fn check(&self, attempt: Attempt) -> BoxFuture<'_, Verdict> {
        async move { self.decide(&attempt) }.boxed()
    }

    fn channel_id(&self, channel: &ChannelName) -> Option<u32> {
        self.reload_if_changed();
        let state = self.lock();
        state.channels.iter().find(|(_, known)| known.name == *channel).map(|(&id, _)| id)
    }
}

/// What [`KeysFile::add_channel`] added.
#[derive(Clone, Debug)]
pub struct NewChannel {
    /// The number before the separator.
    pub id: u32,
    /// The channel.
    pub name: ChannelName,
    /// What comes after the separator.
    pub secret: Secret,
}

impl NewChannel {
    /// `id-secret`: what a streamer pastes into OBS. A method and not `Display`, so that no log shows it by chance.
    #[must_use]
    pub fn stream_key(&self) -> String {
        format!("{}-{}", self.id, self.secret.reveal())
    }
}

impl fmt::Display for NewChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "channel {} (id {})", self.name, self.id)
    }
}

/// Why a keys file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysFileError {
    /// It cannot be read or written.
    #[error("keys file {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others than its owner can read or write it.
    #[error("keys file {} has mode {mode:04o}: others could read the keys; run `chmod 600` on it", path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Not a list of channels.
    #[error("keys file {}: {what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, without any text of the file: it may be a key.
        what: String,
    },
    /// This channel cannot be added.
    #[error("channel {name:?}: {why}")]
    Channel {
        /// As given.
        name: String,
        /// What is wrong with it.
        why: String,
    },
}

/// Enough to see that a file is not the one read before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    channel: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: u32,
    name: String,
    secret: String,
}

fn read(path: &Path) -> Result<(HashMap<u32, Channel>, Stamp), KeysFileError> {
    let error = |source| KeysFileError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(error)?;
    let metadata = file.metadata().map_err(error)?;
    check_mode(path, &metadata)?;
    let mut text = String::new();
    file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(error)?;
    Ok((parse(path, &text)?, Stamp::of(&metadata)))
}

fn check_mode(path: &Path, metadata: &fs::Metadata) -> Result<(), KeysFileError> {
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 { Err(KeysFileError::Mode { path: path.to_owned(), mode }) } else { Ok(()) }
}

fn parse(path: &Path, text: &str) -> Result<HashMap<u32, Channel>, KeysFileError> {
    let malformed = |what: String| KeysFileError::Malformed { path: path.to_owned(), what };
    // The parser's own message quotes what it found, which may be a secret: only the place is told.
    let document: Document = toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        malformed(format!(
            "line {line}: expected [[channel]] entries with `id` (number), `name` and `secret`"
        ))
    })?;
    let mut channels = HashMap::new();
    let mut names = std::collections::HashSet::new();
    for entry in document.channel {
        let id = entry.id;
        let name: ChannelName =
            entry.name.parse().map_err(|error| malformed(format!("channel {id}: name: {error}")))?;
        let secret = Secret::new(entry.secret)
            .map_err(|error: BadSecret| malformed(format!("channel {id}: secret: {error}")))?;
        if !names.insert(name.clone()) {
            return Err(malformed(format!("two channels are named {name}")));
        }
        if channels.insert(id, Channel { name, secret }).is_some() {
            return Err(malformed(format!("two channels have id {id}")));
        }
    }
    Ok(channels)
}

/// Far more channels than anybody lists by hand.
const MAX_FILE_BYTES: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::{
        auth::{Door, SessionId},
        test_support::TempDir,
    };

    fn attempt(id: u32, secret: &str) -> Attempt {
        let challenge = vec![3; 128];
        let digest = digest::digest(&Secret::new(secret).unwrap(), &challenge);
        let remote = "192.0.2.1:5000".parse().unwrap();
        Attempt { session: SessionId(1), channel_id: id, door: Door::Ftl, challenge, digest, remote }
    }

    fn write(path: &Path, text: &str) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn allowed(verdict: &Verdict) -> Option<&str> {
        match verdict {
            Verdict::Allow { channel, .. } => Some(channel.as_str()),
            _ => None,
        }
    }

    const TWO: &str = "# ours\n[[channel]]\nid = 77\nname = \"main\"\nsecret = \"a-b_c\"\n\n\
                       [[channel]]\nid = 3000000000\nname = \"big\"\nsecret = \"zzzzzzzz\"\n";

    #[test]
    fn right_and_wrong_keys() {
        let dir = TempDir::new();
        let path = dir.path().join("keys.toml");
        write(&path, TWO);
        let keys = KeysFile::load(&path).unwrap();
        assert_eq!(keys.len(), 2);
        assert_eq!(allowed(&keys.decide(&attempt(77, "a-b_c"))), Some("main"));
        assert_eq!(allowed(&keys.decide(&attempt(3_000_000_000, "zzzzzzzz"))), Some("big"));
        assert!(matches!(keys.decide(&attempt(77, "a-b_d")), Verdict::Deny { .. }));
        assert!(matches!(keys.decide(&attempt(78, "a-b_c")), Verdict::Deny { .. }));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let dir = TempDir::new();
        let path = dir.path().join("keys.toml");
        write(&path, TWO);
        for mode in [0o640, 0o604, 0o644, 0o660] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(matches!(KeysFile::load(&path), Err(KeysFileError::Mode { .. })), "{mode:o}");
            assert!(
                matches!(KeysFile::add_channel(&path, "new"), Err(KeysFileError::Mode { .. })),
                "{mode:o}"
            );
        }
    }

    #[test]
    fn changes_count_without_a_restart() {
        let dir = TempDir::new();
        let path = dir.path().join("keys.toml");
        let first = KeysFile::add_channel(&path, "one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let keys = KeysFile::load(&path).unwrap();
        let second = KeysFile::add_channel(&path, "two").unwrap();
        assert_eq!((first.id, second.id), (1, 2));
        assert_eq!(second.stream_key(), format!("2-{}", second.secret.reveal()));
        assert_eq!(allowed(&keys.decide(&attempt(2, second.secret.reveal()))), Some("two"));
        // Revoked.
        write(&path, TWO);
        assert!(allowed(&keys.decide(&attempt(2, second.secret.reveal()))).is_none());
        assert_eq!(allowed(&keys.decide(&attempt(77, "a-b_c"))), Some("main"));
        // Broken: the last good one stays.
        write(&path, "[[channel]\n");
        assert_eq!(allowed(&keys.decide(&attempt(77, "a-b_c"))), Some("main"));
    }

    #[test]
    fn adding_keeps_comments_and_refuses_a_second_of_a_name() {
        let dir = TempDir::new();
        let path = dir.path().join("keys.toml");
        write(&path, TWO.trim_end());
        let added = KeysFile::add_channel(&path, "third").unwrap();
        assert_eq!(added.id, 3_000_000_001);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# ours\n"), "{text}");
        assert_eq!(KeysFile::load(&path).unwrap().len(), 3);
        assert!(matches!(KeysFile::add_channel(&path, "third"), Err(KeysFileError::Channel { .. })));
        assert!(matches!(KeysFile::add_channel(&path, "no/slash"), Err(KeysFileError::Channel { .. })));
    }

    #[test]
    fn errors_never_quote_the_file() {
        let dir = TempDir::new();
        let path = dir.path().join("keys.toml");
        for text in [
            "[[channel]]\nid = \"77-hunter2\"\nname = \"a\"\nsecret = \"b\"\n",
            "[[channel]]\nid = 77\nname = \"a\"\nsecret = hunter2\n",
            "hunter2 = 1\n",
            "[[channel]]\nid = 77\nname = \"a\"\nhunter2 = \"x\"\n",
        ] {
            write(&path, text);
            let error = KeysFile::load(&path).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }
}
