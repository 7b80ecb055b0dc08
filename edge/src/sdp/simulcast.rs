//! Several layers of one picture (RFC 8853), each with a name of its own (RFC 8851) that its packets carry in a header
//! extension (RFC 8852).

use heliograph_media::PayloadType;

/// Layers that are taken of one picture, most.
pub const MAX_LAYERS: usize = 4;
/// Longest name that fits into a one-byte header extension (RFC 8285 section 4.2).
const MAX_RID: usize = 16;
/// Names and alternatives looked at.
const MAX_LOOKED_AT: usize = 16;

/// The layers of a picture as a publisher will send them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simulcast {
    /// Their names, two to [`MAX_LAYERS`], in the order of the offer.
    pub rids: Vec<String>,
    /// Id of the header extension that names the layer of a packet (1 to 14).
    pub rid_ext: u8,
    /// Id of the header extension that names the layer of a retransmission (1 to 14).
    pub repaired_rid_ext: Option<u8>,
}

/// What a section says about layers that the peer wants to send.
#[derive(Debug, Default)]
pub(super) struct Offered {
    /// In order; of each layer the alternatives.
    layers: Vec<Vec<String>>,
    /// Names with the payload types that they are restricted to; empty: any.
    rids: Vec<(String, Vec<PayloadType>)>,
}

impl Offered {
    /// From the values of `a=simulcast` and `a=rid`.
    pub(super) fn read<'a>(
        mut simulcast: impl Iterator<Item = &'a str>,
        rids: impl Iterator<Item = &'a str>,
    ) -> Self {
        let Some(layers) = simulcast.next().and_then(sent) else { return Self::default() };
        let layers = layers.split(';').take(MAX_LOOKED_AT).map(|alternatives| {
            // The tilde says that a layer begins paused.
            let names = alternatives.split(',').map(|name| name.strip_prefix('~').unwrap_or(name));
            names.filter(|name| is_rid(name)).take(MAX_LOOKED_AT).map(str::to_owned).collect()
        });
        Self { layers: layers.collect(), rids: rids.filter_map(rid).take(MAX_LOOKED_AT).collect() }
    }

    /// The layers that may be sent as this payload type: of each the first alternative that may.
    pub(super) fn layers(&self, payload_type: PayloadType) -> Vec<String> {
        let may = |name: &&String| {
            self.rids
                .iter()
                .any(|(known, only)| known == *name && (only.is_empty() || only.contains(&payload_type)))
        };
        let mut layers: Vec<String> = Vec::new();
        for alternatives in &self.layers {
            if let Some(name) = alternatives.iter().find(may)
                && !layers.contains(name)
                && layers.len() < MAX_LAYERS
            {
                layers.push(name.clone());
            }
        }
        layers
    }
}

/// The list behind `send` (RFC 8853 section 5.1).
fn sent(value: &str) -> Option<&str> {
    let mut words = value.split_whitespace();
    words.by_ref().find(|word| *word == "send")?;
    words.next()
}

/// `name direction [restrictions]` (RFC 8851 section 10), when the direction is `send`.
fn rid(value: &str) -> Option<(String, Vec<PayloadType>)> {
    let mut words = value.split_whitespace();
    let name = words.next().filter(|name| is_rid(name))?;
    words.next().filter(|direction| *direction == "send")?;
    let restrictions = words.next().unwrap_or_default();
    let only = restrictions.split(';').find_map(|restriction| restriction.trim().strip_prefix("pt="));
    let numbers = only.unwrap_or_default().split(',').take(128);
    let only = numbers.filter_map(|number| PayloadType::new(number.parse().ok()?));
    Some((name.to_owned(), only.collect()))
}

fn is_rid(name: &str) -> bool {
    (1..=MAX_RID).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn layers(simulcast: &str, rids: &[&str]) -> Vec<String> {
        let offered = Offered::read([simulcast].into_iter(), rids.iter().copied());
        offered.layers(PayloadType::new(96).unwrap())
    }

    #[test]
    fn layers_in_the_order_of_the_offer() {
        let rids = ["h send", "m send pt=96,97", "l send max-width=320;pt=98", "x recv"];
        for (simulcast, expected) in [
            ("send h;m", &["h", "m"][..]),
            ("send m;~h", &["m", "h"]),
            ("recv x send h;m", &["h", "m"]),
            // Another payload type only; nothing to name it; received, not sent; twice; no name at all.
            ("send h;l;y;x;h;;a b", &["h"]),
            ("send l,m;h", &["m", "h"]),
            ("recv h;m", &[]),
            ("send", &[]),
            ("", &[]),
        ] {
            assert_eq!(layers(simulcast, &rids), expected, "{simulcast}");
        }
    }

    #[test]
    fn no_more_than_four_and_no_odd_names() {
        let rids: Vec<String> = (0..40).map(|n| format!("{n} send")).collect();
        let rids: Vec<&str> = rids.iter().map(String::as_str).collect();
        assert_eq!(layers("send 0;1;2;3;4;5;6", &rids), ["0", "1", "2", "3"]);
        let long = "n".repeat(17);
        assert!(layers(&format!("send {long};\u{e9};a=b"), &[&format!("{long} send")]).is_empty());
    }
}
