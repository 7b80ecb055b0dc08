//! Which H.264 formats are the same profile (RFC 6184 section 8.1, as browsers compare them).

/// What every WebRTC stack decodes: constrained baseline, level 3.1.
pub(super) const BASELINE: [u8; 3] = [0x42, 0xe0, 0x1f];

/// Profiles that browsers tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    ConstrainedBaseline,
    Baseline,
    Main,
    ConstrainedHigh,
    High,
    /// Anything else: `profile_idc` and constraint flags must be equal.
    Other(u8, u8),
}

impl Profile {
    /// The profile of a profile-level-id (table 5 of RFC 6184).
    pub(super) const fn of(profile_level_id: [u8; 3]) -> Self {
        let [idc, flags, _] = profile_level_id;
        match idc {
            0x42 if flags & 0x4f == 0x40 => Self::ConstrainedBaseline,
            0x4d if flags & 0x8f == 0x80 => Self::ConstrainedBaseline,
            0x58 if flags & 0xcf == 0xc0 => Self::ConstrainedBaseline,
            0x42 if flags & 0x4f == 0 => Self::Baseline,
            0x58 if flags & 0xcf == 0x80 => Self::Baseline,
            0x4d if flags & 0xaf == 0 => Self::Main,
            0x64 if flags == 0 => Self::High,
            0x64 if flags == 0x0c => Self::ConstrainedHigh,
            _ => Self::Other(idc, flags),
        }
    }
}

/// The H.264 parameters of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) profile_level_id: [u8; 3],
    /// As far as it is said.
    packetization_mode: Option<u8>,
}

impl Parameters {
    /// Reads an `fmtp` value. Without a profile browsers mean constrained baseline.
    pub(super) fn parse(fmtp: &str) -> Self {
        let mut parameters = Self { profile_level_id: BASELINE, packetization_mode: None };
        for (name, value) in fmtp.split(';').filter_map(|parameter| parameter.trim().split_once('=')) {
            if name.eq_ignore_ascii_case("profile-level-id") {
                if let Some(id) = profile_level_id(value) {
                    parameters.profile_level_id = id;
                }
            } else if name.eq_ignore_ascii_case("packetization-mode") {
                // An unreadable mode is none that we send.
                parameters.packetization_mode = Some(value.trim().parse().unwrap_or(u8::MAX));
            }
        }
        parameters
    }

    /// Without a mode 0 is meant (RFC 6184 section 8.1).
    pub(super) fn packetization_mode(&self) -> u8 {
        self.packetization_mode.unwrap_or(0)
    }
}

fn profile_level_id(value: &str) -> Option<[u8; 3]> {
    let mut id = [0; 3];
    hex::decode_to_slice(value.trim(), &mut id).ok()?;
    Some(id)
}

/// Which of `offered` carries a stream of profile `stream`: its own profile, else 42e01f, else anything. Among equals the
/// same level wins, then the peer's order. Mode 1, or none said: players that say nothing of the format take what comes.
/// Mode 0 said in so many words is beside a mode 1 that is meant for us, or the wish of one who cannot do more.
pub(super) fn choose<'f, F>(
    stream: [u8; 3],
    offered: &(impl Iterator<Item = (&'f F, Parameters)> + Clone),
) -> Option<(&'f F, Parameters)> {
    let find = |mode: Option<u8>| {
        let usable = offered.clone().filter(move |(_, parameters)| parameters.packetization_mode == mode);
        let find = |wanted: [u8; 3]| {
            let exact = usable.clone().find(|(_, have)| have.profile_level_id == wanted);
            exact.or_else(|| {
                usable.clone().find(|(_, have)| Profile::of(have.profile_level_id) == Profile::of(wanted))
            })
        };
        find(stream).or_else(|| find(BASELINE)).or_else(|| usable.clone().next())
    };
    find(Some(1)).or_else(|| find(None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_as_browsers_compare_them() {
        for (a, b, same) in [
            ([0x42, 0xe0, 0x1f], [0x42, 0xe0, 0x34], true),
            ([0x42, 0xe0, 0x1f], [0x42, 0xc0, 0x28], true),
            ([0x42, 0xe0, 0x1f], [0x4d, 0x80, 0x1f], true),
            ([0x42, 0xe0, 0x1f], [0x42, 0x00, 0x1f], false),
            ([0x4d, 0x00, 0x1f], [0x4d, 0x40, 0x28], true),
            ([0x64, 0x00, 0x1f], [0x64, 0x0c, 0x1f], false),
            ([0x64, 0x00, 0x1f], [0x64, 0x00, 0x2a], true),
            ([0x6e, 0x00, 0x1f], [0x64, 0x00, 0x1f], false),
        ] {
            assert_eq!(Profile::of(a) == Profile::of(b), same, "{a:x?} {b:x?}");
        }
    }

    #[test]
    fn parameters() {
        let read =
            Parameters::parse("level-asymmetry-allowed=1; packetization-mode=1;profile-level-id=4D001f");
        assert_eq!(read, Parameters { profile_level_id: [0x4d, 0, 0x1f], packetization_mode: Some(1) });
        assert_eq!(Parameters::parse("profile-level-id=42"), Parameters::parse(""));
        assert_eq!(Parameters::parse("packetization-mode=one").packetization_mode(), u8::MAX);
        assert_eq!(Parameters::parse("").packetization_mode(), 0);
    }

    #[test]
    fn own_profile_then_baseline_then_any_but_never_mode_0() {
        const UNSAID: u8 = 99;
        let offer = |list: &'static [(u8, [u8; 3], u8)]| {
            list.iter().map(|(pt, profile_level_id, packetization_mode)| {
                let parameters = Parameters {
                    profile_level_id: *profile_level_id,
                    packetization_mode: Some(*packetization_mode).filter(|mode| *mode != UNSAID),
                };
                (pt, parameters)
            })
        };
        let pick = |stream, list| choose(stream, &offer(list)).map(|(pt, _)| *pt);
        let chrome: &[_] = &[
            (102, [0x42, 0x00, 0x1f], 1),
            (104, [0x42, 0x00, 0x1f], 0),
            (106, [0x42, 0xe0, 0x1f], 1),
            (108, [0x42, 0xe0, 0x1f], 0),
            (127, [0x4d, 0x00, 0x1f], 1),
            (112, [0x64, 0x00, 0x1f], 1),
        ];
        assert_eq!(pick([0x4d, 0x40, 0x2a], chrome), Some(127));
        assert_eq!(pick([0x64, 0x00, 0x28], chrome), Some(112));
        assert_eq!(pick([0x42, 0xc0, 0x1f], chrome), Some(106));
        assert_eq!(pick([0x64, 0x0c, 0x1f], chrome), Some(106));
        assert_eq!(pick([0x4d, 0x00, 0x1f], &[(1, [0x64, 0, 0x1f], 1)]), Some(1));
        assert_eq!(pick([0x42, 0xe0, 0x1f], &[(1, [0x42, 0xe0, 0x1f], 0)]), None);
        assert_eq!(pick([0x64, 0, 0x1f], &[(1, [0x42, 0xe0, 0x1f], UNSAID)]), Some(1));
        assert_eq!(
            pick([0x42, 0xe0, 0x1f], &[(1, [0x42, 0xe0, 0x1f], UNSAID), (2, [0x64, 0, 0x1f], 1)]),
            Some(2)
        );
        assert_eq!(
            pick([0x42, 0xe0, 0x28], &[(1, [0x42, 0xe0, 0x1f], 1), (2, [0x42, 0xe0, 0x28], 1)]),
            Some(2)
        );
    }
}
