//! The stream's one timeline: where each publisher session lies on it, and where it lies on the relay's clock.
//!
//! Three kinds of time meet here. *Source* timestamps are what a publisher writes. *Ring* timestamps are what
//! readers get: they go on across sessions, and within a session they advance exactly as the source's do.
//! *Presentation* time, in nanoseconds, is common to all tracks: what belongs together has the same one.
//! A track's `skew` says how its ring timestamps lie on presentation time; what is learned late about a
//! publisher's audio and video changes only that, never a timestamp already handed out.
//!
//! Further layers of the picture are tracks that are laid on [`Track::Video`], as that and the sound are on each other.

use std::time::{Duration, Instant};

use heliograph_media::{ClockRate, NtpTime, Ssrc};

use super::uplink::UplinkWatch;
use crate::{Track, TrackClock, Uplink};

/// Where presentation time begins: far enough from zero that nothing before the first packet is negative.
const BEGINNING: i64 = 600 * SECOND;
/// A track that starts anew so soon after the other one belongs to the same publisher session.
const JOIN: Duration = Duration::from_secs(5);
/// A track whose newest packet is older has paused.
const FLOWS: i64 = SECOND;
/// Over so long the quickest packet decides where a track lies.
const WINDOW: Duration = Duration::from_secs(2);
/// Sender reports and shared zero points that disagree with the arrival times by more than this are wrong.
const PLAUSIBLE: i64 = 5 * SECOND;
/// Corrections of lip sync smaller than this are noise.
const NOISE: i64 = MILLISECOND;
/// Once aligned by sender reports, a different opinion has to be confirmed and larger than this.
const CHANGE_OF_MIND: i64 = 5 * MILLISECOND;
/// Drift between the publisher's clock and ours is followed by so much per window.
const SLEW: i64 = MILLISECOND;
/// Beyond this it is no drift: the publisher paused or caught up, or a queue built up on its way.
const STEP: i64 = 200 * MILLISECOND;
/// Then it is followed by so much per window, no faster: browsers draw a line through the last twenty reports of each track,
/// not always the same ones of both, and a leap would make them take pictures and sound for seconds apart.
const CATCH_UP: i64 = 10 * MILLISECOND;
/// Beyond this the line says nothing any more.
const LOST: i64 = 5 * SECOND;

const SECOND: i64 = 1_000_000_000;
const MILLISECOND: i64 = 1_000_000;

#[derive(Debug)]
pub(super) struct Timeline {
    lines: [Line; Track::COUNT],
    session: Option<Session>,
    /// Presentation time on the relay's clock: this moment is that time.
    at: Option<(Instant, i64)>,
    /// Sender reports that came before the first packet of their source.
    early: [Option<(Ssrc, NtpTime, u32)>; 2 * Track::COUNT],
    early_next: usize,
    changed: bool,
    uplink: UplinkWatch,
}

/// A publisher's life from one start to the next.
#[derive(Clone, Copy, Debug)]
struct Session {
    number: u64,
    /// First packet of either track ...
    began: Instant,
    /// ... and its presentation time.
    presentation: i64,
    basis: Basis,
    /// Readers go by the common clock, which may not leap any more: from when it is known how late the first session's first
    /// packets were, and how its tracks lie on each other.
    settled: bool,
}

/// How well audio and video of a session are known to fit together, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Basis {
    /// By the moments the first packets came.
    FirstArrival,
    /// By the quickest packets of the first seconds.
    QuickestArrival,
    /// Both started counting near zero: an encoder that counts from one instant (FTL).
    SharedZero,
    /// By sender reports of both.
    Reports,
}

#[derive(Debug)]
struct Line {
    rate: ClockRate,
    /// Presentation time minus ring timestamp, nanoseconds.
    skew: i64,
    /// Newest packet handed out: ring timestamp and arrival.
    last: Option<(u64, Instant)>,
    run: Option<Run>,
    /// Of a layer: its run lies where sender reports say.
    aligned: bool,
    window: Window,
}

/// A track within one session.
#[derive(Debug)]
struct Run {
    session: u64,
    ssrc: Ssrc,
    first: u64,
    newest: u64,
    newest_at: Instant,
    /// Ring timestamp minus source timestamp, ticks.
    shift: i64,
    /// Newest sender report: wall clock and source timestamp.
    report: Option<(NtpTime, u64)>,
    doubt: Option<i64>,
}

/// Smallest delay over consecutive stretches of time.
#[derive(Debug, Default)]
struct Window {
    since: Option<Instant>,
    smallest: i64,
    /// Of the last whole stretch, and when that ended.
    whole: Option<(i64, Instant)>,
}

