//! Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01): which packets of a peer came, and when.
//! A sender's bandwidth estimate lives on it.

use std::time::Duration;

use super::write::{TRANSPORT_FEEDBACK, begin, end, put};
use crate::{Ssrc, WireSeq};

/// One message tells of at most so many packets: it fits any path, and 100 ms at 40 Mbit/s.
pub const MAX_FEEDBACK_PACKETS: usize = 400;

/// Deltas count in quarter milliseconds.
const TICK_MICROS: i64 = 250;
/// The reference time counts in 64 ms.
const REFERENCE_TICKS: i64 = 256;

/// Which packets came, and when, as a peer tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportFeedback {
    /// Number of the first packet that it tells of; the others follow.
    pub first: WireSeq,
    /// Where the arrival times begin, on the peer's clock: in 64 ms, 24 bits, wrapping.
    pub reference: u32,
    /// For each packet when it came, in quarter milliseconds after the reference; `None`: it did not. At most
    /// [`MAX_FEEDBACK_PACKETS`].
    pub arrivals: Vec<Option<i32>>,
}

/// Reads the part behind the RTCP header. A message that claims more than its bytes hold is none.
pub(super) fn read(body: &[u8]) -> Option<TransportFeedback> {
    // The sender's and the media's SSRC say nothing that a transport does not know.
    let (_, body) = body.split_first_chunk::<8>()?;
    let (&[first_high, first_low, count_high, count_low], body) = body.split_first_chunk()?;
    let (&[high, middle, low, _], mut rest) = body.split_first_chunk()?;
    let count = usize::from(u16::from_be_bytes([count_high, count_low]));
    let wanted = count.min(MAX_FEEDBACK_PACKETS);
    // All chunks come before all deltas: what is told of packets beyond those that are kept has to be skipped.
    let mut symbols = Vec::with_capacity(wanted);
    let mut told = 0;
    while told < count {
        let (&chunk, behind) = rest.split_first_chunk()?;
        rest = behind;
        let chunk = u16::from_be_bytes(chunk);
        let (symbol, length) = chunk_symbols(chunk);
        let length = length.min(count - told);
        symbols.extend((0..length.min(wanted - symbols.len())).map(symbol));
        told += length;
    }
    let mut at = 0_i32;
    let mut arrivals = Vec::with_capacity(symbols.len());
    for symbol in symbols {
        let delta = match symbol {
            1 => {
                let (&[delta], behind) = rest.split_first_chunk()?;
                rest = behind;
                i32::from(delta)
            }
            2 => {
                let (&delta, behind) = rest.split_first_chunk()?;
                rest = behind;
                i32::from(i16::from_be_bytes(delta))
            }
            _ => {
                arrivals.push(None);
                continue;
            }
        };
        at += delta;
        arrivals.push(Some(at));
    }
    Some(TransportFeedback {
        first: WireSeq(u16::from_be_bytes([first_high, first_low])),
        reference: u32::from_be_bytes([0, high, middle, low]),
        arrivals,
    })
}

/// What a chunk says of its packets, by their place in it, and of how many.
fn chunk_symbols(chunk: u16) -> (impl Fn(usize) -> u8, usize) {
    let (is_run, wide) = (chunk >> 15 == 0, chunk >> 14 & 1 == 1);
    let symbol = move |place: usize| match (is_run, wide) {
        (true, _) => (chunk >> 13 & 0b11) as u8,
        (false, false) => (chunk >> (13 - place) & 0b1) as u8,
        (false, true) => (chunk >> (12 - 2 * place) & 0b11) as u8,
    };
    let length = match (is_run, wide) {
        (true, _) => usize::from(chunk & 0x1fff),
        (false, false) => 14,
        (false, true) => 7,
    };
    (symbol, length)
}

/// The symbols of the draft.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Symbol {
    Missing = 0,
    /// One byte of delta.
    Small = 1,
    /// Two bytes of delta, with a sign.
    Large = 2,
}

