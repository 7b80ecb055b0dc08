//! What is read from and written to the wire (RFC 8489).
//!
//! `rtc-stun` takes messages apart and puts them together; which attributes count, and whether the sender
//! holds the password, is decided here. The HMAC runs on a key that was expanded once, because a viewer
//! checks for hours.

use aws_lc_rs::{constant_time, hmac};
use rtc_stun::attributes::{
    ATTR_ERROR_CODE, ATTR_FINGERPRINT, ATTR_ICE_CONTROLLED, ATTR_MESSAGE_INTEGRITY, ATTR_PRIORITY,
    ATTR_UNKNOWN_ATTRIBUTES, ATTR_USE_CANDIDATE, ATTR_USERNAME,
};
use rtc_stun::fingerprint::{FINGERPRINT, fingerprint_value};
use rtc_stun::message::{
    BINDING_ERROR, BINDING_REQUEST, BINDING_SUCCESS, Message, MessageType, Setter, TransactionId,
};
use rtc_stun::xoraddr::XorMappedAddress;

use super::Route;
use crate::path::Path;

/// Checks of browsers are about 100 bytes; nothing longer than an Ethernet frame is looked at.
pub(super) const MAX_STUN_BYTES: usize = 1500;
const HEADER: usize = 20;
const ATTRIBUTE_HEADER: usize = 4;
const INTEGRITY: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// Whether a datagram is STUN, by its first two bits, length and magic cookie (RFC 7983, RFC 8489 section 5).
pub fn is_stun(datagram: &[u8]) -> bool {
    datagram.len() >= HEADER && datagram[0] < 4 && datagram[4..8] == COOKIE
}

/// The route that a check's USERNAME names. A cheap look without allocation, for demultiplexing; it trusts
/// nothing.
pub fn route_of(datagram: &[u8]) -> Option<Route> {
    if !is_stun(datagram) || datagram.len() > MAX_STUN_BYTES {
        return None;
    }
    let mut rest = &datagram[HEADER..];
    while let [t0, t1, l0, l1, tail @ ..] = rest {
        let kind = u16::from_be_bytes([*t0, *t1]);
        let len = usize::from(u16::from_be_bytes([*l0, *l1]));
        if kind == ATTR_MESSAGE_INTEGRITY.0 {
            return None;
        }
        let value = tail.get(..len)?;
        if kind == ATTR_USERNAME.0 {
            let colon = value.iter().position(|byte| *byte == b':')?;
            return Route::of_ufrag(&value[..colon]);
        }
        rest = tail.get(len.next_multiple_of(4)..)?;
    }
    None
}

/// A connectivity check as it stands on the wire: well formed, and not yet believed.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) transaction: [u8; 12],
    pub(super) username: String,
    /// 0 when absent, which loses every comparison.
    pub(super) priority: u32,
    pub(super) use_candidate: bool,
    /// The sender believes that we are controlling.
    pub(super) controlled: bool,
    /// Attributes that must be understood and are not (RFC 8489 section 5).
    pub(super) unknown: Vec<u16>,
    /// Bytes before MESSAGE-INTEGRITY.
    signed_len: usize,
    integrity: [u8; INTEGRITY],
}

impl Check {
    /// Reads a binding request. What follows MESSAGE-INTEGRITY is ignored, except FINGERPRINT, because
    /// anybody may have added it.
    pub(super) fn parse(datagram: &[u8]) -> Result<Self, &'static str> {
        let message = unmarshal(datagram)?;
        if message.typ != BINDING_REQUEST {
            return Err("not a binding request");
        }
        let mut check = Self {
            transaction: message.transaction_id.0,
            username: String::new(),
            priority: 0,
            use_candidate: false,
            controlled: false,
            unknown: Vec::new(),
            signed_len: HEADER,
            integrity: [0; INTEGRITY],
        };
        let mut signed = false;
        for attribute in &message.attributes.0 {
            let value = attribute.value.as_slice();
            match attribute.typ {
                ATTR_MESSAGE_INTEGRITY => {
                    check.integrity = value.try_into().map_err(|_| "MESSAGE-INTEGRITY of wrong length")?;
                    signed = true;
                    break;
                }
                ATTR_FINGERPRINT => return Err("FINGERPRINT before MESSAGE-INTEGRITY"),
                ATTR_USERNAME if check.username.is_empty() => {
                    check.username =
                        std::str::from_utf8(value).map_err(|_| "USERNAME is not text")?.to_owned();
                }
                ATTR_PRIORITY => {
                    check.priority =
                        u32::from_be_bytes(value.try_into().map_err(|_| "PRIORITY of wrong length")?);
                }
                ATTR_USE_CANDIDATE => check.use_candidate = true,
                ATTR_ICE_CONTROLLED => check.controlled = true,
                other if other.required() && other != ATTR_USERNAME => check.unknown.push(other.0),
                _ => {}
            }
            check.signed_len += ATTRIBUTE_HEADER + value.len().next_multiple_of(4);
        }
        if !signed {
            return Err("no MESSAGE-INTEGRITY");
        }
        check_fingerprint(&message, datagram)?;
        Ok(check)
    }

    /// Whether the sender holds the password behind `key` (RFC 8489 section 14.5).
    pub(super) fn is_authentic(&self, datagram: &[u8], key: &hmac::Key) -> bool {
        let expected = integrity(&datagram[..self.signed_len], key);
        constant_time::verify_slices_are_equal(expected.as_ref(), &self.integrity).is_ok()
    }
}