impl Window {
    /// What the last stretch said, unless the track has stopped since.
    fn recent(&self, now: Instant) -> Option<i64> {
        self.whole.filter(|(_, ended)| now.saturating_duration_since(*ended) < WINDOW).map(|(delay, _)| delay)
    }

    fn shift(&mut self, by: i64) {
        self.smallest -= by;
        if let Some((delay, _)) = &mut self.whole {
            *delay -= by;
        }
    }
}

impl Timeline {
    pub(super) fn new() -> Self {
        let line = |track: Track| {
            let rate = if track.is_video() { ClockRate::VIDEO } else { ClockRate::OPUS };
            Line { rate, skew: 0, last: None, run: None, aligned: false, window: Window::default() }
        };
        Self {
            lines: Track::ALL.map(line),
            session: None,
            at: None,
            early: [None; 2 * Track::COUNT],
            early_next: 0,
            changed: false,
            uplink: UplinkWatch::default(),
        }
    }

    /// A source starts (or starts anew) with this packet.
    pub(super) fn begin(&mut self, track: Track, now: Instant, ssrc: Ssrc, timestamp: u32) {
        let first = u64::from(timestamp) + (1 << 32);
        let joins = self.session.filter(|session| {
            self.lines[track.index()].run.as_ref().is_none_or(|run| run.session != session.number)
                && now.saturating_duration_since(session.began) <= JOIN
        });
        let joins = self.session_of_picture(track, now).or(joins);
        let number = joins.or(self.session).map_or(0, |session| session.number + u64::from(joins.is_none()));
        let report = self
            .early
            .iter()
            .flatten()
            .find(|early| early.0 == ssrc)
            .map(|&(_, ntp, wire)| (ntp, extend(first, wire)));
        self.lines[track.index()].run = Some(Run {
            session: number,
            ssrc,
            first,
            newest: first,
            newest_at: now,
            shift: 0,
            report,
            doubt: None,
        });
        self.lines[track.index()].window = Window::default();
        self.lines[track.index()].aligned = false;
        let presentation = match joins {
            Some(session) => self.join(track, session, now),
            None => self.open(number, now),
        };
        let line = &mut self.lines[track.index()];
        let mut ring = line.rate_ticks(presentation - line.skew);
        if let Some((last, _)) = line.last
            && ring <= last
        {
            // Timestamps only go forward; the skew keeps the truth.
            ring = last + 1;
            line.skew = presentation - nanoseconds(ring, line.rate);
        }
        if let Some(run) = &mut line.run {
            run.shift = ring.wrapping_sub(first).cast_signed();
        }
        self.changed = true;
    }

    /// The ring timestamp of a packet. `newest`: it has the highest sequence number so far.
    pub(super) fn place(&mut self, track: Track, now: Instant, timestamp: u32, newest: bool) -> u64 {
        let line = &mut self.lines[track.index()];
        let Some(run) = &mut line.run else { return 0 };
        let source = extend(run.newest, timestamp);
        let ring = source.wrapping_add_signed(run.shift);
        if newest {
            run.newest = source;
            run.newest_at = now;
            if let Some((at, presentation)) = self.at {
                let delay = since(now, at) - (nanoseconds(ring, line.rate) + line.skew - presentation);
                let window = &mut line.window;
                match window.since {
                    Some(_) => window.smallest = window.smallest.min(delay),
                    None => (window.since, window.smallest) = (Some(now), delay),
                }
            }
        }
        ring
    }

    /// A packet went to the readers.
    pub(super) fn delivered(&mut self, track: Track, ring: u64, arrival: Instant) {
        let last = &mut self.lines[track.index()].last;
        if last.is_none_or(|(newest, _)| ring >= newest) {
            *last = Some((ring, arrival));
        }
    }

    /// How far a source timestamp lies after the newest one, nanoseconds, and how long ago that one came.
    pub(super) fn step(&self, track: Track, now: Instant, timestamp: u32) -> Option<(i64, Duration)> {
        let line = &self.lines[track.index()];
        let run = line.run.as_ref()?;
        let source = extend(run.newest, timestamp);
        let step = nanoseconds(source, line.rate) - nanoseconds(run.newest, line.rate);
        Some((step, now.saturating_duration_since(run.newest_at)))
    }

