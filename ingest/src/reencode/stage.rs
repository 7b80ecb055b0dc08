//! What one session does about B-frames when they are to be taken out.

use std::{
    future::pending,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use heliograph_media::{Codec, h264::NalType};

use super::{
    Encoded, Failure, Reencoders,
    reencoder::{Back, Reencoder, sets},
    watch::Watch,
};
use crate::outlet::{ParameterSets, Picture};

/// Stands before a session's outlet.
#[derive(Debug)]
pub(crate) struct Stage {
    reencoders: Arc<Reencoders>,
    /// Of the publisher.
    sets: ParameterSets,
    watch: Watch,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Pictures go on as they are. While it is open whether B-frames come, those since the keyframe are kept.
    Passing(Run),
    Encoding {
        reencoder: Box<Reencoder>,
        /// What came back has caught up with what comes in.
        in_step: bool,
    },
    /// That did not work. Until the session knows, nothing goes on.
    GivingUp(Failure),
    /// They go on as they are for good, from the next keyframe on.
    GivenUp { waits_for_key: bool },
}

/// Pictures since a keyframe.
#[derive(Debug, Default)]
struct Run {
    pictures: Vec<(Duration, Vec<Bytes>)>,
    bytes: usize,
}

/// Something for the session to do.
#[derive(Debug)]
pub(crate) enum StageEvent {
    /// Pictures from here on have these parameter sets, and nothing to do with those before.
    Restart(Vec<Bytes>),
    /// One picture; `late` when others wait behind it still.
    Picture { encoded: Encoded, late: bool },
    /// Why it does no more; the publisher's own pictures follow, with these parameter sets.
    GivenUp(Vec<Bytes>),
}

impl Stage {
    pub(crate) fn new(reencoders: Arc<Reencoders>) -> Self {
        Self {
            reencoders,
            sets: ParameterSets::default(),
            watch: Watch::default(),
            state: State::Passing(Run::default()),
        }
    }

    /// The publisher's pictures are coded like this from now on; some repeat it.
    pub(crate) fn configure(&mut self, codec: Codec, sets: Vec<Bytes>) {
        if codec != self.sets.codec() {
            self.jumped();
        }
        self.sets.replace(codec, sets);
    }

    /// The publisher's clock jumped, or it is another source.
    pub(crate) fn jumped(&mut self) {
        self.watch = Watch::default();
        if !matches!(self.state, State::GivingUp(_) | State::GivenUp { .. }) {
            self.state = State::Passing(Run::default());
        }
    }

    /// Takes a picture; false when the session has to send it itself.
    pub(crate) fn take(&mut self, now: Instant, picture: Picture<'_>) -> bool {
        if self.sets.codec() != Codec::H264 {
            return false;
        }
        let key = picture.key || picture.units.iter().any(|unit| is(unit, NalType::IDR));
        let completed;
        let units = match &self.state {
            // The usual case costs nothing: B-frames are off and the stage has seen that.
            State::Passing(_) if !key && !self.watch.is_open() => picture.units,
            State::GivingUp(_) => return true,
            State::GivenUp { waits_for_key } => {
                let waits = *waits_for_key && !key;
                self.state = State::GivenUp { waits_for_key: waits };
                return waits;
            }
            _ => {
                completed = self.sets.complete(picture.units, key);
                &completed
            }
        };
        match &mut self.state {
            State::Passing(run) => {
                self.watch.look(picture.show, key, units);
                if key {
                    *run = Run::default();
                }
                // Whatever was passed already is encoded as well: what follows needs it.
                if self.watch.is_open() || self.watch.found() && (key || !run.pictures.is_empty()) {
                    run.keep(picture.show, units);
                } else {
                    *run = Run::default();
                }
                if !self.watch.found() || run.pictures.is_empty() {
                    return false;
                }
                match Self::start(now, &self.reencoders, run) {
                    Ok(reencoder) => {
                        self.state = State::Encoding { reencoder: Box::new(reencoder), in_step: false };
                        true
                    }
                    Err(failure) => {
                        tell(&failure);
                        self.state = State::GivenUp { waits_for_key: false };
                        false
                    }
                }
            }
            State::Encoding { reencoder, .. } => {
                match key.then(|| sets(units)).flatten() {
                    // Another picture size, most likely.
                    Some((sps, _)) if !reencoder.fits(sps) => {
                        let mut run = Run::default();
                        run.keep(picture.show, units);
                        // The old one gives its place back first.
                        self.state = State::Passing(Run::default());
                        self.state = match Self::start(now, &self.reencoders, &run) {
                            Ok(reencoder) => {
                                State::Encoding { reencoder: Box::new(reencoder), in_step: false }
                            }
                            Err(failure) => State::GivingUp(failure),
                        };
                    }
                    _ => reencoder.push(now, picture.show, key, units),
                }
                true
            }
            State::GivingUp(_) | State::GivenUp { .. } => false,
        }
    }

    /// The picture comes in several layers from now on: the publisher's own pictures go on. What is made anew would be one
    /// of several, later than the others, and no bit smaller.
    pub(crate) fn leave_to_layers(&mut self) {
        match self.state {
            State::Passing(_) => self.state = State::GivenUp { waits_for_key: false },
            State::Encoding { .. } => self.state = State::GivingUp(Failure::Layers),
            State::GivingUp(_) | State::GivenUp { .. } => {}
        }
    }

    fn start(now: Instant, reencoders: &Arc<Reencoders>, run: &Run) -> Result<Reencoder, Failure> {
        let mut started: Option<Reencoder> = None;
        for (show, units) in &run.pictures {
            let units: Vec<_> = units.iter().map(|unit| &unit[..]).collect();
            let (running, key) = match &mut started {
                Some(running) => (running, false),
                None => {
                    let Some((sps, pps)) = sets(&units) else {
                        return Err(Failure::Ended("a keyframe without parameter sets".to_owned()));
                    };
                    tracing::info!("the publisher sends B-frames: its pictures are encoded anew");
                    let new = Reencoder::start(now, reencoders, sps, pps, *show)?;
                    (started.insert(new), true)
                }
            };
            running.push(now, *show, key, &units);
        }
        started.ok_or(Failure::Stuck)
    }

    /// Pictures are encoded anew.
    pub(crate) fn is_encoding(&self) -> bool {
        matches!(self.state, State::Encoding { .. })
    }

    /// Nothing can be done about B-frames.
    pub(crate) fn has_given_up(&self) -> bool {
        matches!(self.state, State::GivingUp(_) | State::GivenUp { .. })
    }

    /// Pictures that were left out because ffmpeg was too slow.
    pub(crate) fn left_out(&self) -> u64 {
        match &self.state {
            State::Encoding { reencoder, .. } => reencoder.left_out(),
            _ => 0,
        }
    }

    /// Waits for what comes back. Safe to drop and to call again.
    pub(crate) async fn event(&mut self) -> StageEvent {
        let failure = match &mut self.state {
            State::Encoding { reencoder, in_step } => match reencoder.next().await {
                Back::Sets(sets) => return StageEvent::Restart(sets),
                Back::Picture(encoded) => {
                    *in_step |= reencoder.is_in_step(encoded.show);
                    return StageEvent::Picture { encoded, late: !*in_step };
                }
                Back::Failed(failure) => failure,
            },
            State::GivingUp(failure) => failure.clone(),
            State::Passing(_) | State::GivenUp { .. } => return pending().await,
        };
        tell(&failure);
        self.state = State::GivenUp { waits_for_key: true };
        StageEvent::GivenUp(self.sets.all())
    }
}

impl Run {
    /// Keeps a copy; gives all up when it is too much.
    fn keep(&mut self, show: Duration, units: &[&[u8]]) {
        self.bytes += units.iter().map(|unit| unit.len()).sum::<usize>();
        if self.bytes > RUN_BYTES {
            *self = Self::default();
            return;
        }
        self.pictures.push((show, units.iter().map(|unit| Bytes::copy_from_slice(unit)).collect()));
    }
}

fn tell(failure: &Failure) {
    tracing::warn!(%failure, "pictures with B-frames go on as they are, and will judder");
}

fn is(unit: &[u8], kind: NalType) -> bool {
    unit.first().is_some_and(|&first| NalType::of_header(first) == kind)
}

/// What is kept of the pictures at the beginning.
const RUN_BYTES: usize = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_in_layers_goes_on_as_it_is() {
        // From its parameter sets on a picture with B-frames.
        let sets = ["674d402aeca03c0113f2e022000003000200000300f01e30632c", "68ee3c80"];
        let sets: Vec<_> = sets.iter().map(|set| Bytes::from(hex::decode(set).unwrap())).collect();
        let picture = Picture { show: Duration::ZERO, key: true, units: &[&[0x65, 0x88]] };
        let mut stage = Stage::new(Reencoders::new(0, |_| {}));
        stage.configure(Codec::H264, sets);
        assert!(!stage.has_given_up());
        stage.leave_to_layers();
        assert!(!stage.take(Instant::now(), picture) && stage.has_given_up());
        stage.jumped();
        stage.leave_to_layers();
        assert!(!stage.take(Instant::now(), picture) && stage.has_given_up());
    }
}
