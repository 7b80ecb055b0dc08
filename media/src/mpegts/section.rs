//! Sections of tables, put together from packets (ISO/IEC 13818-1 section 2.4.4).

use super::packet::Packet;

/// The sections of one PID.
#[derive(Debug, Default)]
pub(super) struct Sections {
    section: Vec<u8>,
    counter: Option<u8>,
}

impl Sections {
    /// A whole section, once it is there. Of several in one packet the first: tables of one programme have one each.
    pub(super) fn push(&mut self, packet: &Packet<'_>) -> Option<Vec<u8>> {
        if !packet.has_payload {
            return None;
        }
        let follows = self.counter.is_some_and(|last| (last + 1) & 0x0f == packet.counter);
        let repeated = self.counter == Some(packet.counter) && !packet.starts;
        self.counter = Some(packet.counter);
        if packet.starts {
            let (&pointer, payload) = packet.payload.split_first()?;
            self.section = payload.get(usize::from(pointer)..)?.to_vec();
        } else if repeated {
            return None;
        } else if follows && !self.section.is_empty() {
            self.section.extend_from_slice(packet.payload);
        } else {
            self.section.clear();
            return None;
        }
        let &[_, high, low] = self.section.first_chunk()?;
        let length = 3 + usize::from(u16::from_be_bytes([high & 0x0f, low]));
        if length > LONGEST {
            self.section.clear();
            return None;
        }
        if self.section.len() < length {
            return None;
        }
        let mut section = std::mem::take(&mut self.section);
        section.truncate(length);
        Some(section)
    }
}

/// What section 2.4.4 allows for the tables here.
const LONGEST: usize = 1024;

/// Whether the checksum at the end fits (annex A).
pub(super) fn is_sound(section: &[u8]) -> bool {
    checksum(section) == 0
}

pub(super) fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |mut sum, &byte| {
        sum ^= u32::from(byte) << 24;
        for _ in 0..8 {
            sum = (sum << 1) ^ if sum >> 31 == 1 { 0x04c1_1db7 } else { 0 };
        }
        sum
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_of_the_catalogue() {
        // CRC-32/MPEG-2.
        assert_eq!(checksum(b"123456789"), 0x0376_e6e7);
    }
}