    /// A sender report. Whose it is, only its SSRC says.
    pub(super) fn report(&mut self, ssrc: Ssrc, ntp: NtpTime, timestamp: u32) {
        if ntp == NtpTime::default() {
            return; // A sender without a wall clock (RFC 3550 section 6.4.1).
        }
        let run = self.lines.iter_mut().filter_map(|line| line.run.as_mut()).find(|run| run.ssrc == ssrc);
        let Some(run) = run else {
            self.early[self.early_next] = Some((ssrc, ntp, timestamp));
            self.early_next = (self.early_next + 1) % self.early.len();
            return;
        };
        run.report = Some((ntp, extend(run.newest, timestamp)));
        self.align_by_reports();
    }

    /// An ingest says how long media takes at least.
    pub(super) fn least_delay(&mut self, now: Instant, delay: Duration) {
        self.uplink.least(now, delay);
    }

    /// An ingest says how long ago something was captured.
    pub(super) fn captured(&mut self, now: Instant, ssrc: Ssrc, timestamp: u32, ago: Duration) {
        let Some((at, presentation)) = self.at else { return };
        for track in [Track::Video, Track::Audio] {
            let line = &self.lines[track.index()];
            let Some(run) = line.run.as_ref().filter(|run| run.ssrc == ssrc) else { continue };
            let due = line.presentation(run, extend(run.newest, timestamp)) - presentation;
            let captured = since(now, at) - i64::try_from(ago.as_nanos()).unwrap_or(i64::MAX / 4);
            self.uplink.captured(now, due - captured, track == Track::Video);
        }
    }

    /// How late the media is already when it gets here.
    pub(super) fn uplink(&self, now: Instant) -> Option<Uplink> {
        self.uplink.look(now)
    }

    /// Time passes.
    pub(super) fn tick(&mut self, now: Instant) {
        let mut over = false;
        for line in &mut self.lines {
            let window = &mut line.window;
            if window.since.is_some_and(|since| now.saturating_duration_since(since) >= WINDOW) {
                window.whole = Some((window.smallest, now));
                window.since = None;
                over = true;
            }
        }
        if over {
            self.align_by_arrival(now);
            self.follow_drift(now);
        }
    }