/// Appends one message about the packets `first`, `first + 1`, ...: for each, when it came on a clock of ours, or that
/// it did not. The last one given must have come. `count` counts the messages to this peer.
///
/// Writes only as far as two bytes can express the step to the next arrival (8 s), and at most
/// [`MAX_FEEDBACK_PACKETS`]; returns how many of `arrivals` it covers.
pub fn write_transport_feedback(
    out: &mut Vec<u8>,
    sender: Ssrc,
    media: Ssrc,
    count: u8,
    first: WireSeq,
    arrivals: &[Option<Duration>],
) -> usize {
    const FORMAT: usize = 15;
    let arrivals = &arrivals[..arrivals.len().min(MAX_FEEDBACK_PACKETS)];
    let Some(reference) = arrivals.iter().flatten().next().map(|at| ticks(*at) / REFERENCE_TICKS) else {
        return 0;
    };
    let mut symbols = Vec::with_capacity(arrivals.len());
    let mut deltas = Vec::with_capacity(arrivals.len());
    let mut before = reference * REFERENCE_TICKS;
    // What is behind the last arrival says nothing.
    let mut covered = 0;
    for arrival in arrivals {
        let Some(at) = arrival else {
            symbols.push(Symbol::Missing);
            continue;
        };
        let delta = ticks(*at) - before;
        if let Ok(small) = u8::try_from(delta) {
            symbols.push(Symbol::Small);
            deltas.push(small);
        } else if let Ok(large) = i16::try_from(delta) {
            symbols.push(Symbol::Large);
            deltas.extend(large.to_be_bytes());
        } else {
            break;
        }
        before += delta;
        covered = symbols.len();
    }
    symbols.truncate(covered);

    let start = begin(out, FORMAT, TRANSPORT_FEEDBACK);
    put(out, sender.0);
    put(out, media.0);
    let statuses = u32::try_from(covered).expect("bounded");
    put(out, u32::from(first.0) << 16 | statuses);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "24 bits, wrapping")]
    let reference = reference as u32 & 0x00ff_ffff;
    put(out, reference << 8 | u32::from(count));
    write_chunks(out, &symbols);
    out.extend_from_slice(&deltas);
    out.resize(start + (out.len() - start).next_multiple_of(4), 0);
    end(out, start);
    covered
}

/// Runs where they are long, vectors of seven elsewhere.
fn write_chunks(out: &mut Vec<u8>, symbols: &[Symbol]) {
    /// Most symbols of one vector with two bits each.
    const VECTOR: usize = 7;
    const VECTOR_OF_TWO_BITS: u16 = 0b11 << 14;
    let mut rest = symbols;
    while let Some(&symbol) = rest.first() {
        let run = rest.iter().take_while(|other| **other == symbol).count();
        let (chunk, taken) = if run >= VECTOR {
            // A list is never as long as the 8191 that fit.
            ((symbol as u16) << 13 | u16::try_from(run).expect("bounded"), run)
        } else {
            let taken = rest.len().min(VECTOR);
            let bits = rest[..taken].iter().enumerate().map(|(at, symbol)| (*symbol as u16) << (12 - 2 * at));
            (VECTOR_OF_TWO_BITS | bits.sum::<u16>(), taken)
        };
        out.extend(chunk.to_be_bytes());
        rest = &rest[taken..];
    }
}

