//! Asking a STUN server for our address as others see it (RFC 8489 section 2).

use std::net::SocketAddr;

use rtc_stun::attributes::{ATTR_XORMAPPED_ADDRESS, AttrType};
use rtc_stun::message::{BINDING_REQUEST, BINDING_SUCCESS, Getter as _, Message, TransactionId};
use rtc_stun::xoraddr::XorMappedAddress;

use super::stun::unmarshal;

/// A binding request without credentials, for a configured STUN server.
pub fn discovery_request(transaction: [u8; 12]) -> Vec<u8> {
    let mut message =
        Message { typ: BINDING_REQUEST, transaction_id: TransactionId(transaction), ..Message::new() };
    message.write_header();
    message.raw
}

/// The address a STUN server saw, when `datagram` is the success answer to `transaction`.
pub fn parse_discovery_answer(datagram: &[u8], transaction: [u8; 12]) -> Option<SocketAddr> {
    let message = unmarshal(datagram).ok()?;
    if message.typ != BINDING_SUCCESS || message.transaction_id.0 != transaction {
        return None;
    }
    let value_len =
        |kind: AttrType| message.attributes.0.iter().find(|a| a.typ == kind).map(|a| a.value.len());
    // The library reads a short address as if it ended in zeros.
    if !matches!(value_len(ATTR_XORMAPPED_ADDRESS), Some(8 | 20)) {
        return None;
    }
    let mut seen = XorMappedAddress::default();
    seen.get_from(&message).ok()?;
    Some(SocketAddr::new(seen.ip, seen.port))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::prelude::*;
    use rtc_stun::message::Setter as _;

    use super::*;

    fn answer(transaction: [u8; 12], address: SocketAddr) -> Vec<u8> {
        let mut message =
            Message { typ: BINDING_SUCCESS, transaction_id: TransactionId(transaction), ..Message::new() };
        message.write_header();
        XorMappedAddress { ip: address.ip(), port: address.port() }.add_to(&mut message).unwrap();
        message.raw
    }

    #[test]
    fn the_request_is_a_bare_header() {
        let request = discovery_request([7; 12]);
        assert_eq!(hex::encode(request), "000100002112a442070707070707070707070707");
    }

    #[test]
    fn reads_both_families_and_only_its_own_answer() {
        for address in ["192.0.2.1:32853", "[2001:db8::9]:1"] {
            let address: SocketAddr = address.parse().unwrap();
            assert_eq!(parse_discovery_answer(&answer([1; 12], address), [1; 12]), Some(address));
            assert_eq!(parse_discovery_answer(&answer([1; 12], address), [2; 12]), None);
        }
    }

    #[test]
    fn what_only_resembles_stun_is_refused() {
        let mut datagram = answer([1; 12], "192.0.2.1:32853".parse().unwrap());
        datagram[0] |= 0x80;
        assert_eq!(parse_discovery_answer(&datagram, [1; 12]), None);
    }

    #[test]
    fn short_addresses_are_refused() {
        let mut message =
            Message { typ: BINDING_SUCCESS, transaction_id: TransactionId([1; 12]), ..Message::new() };
        message.write_header();
        message.add(ATTR_XORMAPPED_ADDRESS, &[0, 1, 2, 3, 4]);
        assert_eq!(parse_discovery_answer(&message.raw, [1; 12]), None);
    }

    proptest! {
        #[test]
        fn never_panics(tail in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut datagram = discovery_request([1; 12]);
            datagram[0] = 1;
            datagram[1] = 1;
            datagram[2..4].copy_from_slice(&(tail.len() as u16).to_be_bytes());
            datagram.extend(tail);
            let _ = parse_discovery_answer(&datagram, [1; 12]);
        }
    }
}