    /// Whether the clocks are other ones than at the last call.
    pub(super) fn take_change(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Where a track lies on the relay's clock; `None` before its first packet.
    pub(super) fn clock(&self, track: Track) -> Option<TrackClock> {
        let line = &self.lines[track.index()];
        line.run.as_ref()?;
        let (at, presentation) = self.at?;
        Some(TrackClock { at, timestamp: line.rate_ticks(presentation - line.skew), rate: line.rate })
    }

    /// Settles the clocks, if all is known for it. Whether they were settled before.
    fn settle(&mut self) -> bool {
        let Some(session) = &mut self.session else { return false };
        let is_placed = |line: &Line| {
            line.run.as_ref().is_none_or(|run| run.session != session.number || line.window.whole.is_some())
        };
        // Where tracks are laid on each other by their arrival, that takes a window of each.
        let placed = session.basis > Basis::FirstArrival || self.lines[..2].iter().all(is_placed);
        let before = session.settled;
        session.settled |= placed;
        self.changed |= session.settled != before;
        before
    }

    /// Whether the clock that all tracks have in common will only be corrected in small steps.
    pub(super) fn is_settled(&self) -> bool {
        self.session.is_some_and(|session| session.settled)
    }

    /// For a further layer: the session of the picture that flows. Publishers begin large layers late, stop them and
    /// begin them anew while the others go on.
    fn session_of_picture(&self, track: Track, now: Instant) -> Option<Session> {
        let line = &self.lines[Track::Video.index()];
        let run = line.run.as_ref().filter(|_| is_layer(track))?;
        let flows = now.saturating_duration_since(run.newest_at) < WINDOW;
        let session = self.session.filter(|session| flows && session.number == run.session)?;
        let presentation = line.presentation(run, run.newest);
        Some(Session { began: run.newest_at, presentation, ..session })
    }

    /// Opens a session. What flows says where it belongs. After a pause the timeline goes on where the common clock has got to,
    /// not where the last session had (a publisher with a backlog was ahead of the clock, and with the next one would be twice
    /// as far), and not before what readers have.
    fn open(&mut self, number: u64, now: Instant) -> i64 {
        let newest = |line: &Line| {
            let (ring, arrival) = line.last?;
            Some((nanoseconds(ring, line.rate) + line.skew, since(now, arrival)))
        };
        let newest = self.lines.iter().filter_map(newest);
        let flows =
            newest.clone().filter(|(_, passed)| *passed < FLOWS).map(|(time, passed)| time + passed).max();
        let due = self.at.map(|(at, presentation)| presentation + since(now, at));
        let after_a_pause = due.max(newest.map(|(time, _)| time).max());
        let presentation = flows.or(after_a_pause).unwrap_or(BEGINNING);
        self.session = Some(Session {
            number,
            began: now,
            presentation,
            basis: Basis::FirstArrival,
            settled: self.session.is_some_and(|before| before.settled),
        });
        self.at.get_or_insert((now, presentation));
        self.uplink.begin();
        presentation
    }

    /// Presentation time of the first packet of the session's second track.
    fn join(&mut self, track: Track, session: Session, now: Instant) -> i64 {
        let by_arrival = session.presentation + since(now, session.began);
        let plausible = |time: &i64| (time - by_arrival).abs() <= PLAUSIBLE;
        let by_reports = self.by_reports(track, session.number).filter(plausible);
        let by_zero = self.by_zero(track, session.number).filter(plausible);
        let (time, basis) = match (by_reports, by_zero) {
            (Some(time), _) => (time, Basis::Reports),
            (None, Some(time)) => (time, Basis::SharedZero),
            (None, None) => (by_arrival, Basis::FirstArrival),
        };
        if is_layer(track) {
            self.lines[track.index()].aligned = basis == Basis::Reports;
        } else {
            self.session = Some(Session { basis, ..session });
        }
        time
    }

    fn by_reports(&self, track: Track, session: u64) -> Option<i64> {
        let (line, run) = self.running(track, session)?;
        let (other_line, other) = self.running(companion(track), session)?;
        let (ntp, source) = run.report?;
        let (other_ntp, other_source) = other.report?;
        let into = nanoseconds(run.first, line.rate) - nanoseconds(source, line.rate);
        Some(other_line.presentation(other, other_source) + ntp_difference(ntp, other_ntp) + into)
    }

    fn by_zero(&self, track: Track, session: u64) -> Option<i64> {
        let (line, run) = self.running(track, session)?;
        let (other_line, other) = self.running(companion(track), session)?;
        let early = |line: &Line, run: &Run| run.first - (1 << 32) < u64::from(line.rate.get());
        (early(line, run) && early(other_line, other))
            .then(|| other_line.presentation(other, 1 << 32) + nanoseconds(run.first - (1 << 32), line.rate))
    }

    fn running(&self, track: Track, session: u64) -> Option<(&Line, &Run)> {
        let line = &self.lines[track.index()];
        line.run.as_ref().filter(|run| run.session == session).map(|run| (line, run))
    }

    fn align_by_reports(&mut self) {
        self.align_layers_by_reports();
        let Some(session) = self.session else { return };
        let [video, audio, ..] = &self.lines;
        let (Some(video_run), Some(audio_run)) = (&video.run, &audio.run) else { return };
        let (Some(video_report), Some(audio_report)) = (video_run.report, audio_run.report) else { return };
        let said = ntp_difference(video_report.0, audio_report.0);
        let placed =
            video.presentation(video_run, video_report.1) - audio.presentation(audio_run, audio_report.1);
        let off = said - placed;
        if off.abs() > PLAUSIBLE {
            return;
        }
        let doubt = if session.basis < Basis::Reports {
            self.session = Some(Session { basis: Basis::Reports, ..session });
            if off.abs() >= NOISE {
                self.move_video(off);
            }
            None
        } else if off.abs() < CHANGE_OF_MIND {
            None
        } else if video_run.doubt.is_some_and(|doubt| (doubt - off).abs() < CHANGE_OF_MIND) {
            self.move_video(off);
            None
        } else {
            Some(off)
        };
        if let Some(run) = &mut self.lines[Track::Video.index()].run {
            run.doubt = doubt;
        }
    }

    /// Layers show one picture: what reports call one instant is one instant. Their runs are only compared with each
    /// other here; viewers of one layer notice nothing.
    fn align_layers_by_reports(&mut self) {
        let [video, _, layers @ ..] = &mut self.lines;
        let Some(run) = &video.run else { return };
        let Some((ntp, source)) = run.report else { return };
        let here = video.presentation(run, source);
        for layer in layers {
            let Some((other, (other_ntp, other_source))) =
                layer.run.as_ref().and_then(|run| Some((run, run.report?)))
            else {
                continue;
            };
            let off = ntp_difference(other_ntp, ntp) - (layer.presentation(other, other_source) - here);
            let noise = if layer.aligned { CHANGE_OF_MIND } else { NOISE };
            if off.abs() > PLAUSIBLE {
                continue;
            }
            layer.aligned = true;
            if off.abs() >= noise {
                layer.shift(off);
                self.changed = true;
            }
        }
    }

    /// Nothing better is known: the quickest packets of a layer and of the picture took equally long.
    fn align_layers_by_arrival(&mut self, now: Instant) {
        let [video, _, layers @ ..] = &mut self.lines;
        let Some(reference) = video.window.recent(now) else { return };
        for layer in layers.iter_mut().filter(|layer| !layer.aligned) {
            let Some(delay) = layer.window.recent(now) else { continue };
            let off = delay - reference;
            if (NOISE..=PLAUSIBLE).contains(&off.abs()) {
                layer.shift(off);
                self.changed = true;
            }
        }
    }

    /// Nothing better is known: the quickest packets of both tracks took equally long.
    fn align_by_arrival(&mut self, now: Instant) {
        self.align_layers_by_arrival(now);
        let Some(session) = self.session.filter(|session| session.basis == Basis::FirstArrival) else {
            return;
        };
        let [Some(video), Some(audio)] = [0, 1].map(|index| self.lines[index].window.recent(now)) else {
            return;
        };
        self.session = Some(Session { basis: Basis::QuickestArrival, ..session });
        let off = video - audio;
        if (NOISE..=PLAUSIBLE).contains(&off.abs()) {
            self.move_video(off);
        }
    }

    /// Sound is the reference: ears notice its corrections, eyes do not.
    fn move_video(&mut self, by: i64) {
        for track in Track::LAYERS {
            self.lines[track.index()].shift(by);
        }
        self.changed = true;
    }

    /// All tracks move alike, so that this cannot disturb lip sync.
    fn follow_drift(&mut self, now: Instant) {
        let (tracks, layers) = self.lines.split_at(2);
        let earliest = |lines: &[Line]| lines.iter().filter_map(|line| line.window.recent(now)).min();
        // Layers are laid on the picture, and count only while that is silent.
        let Some(late) = earliest(tracks).or_else(|| earliest(layers)) else { return };
        let settled = self.settle();
        let goes_on = settled && late.abs() <= LOST;
        let most = if late.abs() <= STEP { SLEW } else { CATCH_UP };
        let step = if goes_on { late.clamp(-most, most) } else { late };
        let Some((_, presentation)) = &mut self.at else { return };
        if !goes_on {
            self.uplink.jumped();
        }
        self.uplink.came(now, late);
        if step.abs() < MILLISECOND / 20 {
            return;
        }
        *presentation -= step;
        self.uplink.moved(step);
        for line in &mut self.lines {
            line.window.shift(step);
        }
        self.changed = true;
    }
}

/// Whether a track is a further layer of the picture.
fn is_layer(track: Track) -> bool {
    !matches!(track, Track::Video | Track::Audio)
}

/// What a track is laid on.
fn companion(track: Track) -> Track {
    match track {
        Track::Video => Track::Audio,
        Track::Audio | Track::SecondLayer | Track::ThirdLayer | Track::FourthLayer => Track::Video,
    }
}

impl Line {
    /// Its packets belong so much later, nanoseconds.
    fn shift(&mut self, by: i64) {
        self.skew += by;
        self.window.shift(by);
    }

