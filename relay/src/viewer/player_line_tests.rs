//! A viewer that tells when packets come.

use super::*;

impl World {
    /// A viewer that tells when packets come.
    fn telling_arrivals(seed: u64) -> Self {
        let track = NegotiatedTrack { transport_cc_ext: Some(5), ..track(VIDEO, VIDEO_PT, true) };
        Self::of(track, seed)
    }
}

/// Under which number the viewer tells of a packet.
fn number(got: &Got) -> Option<u16> {
    let bytes = heliograph_media::rtp::extension(&got.sealed, 5)?;
    Some(u16::from_be_bytes(bytes.try_into().unwrap()))
}

#[test]
fn packets_are_numbered_while_a_viewer_that_tells_of_them_joins() {
    let mut world = World::telling_arrivals(1);
    // 520 kB of past.
    world.past(49, 50, 10);
    world.start();
    let numbers = |got: &[Got]| -> Vec<Option<u16>> {
        got.iter().filter(|got| got.ssrc == VIDEO).map(number).collect()
    };
    let first = world.got();
    assert!(numbers(&first).into_iter().eq((0..first.len() as u16).map(Some)));
    world.pass(Duration::from_millis(50));
    let more = world.got();
    // Nobody has said yet that something waits.
    assert!((100..150).contains(&more.len()), "{}", more.len());
    assert!(
        more.iter().any(|got| got.ssrc == RTX && heliograph_media::rtp::extension(&got.sealed, 5).is_none())
    );

    // Everything came at once: the rest follows.
    let mut sent = numbers(&first).len() + numbers(&more).len();
    for _ in 0..2 {
        let mut told = Vec::new();
        let arrivals = vec![Some(Duration::from_secs(9)); sent];
        rtcp::write_transport_feedback(&mut told, Ssrc(9), VIDEO, 0, WireSeq(0), &arrivals);
        world.feedback(&told);
        world.pass(Duration::from_millis(120));
        sent += numbers(&world.got()).len();
    }
    assert!(matches!(world.player.video.as_ref().unwrap().phase, Phase::Live));
    world.got();
    world.past(1, 1000, 10);
    world.turns();
    assert_eq!(numbers(&world.got()), [None; 10], "a viewer that is there is not asked");
    world.now += Duration::from_secs(2);
    world.pli();
    world.pass(Duration::from_millis(20));
    assert_eq!(numbers(&world.got())[0], Some(sent as u16), "one that is asked again knows the earlier ones");
}

/// The way to a viewer, and the viewer's words.
struct Way {
    rng: StdRng,
    takes: Duration,
    /// One of so many packets gets through.
    one_in: u32,
    /// On their way: the number, and when it will have come.
    coming: Vec<(u16, Option<Instant>)>,
    /// Whoever meets a number twice tells of the first time.
    known: HashMap<u16, Instant>,
    /// The first number of the next word, and how many words there were.
    first: u16,
    words: u8,
    begun: Instant,
    told: Instant,
}

impl Way {
    fn new(now: Instant, rng: StdRng, takes: Duration) -> Self {
        let (coming, known) = (Vec::new(), HashMap::new());
        Self { rng, takes, one_in: 1, coming, known, first: 0, words: 0, begun: now, told: now }
    }

    fn carry(&mut self, now: Instant, packets: &[Got]) {
        for number in packets.iter().filter_map(number) {
            let uneven = Duration::from_micros(self.rng.random_range(0..6_000));
            let comes = self.rng.random_ratio(1, self.one_in);
            let at = comes.then(|| *self.known.entry(number).or_insert(now + self.takes + uneven));
            self.coming.push((number, at));
        }
    }

    /// Every 50 ms, of what has come by then.
    fn word(&mut self, now: Instant) -> Option<Vec<u8>> {
        if now - self.told < Duration::from_millis(50) {
            return None;
        }
        self.told = now;
        let newest = self.coming.iter().rposition(|(_, at)| at.is_some_and(|at| at <= now))?;
        let told = self.coming.drain(..=newest).map(|(_, at)| at.filter(|at| *at <= now));
        let arrivals: Vec<_> = told.map(|at| at.map(|at| at - self.begun + Duration::from_secs(9))).collect();
        let mut word = Vec::new();
        let first = WireSeq(self.first);
        rtcp::write_transport_feedback(&mut word, Ssrc(9), VIDEO, self.words, first, &arrivals);
        self.first = self.first.wrapping_add(arrivals.len() as u16);
        self.words = self.words.wrapping_add(1);
        Some(word)
    }
}

#[test]
fn a_way_that_loses_nearly_everything_for_a_while_is_not_taken_for_one_that_carries_nothing() {
    for seed in 0..20 {
        let mut world = World::telling_arrivals(seed);
        let mut rng = StdRng::seed_from_u64(seed);
        world.past(rng.random_range(5..50), 50, 13);
        let loss = Duration::from_millis(rng.random_range(60..400))..Duration::from_secs(6);
        world.start();
        let begun = world.now;
        let mut way = Way::new(begun, rng, Duration::from_millis(150));
        let mut next_picture = begun;
        for step in 0.. {
            let after = world.now - begun;
            let lossy = loss.contains(&after);
            (way.one_in, way.takes) = if lossy { (10, Duration::from_millis(20)) } else { (1, way.takes) };
            let packets = world.got();
            way.carry(world.now, &packets);
            way.word(world.now).into_iter().for_each(|word| world.feedback(&word));
            world.pass(Duration::from_millis(2));
            if world.now >= next_picture {
                next_picture += PICTURE;
                let keyframe = world.picture.is_multiple_of(50);
                let packets = world.picture(keyframe, if keyframe { 52 } else { 13 });
                world.publish(packets);
            }
            world.turns();
            if lossy && step % 250 == 0 {
                world.pli();
            }
            if after > loss.end && matches!(world.player.video.as_ref().unwrap().phase, Phase::Live) {
                break;
            }
            assert!(after < loss.end + Duration::from_secs(1), "no pictures any more, seed {seed}");
        }
    }
}
