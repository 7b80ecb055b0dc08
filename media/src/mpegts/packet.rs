//! One transport packet (ISO/IEC 13818-1 section 2.4.3.2) and its adaptation field (2.4.3.4).

/// Bytes in a packet.
pub(super) const PACKET: usize = 188;
/// The first of them.
pub(super) const SYNC: u8 = 0x47;

#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    pub(super) pid: u16,
    /// A section or a PES packet begins in the payload.
    pub(super) starts: bool,
    pub(super) counter: u8,
    /// Empty for an adaptation field alone.
    pub(super) payload: &'a [u8],
    pub(super) has_payload: bool,
    pub(super) discontinuity: bool,
    pub(super) random_access: bool,
    /// Programme clock reference, 90 kHz, 33 bits.
    pub(super) clock: Option<u64>,
    /// The adaptation field is longer than what it says: multiplexers fill up the last packet of a picture so.
    pub(super) stuffed: bool,
}

impl<'a> Packet<'a> {
    /// `None` for what the sender marked as broken, what is scrambled, and what contradicts itself.
    pub(super) fn parse(bytes: &'a [u8; PACKET]) -> Option<Self> {
        let [_, high, low, control, rest @ ..] = bytes;
        if high & 0x80 != 0 || control & 0xc0 != 0 {
            return None;
        }
        let mut packet = Self {
            pid: u16::from_be_bytes([high & 0x1f, *low]),
            starts: high & 0x40 != 0,
            counter: control & 0x0f,
            payload: &rest[..],
            has_payload: control & 0x10 != 0,
            discontinuity: false,
            random_access: false,
            clock: None,
            stuffed: false,
        };
        if control & 0x20 != 0 {
            let (&length, behind) = rest.split_first()?;
            let (field, payload) = behind.split_at_checked(length.into())?;
            packet.payload = payload;
            packet.adaptation(field);
        }
        if !packet.has_payload {
            packet.payload = &[];
        }
        Some(packet)
    }

    fn adaptation(&mut self, field: &[u8]) {
        let Some((&flags, field)) = field.split_first() else {
            // A length of zero is one byte of filling.
            self.stuffed = true;
            return;
        };
        self.discontinuity = flags & 0x80 != 0;
        self.random_access = flags & 0x40 != 0;
        let mut said = 0;
        if flags & 0x10 != 0 {
            if let Some(&[a, b, c, d, e, _]) = field.first_chunk() {
                self.clock = Some(u64::from(u32::from_be_bytes([a, b, c, d])) << 1 | u64::from(e >> 7));
            }
            said += 6;
        }
        if flags & 0x08 != 0 {
            said += 6;
        }
        if flags & 0x04 != 0 {
            said += 1;
        }
        for flag in [0x02, 0x01] {
            if flags & flag != 0 {
                said += 1 + field.get(said).copied().map_or(0, usize::from);
            }
        }
        self.stuffed = field.len() > said;
    }
}
