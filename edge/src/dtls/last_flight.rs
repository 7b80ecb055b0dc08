//! What a finished handshake leaves behind.

use super::RECORD_HEADER;

/// Our last flight, for a peer that did not get it and repeats its own (RFC 6347 section 4.2.4). About a hundred
/// bytes, where the endpoint that wrote it needs 50 KiB: the endpoint can be dropped as soon as it is connected.
///
/// The repetition is the same to the last byte, record numbers included: a peer that got the first one after all
/// discards it as replayed.
#[derive(Debug)]
pub struct LastFlight(Box<[u8]>);

/// ContentType handshake.
const HANDSHAKE: u8 = 22;
/// Records under the keys of the handshake; the peer's last flight is the first of its side to have one.
const ENCRYPTED_EPOCH: [u8; 2] = [0, 1];

impl LastFlight {
    /// Of the datagrams that came out of the endpoint when it became connected. They become one: records may share
    /// a datagram.
    pub fn new(datagrams: &[Vec<u8>]) -> Self {
        Self(datagrams.concat().into())
    }

    /// The datagram to send when the peer has sent `datagram`; `None` when that is not its last flight again.
    pub fn answer(&self, datagram: &[u8]) -> Option<&[u8]> {
        (!self.0.is_empty() && has_finished(datagram)).then_some(&self.0)
    }
}

/// Whether there is an encrypted handshake record in it. A client writes only one, its Finished message.
fn has_finished(datagram: &[u8]) -> bool {
    let mut rest = datagram;
    while let Some((header, body)) = rest.split_at_checked(RECORD_HEADER) {
        if header[0] == HANDSHAKE && header[3..5] == ENCRYPTED_EPOCH {
            return true;
        }
        let length = usize::from(u16::from_be_bytes([header[11], header[12]]));
        rest = body.get(length..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, epoch: u8, body: &[u8]) -> Vec<u8> {
        let mut record = vec![kind, 254, 253, 0, epoch, 0, 0, 0, 0, 0, 9, 0, body.len() as u8];
        record.extend(body);
        record
    }

    #[test]
    fn only_an_encrypted_handshake_message_is_answered() {
        let flight = LastFlight::new(&[b"change".to_vec(), b"finished".to_vec()]);
        let (certificate, change, finished) =
            (record(22, 0, &[11; 40]), record(20, 0, &[1]), record(22, 1, &[7; 40]));
        let joined = [certificate.clone(), change.clone(), finished.clone()].concat();
        let alert = record(21, 1, &[0; 26]);
        let overlong = [22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 22, 254, 253, 0, 1];
        for (datagram, answered) in [
            (finished.as_slice(), true),
            (&joined, true),
            (&certificate, false),
            (&change, false),
            (&alert, false),
            (&overlong, false),
            (&joined[..joined.len() - finished.len()], false),
            (&finished[..12], false),
            (&[], false),
        ] {
            assert_eq!(flight.answer(datagram), answered.then_some(&b"changefinished"[..]), "{datagram:?}");
        }
        assert_eq!(LastFlight::new(&[]).answer(&finished), None, "nothing to repeat");
    }
}
