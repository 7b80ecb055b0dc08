//! Which sizes of a picture to send, and how many bits each gets.

/// One size. Both sides are even.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rung {
    /// Pixels.
    pub(super) width: u32,
    /// Pixels.
    pub(super) height: u32,
    /// Of the encoder, kilobits per second.
    pub(super) kbps: u32,
}

/// Up to `most` sizes of the picture, the whole one first, that stay within `budget` kilobits per second together. Where
/// the budget is short, fewer sizes are better than many bad ones.
pub(super) fn ladder(width: u32, height: u32, fps: f64, budget: u32, most: usize) -> Vec<Rung> {
    let mut rungs = sizes(width, height, fps);
    rungs.truncate(most.max(1));
    let sum = |rungs: &[Rung]| rungs.iter().map(|rung| rung.kbps).sum::<u32>();
    while rungs.len() > 1 && f64::from(budget) < WORTH_WHILE * f64::from(sum(&rungs)) {
        rungs.pop();
    }
    let share = (f64::from(budget) / f64::from(sum(&rungs))).min(1.0);
    for rung in &mut rungs {
        rung.kbps = whole(f64::from(rung.kbps) * share).max(LEAST_KBPS);
    }
    rungs
}

/// The whole picture, and below it the usual sizes of its shorter side, each a good step smaller than the one before.
fn sizes(width: u32, height: u32, fps: f64) -> Vec<Rung> {
    let (width, height) = (width.min(LARGEST), height.min(LARGEST));
    let shorter = width.min(height);
    let mut rungs = vec![rung(width, height, fps)];
    let mut last = shorter;
    for side in USUAL {
        if f64::from(side) <= STEP * f64::from(last) {
            let scaled = |length: u32| whole(f64::from(length) * f64::from(side) / f64::from(shorter));
            rungs.push(rung(scaled(width), scaled(height), fps));
            last = side;
        }
    }
    rungs
}

fn rung(width: u32, height: u32, fps: f64) -> Rung {
    let even = |length: u32| (length & !1).max(2);
    let (width, height) = (even(width), even(height));
    // Larger pictures need fewer bits for each of their pixels, and so do more pictures a second.
    let pixels = f64::from(width) * f64::from(height) / (1920.0 * 1080.0);
    let often = if fps > 40.0 { 1.4 } else { 1.0 };
    let kbps = whole(FULL_HD_KBPS * pixels.powf(0.75) * often).clamp(LEAST_KBPS, MOST_KBPS);
    Rung { width, height, kbps }
}

fn whole(number: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small positive numbers")]
    let whole = number as u32;
    whole
}

/// Of the shorter side, pixels.
const USUAL: [u32; 6] = [1440, 1080, 720, 480, 360, 240];
/// One size is at most so large against the one above it.
const STEP: f64 = 0.75;
const LARGEST: u32 = 8192;
/// At 30 pictures a second.
const FULL_HD_KBPS: f64 = 4_500.0;
const MOST_KBPS: u32 = 8_000;
/// Encoders do not take less.
const LEAST_KBPS: u32 = 100;
/// With less than so much of what the sizes need there should be fewer.
const WORTH_WHILE: f64 = 0.65;

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: u32 = 100_000;

    fn check(size: (u32, u32), fps: f64, budget: u32, most: usize, expected: &[(u32, u32, u32)]) {
        let rungs: Vec<_> = ladder(size.0, size.1, fps, budget, most)
            .iter()
            .map(|rung| (rung.width, rung.height, rung.kbps))
            .collect();
        assert_eq!(rungs, expected, "{size:?} {fps} {budget:?}");
    }

    #[test]
    fn sizes_and_bits() {
        let full_hd = (1920, 1080);
        check(full_hd, 30.0, FREE, 3, &[(1920, 1080, 4500), (1280, 720, 2449), (852, 480, 1331)]);
        check(full_hd, 60.0, FREE, 2, &[(1920, 1080, 6300), (1280, 720, 3429)]);
        check((1080, 1920), 30.0, FREE, 2, &[(1080, 1920, 4500), (720, 1280, 2449)]);
        check((3840, 2160), 60.0, FREE, 3, &[(3840, 2160, 8000), (2560, 1440, 8000), (1920, 1080, 6300)]);
        check((320, 180), 30.0, FREE, 3, &[(320, 180, 306)]);
        check((1, 1), 30.0, FREE, 3, &[(2, 2, 100)]);
        check((u32::MAX, 9), 0.0, 0, 0, &[(8192, 8, 100)]);
    }

    #[test]
    fn a_short_budget_gives_fewer_sizes() {
        let full_hd = (1920, 1080);
        check(full_hd, 30.0, 8_280, 3, &[(1920, 1080, 4500), (1280, 720, 2449), (852, 480, 1331)]);
        check(full_hd, 30.0, 6_000, 3, &[(1920, 1080, 3260), (1280, 720, 1774), (852, 480, 964)]);
        check(full_hd, 30.0, 5_000, 3, &[(1920, 1080, 3237), (1280, 720, 1762)]);
        check(full_hd, 30.0, 3_000, 3, &[(1920, 1080, 3000)]);
    }
}
