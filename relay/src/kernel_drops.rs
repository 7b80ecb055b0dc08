//! Datagrams that the kernel dropped because a stream's inlet did not read them in time.

use std::{
    collections::HashMap,
    sync::{Weak, atomic::Ordering},
    time::Duration,
};

use tokio::time;

use crate::relay::Inner;

/// How often the kernel's counters are read.
const PERIOD: Duration = Duration::from_secs(5);

/// Reads the counters now and then while the relay lives. Other systems than Linux have no such file; there the
/// counters stay at zero.
pub(crate) async fn watch(relay: Weak<Inner>) {
    loop {
        time::sleep(PERIOD).await;
        let Some(relay) = relay.upgrade() else { return };
        if relay.streams.is_empty() {
            continue;
        }
        let table = if relay.settings.rtp_addr.is_ipv4() { "/proc/net/udp" } else { "/proc/net/udp6" };
        let Ok(text) = tokio::fs::read_to_string(table).await else { continue };
        let drops = drops_by_port(&text);
        for stream in relay.streams.all() {
            if let Some(&dropped) = drops.get(&stream.port) {
                stream.kernel_drops.store(dropped, Ordering::Relaxed);
            }
        }
    }
}

/// The `drops` column by local port.
fn drops_by_port(table: &str) -> HashMap<u16, u64> {
    let row = |line: &str| {
        let port = line.split_whitespace().nth(1)?.rsplit_once(':')?.1;
        let drops = line.split_whitespace().next_back()?;
        Some((u16::from_str_radix(port, 16).ok()?, drops.parse().ok()?))
    };
    table.lines().skip(1).filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_kernel() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
            \x20 241: 0100007F:5DC0 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 41 2 0000000000000000 17\n\
            \x20 242: 0100007F:5DC1 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 42 2 0000000000000000 0\n\
            nonsense\n";
        assert_eq!(drops_by_port(table), HashMap::from([(24_000, 17), (24_001, 0)]));
    }
}
