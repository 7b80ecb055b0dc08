//! AAC frames with ADTS headers (ISO/IEC 14496-3 section 1.A.2.2).

use super::{Event, Ticks};

/// Follows one track of AAC.
#[derive(Debug, Default)]
pub(super) struct Reader {
    configuration: Option<[u8; 2]>,
    /// The beginning of a frame whose end comes with the next PES packet.
    carry: Vec<u8>,
    /// When the next frame is to be heard, in ticks and a fraction.
    next: Option<f64>,
}

impl Reader {
    /// A new clock: what was begun is of the old one.
    pub(super) fn forget(&mut self) {
        self.carry.clear();
        self.next = None;
    }

    /// Reads what one PES packet holds. Its time is that of the first frame that begins in it. Returns how much was
    /// broken.
    pub(super) fn read(&mut self, time: Option<Ticks>, data: Vec<u8>, events: &mut Vec<Event>) -> u64 {
        let boundary = self.carry.len();
        let mut bytes = std::mem::take(&mut self.carry);
        bytes.extend(data);
        let mut time = time;
        let (mut at, mut broken) = (0, 0);
        while at < bytes.len() {
            if at >= boundary
                && let Some(Ticks(time)) = time.take()
            {
                #[expect(clippy::cast_precision_loss, reason = "years of ticks are exact")]
                let time = time as f64;
                self.next = Some(time);
            }
            let Some(header) = bytes[at..].first_chunk() else { break };
            let Some(header) = Header::parse(*header) else {
                // Look for the next header.
                broken += 1;
                let skip =
                    bytes[at + 1..].windows(2).position(|pair| pair[0] == 0xff && pair[1] & 0xf6 == 0xf0);
                match skip {
                    Some(skip) => at += 1 + skip,
                    None => at = bytes.len(),
                }
                continue;
            };
            let Some(frame) = bytes.get(at..at + header.length) else { break };
            at += header.length;
            if self.configuration != Some(header.configuration) {
                self.configuration = Some(header.configuration);
                events.push(Event::AacConfiguration(header.configuration));
            }
            let Some(next) = self.next else {
                broken += 1;
                continue;
            };
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "times are positive")]
            let begins = Ticks(next.round() as u64);
            self.next = Some(next + FRAME_SAMPLES * 90_000.0 / f64::from(header.rate));
            events.push(Event::Aac(begins, frame[header.size..].to_vec()));
        }
        // No frame is longer than a header can say, so this has a bound.
        self.carry = bytes.split_off(at.min(bytes.len()));
        broken
    }
}

struct Header {
    /// Of itself.
    size: usize,
    /// Of the frame with it.
    length: usize,
    configuration: [u8; 2],
    rate: u32,
}

impl Header {
    /// `None` also for what has no use here: several frames behind one header, channels described elsewhere.
    fn parse(bytes: [u8; 7]) -> Option<Self> {
        let [sync, version, profile, channels, length, rest, blocks] = bytes;
        if sync != 0xff || version & 0xf6 != 0xf0 || blocks & 0x03 != 0 {
            return None;
        }
        let size = if version & 1 == 1 { 7 } else { 9 };
        let length = usize::from(channels & 0x03) << 11 | usize::from(length) << 3 | usize::from(rest >> 5);
        let frequency = profile >> 2 & 0x0f;
        let rate = *RATES.get(usize::from(frequency))?;
        let layout = (profile & 1) << 2 | channels >> 6;
        if length <= size || layout == 0 {
            return None;
        }
        // AudioSpecificConfig: object type, frequency, channels (section 1.6.2.1).
        let object = (profile >> 6) + 1;
        let configuration = [object << 3 | frequency >> 1, frequency << 7 | layout << 3];
        Some(Self { size, length, configuration, rate })
    }
}

const FRAME_SAMPLES: f64 = 1024.0;
const RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

#[cfg(test)]
pub(super) fn frame(payload: &[u8]) -> Vec<u8> {
    let length = payload.len() + 7;
    // LC, 44.1 kHz, stereo.
    let mut frame = vec![0xff, 0xf1, 0x50, 0x80 | (length >> 11) as u8, (length >> 3) as u8];
    frame.extend([(length << 5) as u8 | 0x1f, 0xfc]);
    frame.extend(payload);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(reader: &mut Reader, time: Option<u64>, data: &[u8]) -> (Vec<(u64, Vec<u8>)>, u64) {
        let mut events = Vec::new();
        let broken = reader.read(time.map(Ticks), data.to_vec(), &mut events);
        let frames = events.into_iter().filter_map(|event| match event {
            Event::Aac(Ticks(at), frame) => Some((at, frame)),
            _ => None,
        });
        (frames.collect(), broken)
    }

    #[test]
    fn several_frames_are_one_frame_apart() {
        let mut reader = Reader::default();
        let mut events = Vec::new();
        let data = [frame(&[1; 5]), frame(&[2; 6])].concat();
        assert_eq!(reader.read(Some(Ticks(90_000)), data, &mut events), 0);
        // 1024 samples of 44.1 kHz are 2089.8 ticks.
        let expected = [
            Event::AacConfiguration([0x12, 0x10]),
            Event::Aac(Ticks(90_000), vec![1; 5]),
            Event::Aac(Ticks(92_090), vec![2; 6]),
        ];
        assert_eq!(events, expected);
    }

    #[test]
    fn frames_across_packets_keep_their_time() {
        let mut reader = Reader::default();
        let stream = [frame(&[1; 5]), frame(&[2; 6]), frame(&[3; 7])].concat();
        assert_eq!(read(&mut reader, Some(90_000), &stream[..20]).0, [(90_000, vec![1; 5])]);
        // The second began in the packet before; the third has the time of this one.
        let (frames, broken) = read(&mut reader, Some(95_000), &stream[20..]);
        assert_eq!(frames, [(92_090, vec![2; 6]), (95_000, vec![3; 7])]);
        assert_eq!(broken, 0);
    }

    #[test]
    fn junk_is_skipped() {
        let mut reader = Reader::default();
        let data = [&[7, 7, 0xff, 7][..], &frame(&[1; 5])].concat();
        let (frames, broken) = read(&mut reader, Some(5), &data);
        assert_eq!(frames, [(5, vec![1; 5])]);
        assert_eq!(broken, 1);
        reader.forget();
        assert_eq!(read(&mut reader, None, &frame(&[1; 5])), (vec![], 1), "nobody knows when");
    }
}
