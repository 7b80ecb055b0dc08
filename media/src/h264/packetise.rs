use std::iter;

/// Cuts NAL units into RTP payloads: whole when they fit, otherwise in FU-A fragments (RFC 6184 sections 5.6
/// and 5.8). Never aggregates, as FTL clients never do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packetiser {
    max_payload: usize,
}

impl Packetiser {
    /// The sizes of the FTL clients: whole units up to 1380 bytes, fragments of 1378; the largest packet has
    /// 1392 bytes with its RTP header.
    pub const FTL: Self = Self::new(Self::FTL_PAYLOAD);
    /// The longest payload of [`Self::FTL`], in bytes.
    pub const FTL_PAYLOAD: usize = 1_380;

    /// No payload will be longer than `max_payload` bytes; at least 3, the size of a fragment of one byte.
    #[must_use]
    pub const fn new(max_payload: usize) -> Self {
        Self { max_payload: if max_payload < MIN_PAYLOAD { MIN_PAYLOAD } else { max_payload } }
    }

    /// The payloads of one access unit, in order. Empty NAL units are left out.
    pub fn packets<'a>(&self, nals: impl IntoIterator<Item = &'a [u8]>) -> impl Iterator<Item = Piece<'a>> {
        let max_payload = self.max_payload;
        let mut nals = nals.into_iter().filter(|nal| !nal.is_empty()).peekable();
        // What is left of the NAL unit at hand, with its header byte when it is cut.
        let mut cut: Option<(u8, &'a [u8])> = None;
        iter::from_fn(move || {
            let (prefix, body) = match cut.take() {
                None => {
                    let nal = nals.next()?;
                    if nal.len() <= max_payload {
                        (None, nal)
                    } else {
                        let (now, later) = nal[1..].split_at(max_payload - FRAGMENT_HEADERS);
                        cut = Some((nal[0], later));
                        (Some(fragment_headers(nal[0], START)), now)
                    }
                }
                Some((header, rest)) => match rest.split_at_checked(max_payload - FRAGMENT_HEADERS) {
                    Some((now, later)) if !later.is_empty() => {
                        cut = Some((header, later));
                        (Some(fragment_headers(header, 0)), now)
                    }
                    _ => (Some(fragment_headers(header, END)), rest),
                },
            };
            Some(Piece { prefix, body, marker: cut.is_none() && nals.peek().is_none() })
        })
    }
}

/// One RTP payload, in one or two parts, so that nothing has to be copied before the packet is put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The two bytes in front of a fragment.
    pub prefix: Option<[u8; 2]>,
    /// A whole NAL unit, or the bytes of a fragment.
    pub body: &'a [u8],
    /// The last payload of the access unit: its packet has the marker bit.
    pub marker: bool,
}

impl Piece<'_> {
    /// Length of the payload in bytes; never zero.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a piece is never empty")]
    pub const fn len(&self) -> usize {
        let prefix = if self.prefix.is_some() { FRAGMENT_HEADERS } else { 0 };
        prefix + self.body.len()
    }

    /// Appends the payload.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        if let Some(prefix) = self.prefix {
            out.extend(prefix);
        }
        out.extend_from_slice(self.body);
    }
}

const FRAGMENT_HEADERS: usize = 2;
const MIN_PAYLOAD: usize = FRAGMENT_HEADERS + 1;
const FU_A: u8 = 28;
const START: u8 = 0x80;
const END: u8 = 0x40;

/// The indicator keeps the importance bits of the NAL unit, the fragment header its type.
const fn fragment_headers(nal_header: u8, position: u8) -> [u8; 2] {
    [nal_header & 0xe0 | FU_A, position | nal_header & 0x1f]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Payload length, first two bytes and marker of each packet.
    fn shapes(lengths: &[usize]) -> Vec<(usize, [u8; 2], bool)> {
        let units: Vec<Vec<u8>> = lengths.iter().map(|&length| vec![0x65; length]).collect();
        Packetiser::FTL
            .packets(units.iter().map(Vec::as_slice))
            .map(|piece| {
                let mut payload = Vec::new();
                piece.write_to(&mut payload);
                assert_eq!(payload.len(), piece.len());
                (payload.len(), [payload[0], payload[1]], piece.marker)
            })
            .collect()
    }

    #[test]
    fn sizes_of_the_ftl_clients() {
        let (whole, start, middle, end) = ([0x65, 0x65], [0x7c, 0x85], [0x7c, 0x05], [0x7c, 0x45]);
        for (lengths, expected) in [
            (&[2][..], &[(2, whole, true)][..]),
            (&[1_380], &[(1_380, whole, true)]),
            // One byte is in the headers: 1380 remain for fragments of 1378.
            (&[1_381], &[(1_380, start, false), (4, end, true)]),
            (&[1 + 2 * 1_378], &[(1_380, start, false), (1_380, end, true)]),
            (&[2 + 2 * 1_378], &[(1_380, start, false), (1_380, middle, false), (3, end, true)]),
            (
                &[30, 5, 1_381],
                &[(30, whole, false), (5, whole, false), (1_380, start, false), (4, end, true)],
            ),
            (&[1_381, 30], &[(1_380, start, false), (4, end, false), (30, whole, true)]),
            (&[0, 30, 0], &[(30, whole, true)]),
            (&[0], &[]),
            (&[], &[]),
        ] {
            assert_eq!(shapes(lengths), expected, "{lengths:?}");
        }
    }

    #[test]
    fn a_tiny_payload_still_makes_progress() {
        let nal = [0x41, 1, 2, 3];
        let pieces: Vec<_> = Packetiser::new(0).packets([&nal[..]]).collect();
        assert_eq!(pieces.len(), 3);
        assert!(pieces.iter().all(|piece| piece.len() == 3));
    }
}
