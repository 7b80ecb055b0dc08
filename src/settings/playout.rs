//! How long viewers' browsers may hold pictures back: one setting for all channels, and what single ones have of
//! their own.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use heliograph_relay::{ChannelName, PlayoutDelay, PlayoutSettings};

use super::options::ChannelOptions;

/// The settings for all channels, and for those in `channels`, which fall back to the former.
///
/// # Errors
/// Values that the extension cannot say, bounds in the wrong order, a channel that comes twice or cannot have its
/// name: each by name.
pub(super) fn settings(
    max_ms: Option<u64>,
    limit_ms: Option<u64>,
    channels: &[ChannelOptions],
) -> Result<(PlayoutSettings, HashMap<ChannelName, PlayoutSettings>)> {
    let all = one(None, max_ms, limit_ms, &PlayoutSettings::default())?;
    let mut own = HashMap::new();
    for channel in channels {
        let name = || format!("[[channel]] name = '{}'", channel.name);
        let settings = one(
            channel.playout_delay_min_ms,
            channel.playout_delay_max_ms,
            channel.playout_delay_limit_ms,
            &all,
        )
        .with_context(name)?;
        let channel_name = ChannelName::new(&channel.name).with_context(name)?;
        ensure!(own.insert(channel_name, settings).is_none(), "{} comes twice", name());
    }
    Ok((all, own))
}

/// What is not said is taken from `base`, moved so that it fits what is said.
fn one(
    min_ms: Option<u64>,
    max_ms: Option<u64>,
    limit_ms: Option<u64>,
    base: &PlayoutSettings,
) -> Result<PlayoutSettings> {
    let most = PlayoutDelay::MOST.as_millis() as u64;
    for (name, value) in [
        ("playout_delay_min_ms", min_ms),
        ("playout_delay_max_ms", max_ms),
        ("playout_delay_limit_ms", limit_ms),
    ] {
        if let Some(value) = value {
            ensure!(value <= most, "{name} = {value}: outside 0 to {most} milliseconds");
        }
    }
    let millis = |time: Duration| time.as_millis() as u64;
    let min = min_ms.unwrap_or(0);
    let max = max_ms.unwrap_or(millis(base.usual.max()).max(min));
    ensure!(min <= max, "playout_delay_min_ms = {min} is above playout_delay_max_ms = {max}");
    let limit = limit_ms.unwrap_or(millis(base.limit).max(max));
    ensure!(max <= limit, "playout_delay_max_ms = {max} is above playout_delay_limit_ms = {limit}");
    let time = Duration::from_millis;
    Ok(PlayoutSettings { usual: PlayoutDelay::new(time(min), time(max)), limit: time(limit) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn channel(name: &str, min: Option<u64>, max: Option<u64>, limit: Option<u64>) -> ChannelOptions {
        ChannelOptions {
            name: name.to_owned(),
            playout_delay_min_ms: min,
            playout_delay_max_ms: max,
            playout_delay_limit_ms: limit,
            max_bitrate_kbps: None,
        }
    }

    #[test]
    fn channels_fall_back_to_what_holds_for_all() {
        let channels = [
            channel("a", None, None, None),
            channel("b", Some(1_000), None, None),
            channel("c", None, Some(9_000), None),
            channel("d", None, None, Some(600)),
        ];
        let (all, own) = settings(Some(300), Some(2_000), &channels).unwrap();
        let figures = |settings: &PlayoutSettings| {
            [settings.usual.min(), settings.usual.max(), settings.limit].map(|time| time.as_millis())
        };
        assert_eq!(figures(&all), [0, 300, 2_000]);
        for (name, wanted) in [
            ("a", [0, 300, 2_000]),
            ("b", [1_000, 1_000, 2_000]),
            ("c", [0, 9_000, 9_000]),
            ("d", [0, 300, 600]),
        ] {
            assert_eq!(figures(&own[&ChannelName::new(name).unwrap()]), wanted, "{name}");
        }
        let (usual, _) = settings(None, None, &[]).unwrap();
        assert_eq!(usual, PlayoutSettings::default());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (channels, part) in [
            (vec![channel("a b", None, None, None)], "a b"),
            (vec![channel("a", None, None, None), channel("a", None, None, None)], "twice"),
            (vec![channel("a", Some(2), Some(1), None)], "playout_delay_min_ms = 2"),
            (vec![channel("a", None, Some(2), Some(1))], "playout_delay_limit_ms = 1"),
            (vec![channel("a", Some(50_000), None, None)], "playout_delay_min_ms = 50000"),
        ] {
            let error = format!("{:#}", settings(None, None, &channels).unwrap_err());
            assert!(error.contains(part), "{error}");
        }
        assert!(settings(Some(5_000), Some(4_000), &[]).is_err());
        assert!(settings(Some(5_000), None, &[]).is_ok(), "the limit follows");
    }
}
