//! Playout delays between milliseconds on the wire and the relay's words.

use std::time::Duration;

use heliograph_relay::PlayoutDelay;

use crate::{
    backend::Viewer,
    messages::{PlayoutRange, PlayoutWish, milliseconds},
    query::first,
};

const MOST_MS: u32 = PlayoutDelay::MOST.as_millis() as u32;

/// Checks a wish.
///
/// # Errors
/// A sentence for the viewer.
pub(crate) fn checked(wish: PlayoutWish) -> Result<PlayoutDelay, String> {
    let PlayoutWish { min_ms, max_ms } = wish;
    if min_ms > max_ms || max_ms > MOST_MS {
        return Err(format!("the playout delay is not understood: 0 <= min_ms <= max_ms <= {MOST_MS}"));
    }
    let milliseconds = |ms: u32| Duration::from_millis(ms.into());
    Ok(PlayoutDelay::new(milliseconds(min_ms), milliseconds(max_ms)))
}

/// `?playout_min_ms=` and `?playout_max_ms=`; `None` when neither is there.
///
/// # Errors
/// A sentence for the viewer.
pub(crate) fn asked(pairs: &[(String, String)]) -> Result<Option<PlayoutDelay>, String> {
    let number = |name: &str| {
        first(pairs, name)
            .map(|text| text.parse::<u32>().map_err(|_| format!("{name} is not a number of milliseconds")))
            .transpose()
    };
    match (number("playout_min_ms")?, number("playout_max_ms")?) {
        (None, None) => Ok(None),
        (Some(min_ms), None) => checked(PlayoutWish { min_ms, max_ms: MOST_MS }).map(Some),
        (min_ms, Some(max_ms)) => checked(PlayoutWish { min_ms: min_ms.unwrap_or(0), max_ms }).map(Some),
    }
}

/// Passes a wish on; the answer is what is in force.
pub(crate) fn apply(viewer: &mut dyn Viewer, wish: Option<PlayoutDelay>) -> PlayoutRange {
    let (granted, limit) = viewer.set_playout(wish);
    PlayoutRange {
        min_ms: milliseconds(granted.min()),
        max_ms: milliseconds(granted.max()),
        limit_ms: milliseconds(limit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        let delay = |min, max| PlayoutDelay::new(Duration::from_millis(min), Duration::from_millis(max));
        for (query, wanted) in [
            (&[][..], Ok(None)),
            (&[("playout_max_ms", "2000")], Ok(Some(delay(0, 2000)))),
            (&[("playout_min_ms", "300")], Ok(Some(delay(300, 40_950)))),
            (&[("playout_min_ms", "300"), ("playout_max_ms", "300")], Ok(Some(delay(300, 300)))),
            (&[("playout_min_ms", "301"), ("playout_max_ms", "300")], Err(())),
            (&[("playout_max_ms", "40951")], Err(())),
            (&[("playout_max_ms", "-1")], Err(())),
            (&[("playout_max_ms", "")], Err(())),
        ] {
            let pairs: Vec<_> =
                query.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
            assert_eq!(asked(&pairs).map_err(|_| ()), wanted, "{query:?}");
        }
    }
}