fn ticks(at: Duration) -> i64 {
    i64::try_from(at.as_micros()).unwrap_or(i64::MAX) / TICK_MICROS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rtc_rtcp::transport_feedbacks::transport_layer_cc::{
        PacketStatusChunk, SymbolTypeTcc, TransportLayerCc,
    };
    use rtc_shared::marshal::Unmarshal as _;

    use super::*;

    /// Reads a message back with the library: the first number, and when each packet came, in quarter milliseconds.
    fn read(message: &[u8]) -> (u16, Vec<Option<i64>>) {
        let read = TransportLayerCc::unmarshal(&mut &*message).unwrap();
        let mut symbols = Vec::new();
        for chunk in &read.packet_chunks {
            match chunk {
                PacketStatusChunk::RunLengthChunk(run) => {
                    symbols.extend((0..run.run_length).map(|_| run.packet_status_symbol));
                }
                PacketStatusChunk::StatusVectorChunk(vector) => symbols.extend(&vector.symbol_list),
            }
        }
        symbols.truncate(read.packet_status_count.into());
        let mut at = i64::from(read.reference_time) * REFERENCE_TICKS;
        let mut deltas = read.recv_deltas.iter();
        let arrivals = symbols.iter().map(|symbol| {
            (*symbol != SymbolTypeTcc::PacketNotReceived).then(|| {
                at += deltas.next().unwrap().delta / TICK_MICROS;
                at
            })
        });
        (read.base_sequence_number, arrivals.collect())
    }

    /// The same with what we read.
    fn read_ours(message: &[u8]) -> (u16, Vec<Option<i64>>) {
        let read = super::read(&message[4..]).unwrap();
        let reference = i64::from(read.reference) * REFERENCE_TICKS;
        (read.first.0, read.arrivals.iter().map(|at| at.map(|at| reference + i64::from(at))).collect())
    }

    #[test]
    fn vectors_of_one_bit_and_long_runs() {
        // 14 packets by bits, the first and the last of which came; then a run of nine that did.
        let mut body = vec![0; 8];
        body.extend([0, 7, 0, 23, 0xff, 0xff, 0xff, 0, 0b1010_0000, 0b0000_0001, 0b0010_0000, 9]);
        body.extend([4; 11]);
        let read = super::read(&body).unwrap();
        let mut expected = vec![None; 23];
        for (place, at) in [0, 13].into_iter().chain(14..23).zip(1..) {
            expected[place] = Some(4 * at);
        }
        assert_eq!((read.first, read.reference), (WireSeq(7), 0x00ff_ffff));
        assert_eq!(read.arrivals, expected);
        assert_eq!(super::read(&body[..body.len() - 1]), None, "a delta is missing");
        for length in 0..20 {
            assert_eq!(super::read(&body[..length]), None, "{length}");
        }
    }

    #[test]
    fn what_claims_much_builds_little() {
        // 65,535 packets in nine chunks, none of which came.
        let mut body = vec![0; 8];
        body.extend([0, 0, 0xff, 0xff, 0, 0, 0, 0]);
        assert_eq!(super::read(&body), None, "no chunks");
        body.extend([0x1f, 0xff].repeat(9));
        let read = super::read(&body).unwrap();
        assert_eq!(read.arrivals, vec![None; MAX_FEEDBACK_PACKETS]);
        // A run of nothing has to end, too.
        body.truncate(16);
        body.extend([0, 0].repeat(40));
        assert_eq!(super::read(&body), None);
    }

    fn write(first: u16, arrivals: &[Option<Duration>]) -> (usize, Vec<u8>) {
        let mut out = Vec::new();
        let covered = write_transport_feedback(&mut out, Ssrc(1), Ssrc(2), 7, WireSeq(first), arrivals);
        (covered, out)
    }

    #[test]
    fn nothing_came() {
        assert_eq!(write(1, &[]), (0, Vec::new()));
        assert_eq!(write(1, &[None, None]), (0, Vec::new()));
    }

    #[test]
    fn a_step_that_no_delta_expresses_ends_the_message() {
        let at = |ms| Some(Duration::from_millis(ms));
        let (covered, message) = write(9, &[at(64), None, at(64 + 9_000), at(64 + 9_001)]);
        assert_eq!(covered, 1);
        assert_eq!(read(&message), (9, vec![Some(256)]));
    }

    #[test]
    fn short_and_long() {
        for count in [1, 6, 7, 8, 13, 14, 15, 399, MAX_FEEDBACK_PACKETS] {
            let arrivals: Vec<_> = (0..count as u64).map(|n| Some(Duration::from_millis(n))).collect();
            let (covered, message) = write(65_530, &arrivals);
            assert_eq!(covered, count);
            assert!(message.len() < 1_200);
            let expected = (0..count as i64).map(|n| Some(n * 4)).collect();
            assert_eq!(read_ours(&message), (65_530, expected), "{count}");
            assert_eq!(read_ours(&message), read(&message), "{count}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(read) = super::read(&body) {
                prop_assert!(read.arrivals.len() <= MAX_FEEDBACK_PACKETS);
            }
        }

        #[test]
        fn comes_back_as_written(
            first: u16,
            start in 0_u64..100_000_000,
            steps in proptest::collection::vec((any::<bool>(), -20_000_i64..200_000), 1..500),
        ) {
            let mut at = i64::try_from(start).unwrap() + 20_000_000;
            let mut arrivals: Vec<_> = steps
                .iter()
                .map(|(came, step)| {
                    at += step;
                    came.then(|| Duration::from_micros(u64::try_from(at).unwrap()))
                })
                .collect();
            arrivals.push(Some(Duration::from_micros(u64::try_from(at).unwrap())));
            let (covered, message) = write(first, &arrivals);
            let last = arrivals[..arrivals.len().min(MAX_FEEDBACK_PACKETS)].iter().rposition(Option::is_some);
            prop_assert_eq!(covered, last.map_or(0, |last| last + 1));
            if covered > 0 {
                let expected: Vec<_> = arrivals[..covered].iter().map(|at| at.map(ticks)).collect();
                prop_assert_eq!(read(&message), (first, expected));
                prop_assert_eq!(read_ours(&message), read(&message));
                prop_assert_eq!(message.len() % 4, 0);
            }
        }
    }
}