    fn presentation(&self, run: &Run, source: u64) -> i64 {
        nanoseconds(source.wrapping_add_signed(run.shift), self.rate) + self.skew
    }

    fn rate_ticks(&self, nanoseconds: i64) -> u64 {
        self.rate.ticks(Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0)))
    }
}

/// The 64-bit timestamp with these low bits that lies nearest to `reference`.
fn extend(reference: u64, wire: u32) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "the wire value is the low 32 bits")]
    let distance = wire.wrapping_sub(reference as u32).cast_signed();
    reference.wrapping_add_signed(i64::from(distance))
}

fn nanoseconds(ticks: u64, rate: ClockRate) -> i64 {
    i64::try_from(rate.duration(ticks).as_nanos()).unwrap_or(i64::MAX / 4)
}

/// Signed distance of two moments.
fn since(now: Instant, then: Instant) -> i64 {
    let part = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX / 4);
    part(now.saturating_duration_since(then)) - part(then.saturating_duration_since(now))
}

/// Signed distance of two wall clock times, right across the wrap of 2036.
fn ntp_difference(a: NtpTime, b: NtpTime) -> i64 {
    match (a.since(b), b.since(a)) {
        (Some(later), _) => i64::try_from(later.as_nanos()).unwrap_or(i64::MAX / 4),
        (None, Some(earlier)) => -i64::try_from(earlier.as_nanos()).unwrap_or(i64::MAX / 4),
        (None, None) => 0,
    }
}