/// A datagram as one whole message: nothing behind it, padding included.
pub(super) fn unmarshal(datagram: &[u8]) -> Result<Message, &'static str> {
    // The library does not look at the first two bits.
    if !is_stun(datagram) {
        return Err("not STUN");
    }
    if datagram.len() > MAX_STUN_BYTES {
        return Err("oversize STUN");
    }
    let mut message = Message::default();
    message.unmarshal_binary(datagram).map_err(|_| "malformed STUN")?;
    if datagram.len() != HEADER + message.length as usize || !datagram.len().is_multiple_of(4) {
        return Err("malformed STUN");
    }
    Ok(message)
}

/// FINGERPRINT need not be there (RFC 8445 asks for it, some clients forget), but must be last and right if
/// it is.
fn check_fingerprint(message: &Message, datagram: &[u8]) -> Result<(), &'static str> {
    let mut found = message.attributes.0.iter().rev().skip_while(|a| a.typ != ATTR_FINGERPRINT);
    let Some(fingerprint) = found.next() else { return Ok(()) };
    let at = datagram.len().saturating_sub(8);
    let last = message.attributes.0.last().is_some_and(|a| a.typ == ATTR_FINGERPRINT);
    if last && fingerprint.value == fingerprint_value(&datagram[..at]).to_be_bytes() {
        Ok(())
    } else {
        Err("FINGERPRINT is wrong")
    }
}

/// HMAC-SHA-1 over the message up to MESSAGE-INTEGRITY, with the header's length counting as if the message
/// ended there.
fn integrity(signed: &[u8], key: &hmac::Key) -> hmac::Tag {
    let length = signed.len() - HEADER + ATTRIBUTE_HEADER + INTEGRITY;
    let mut context = hmac::Context::with_key(key);
    context.update(&signed[..2]);
    context.update(&(length as u16).to_be_bytes());
    context.update(&signed[4..]);
    context.sign()
}

/// Writes the success answer into `out`.
pub(super) fn write_success(check: &Check, path: Path, key: &hmac::Key, out: &mut Vec<u8>) {
    let mut message = begin(BINDING_SUCCESS, check.transaction);
    let remote = path.remote();
    let seen = XorMappedAddress { ip: remote.ip().to_canonical(), port: remote.port() };
    if seen.add_to(&mut message).is_ok() {
        finish(message, key, out);
    }
}

/// 487 Role Conflict (RFC 8445 section 7.3.1.1): a lite side is controlled, whatever the peer believes.
pub(super) fn write_role_conflict(check: &Check, key: &hmac::Key, out: &mut Vec<u8>) {
    let mut message = begin(BINDING_ERROR, check.transaction);
    message.add(ATTR_ERROR_CODE, &[0, 0, 4, 87]);
    finish(message, key, out);
}

/// 420 Unknown Attribute (RFC 8489 section 6.3.1).
pub(super) fn write_unknown_attributes(check: &Check, key: &hmac::Key, out: &mut Vec<u8>) {
    let mut message = begin(BINDING_ERROR, check.transaction);
    message.add(ATTR_ERROR_CODE, &[0, 0, 4, 20]);
    let listed: Vec<u8> =
        check.unknown.iter().take(MAX_UNKNOWN_LISTED).flat_map(|kind| kind.to_be_bytes()).collect();
    message.add(ATTR_UNKNOWN_ATTRIBUTES, &listed);
    finish(message, key, out);
}

/// Enough to tell a developer what is wrong, few enough to keep the answer shorter than the question.
const MAX_UNKNOWN_LISTED: usize = 4;

fn begin(kind: MessageType, transaction: [u8; 12]) -> Message {
    let mut message = Message { typ: kind, transaction_id: TransactionId(transaction), ..Message::new() };
    message.write_header();
    message
}

fn finish(mut message: Message, key: &hmac::Key, out: &mut Vec<u8>) {
    let tag = integrity(&message.raw, key);
    message.add(ATTR_MESSAGE_INTEGRITY, tag.as_ref());
    if FINGERPRINT.add_to(&mut message).is_ok() {
        out.extend_from_slice(&message.raw);
    }
}
