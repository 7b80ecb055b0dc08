//! What an inlet has to say to its readers, gathered per burst.

use std::sync::Arc;

use crate::{FeedItem, Packet, Track};

/// Items in order, packets of a track in runs.
#[derive(Debug, Default)]
pub(super) struct Output {
    items: Vec<FeedItem>,
}

impl Output {
    pub(super) fn push(&mut self, item: FeedItem) {
        self.items.push(item);
    }

    /// Adds a packet to its track's newest run. Runs of different tracks may pass each other, but no run passes
    /// any other item.
    pub(super) fn packet(&mut self, track: Track, packet: Arc<Packet>) {
        let newest = self.items.iter_mut().rev().take(Track::COUNT);
        for item in newest {
            match item {
                FeedItem::Packets { track: of, packets } if *of == track => return packets.push(packet),
                FeedItem::Packets { .. } => {}
                _ => break,
            }
        }
        self.items.push(FeedItem::Packets { track, packets: vec![packet] });
    }

    /// Whether the newest packet of the picture is not the last one of its picture.
    pub(super) fn is_mid_picture(&self) -> bool {
        let newest = self.items.iter().rev().find_map(|item| match item {
            FeedItem::Packets { track, packets } if track.is_video() => packets.last(),
            _ => None,
        });
        newest.is_some_and(|packet| !packet.marker)
    }

    pub(super) fn take(&mut self) -> Vec<FeedItem> {
        std::mem::take(&mut self.items)
    }
}
