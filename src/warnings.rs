//! What an operator should know about the machine at the start, in plain words, each once.

use heliograph_relay::GrantedSockets;
use heliograph_relay::host::FileLimit;

/// Files that are not viewers' WebSockets: logs, libraries, listeners, publishers.
const OTHER_FILES: u64 = 64;

/// What the system granted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    /// The egress sockets.
    pub(crate) sockets: GrantedSockets,
    /// Limit on open files, raised as far as it goes.
    pub(crate) files: Option<FileLimit>,
    /// The bound on viewers.
    pub(crate) max_viewers: u32,
}

impl Facts {
    /// The warnings, none on a machine that is set up well.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let sockets = &self.sockets;
        let mut warnings = Vec::new();
        for (what, sysctl, wanted, granted) in [
            ("send", "net.core.wmem_max", sockets.wanted_send, sockets.send),
            ("receive", "net.core.rmem_max", sockets.wanted_receive, sockets.receive),
        ] {
            if granted < wanted {
                warnings.push(format!(
                    "small {what} buffers: {} KiB granted, {} KiB wanted, so bursts may be lost; \
                     set it with: sysctl -w {sysctl}={wanted}",
                    granted >> 10,
                    wanted >> 10,
                ));
            }
        }
        if !sockets.gso {
            warnings.push(
                "no UDP segmentation offload (Linux 4.18 and later have it): each packet costs about twice"
                    .to_owned(),
            );
        }
        if sockets.workers < sockets.wanted_workers {
            warnings.push(format!(
                "few ports: the range ports has {} usable ones, so {} egress workers run where {} could; \
                 widen it, one port for each processor",
                sockets.workers, sockets.workers, sockets.wanted_workers,
            ));
        }
        if let Some(files) = self.files {
            let viewers = files.soft.saturating_sub(OTHER_FILES);
            if viewers < u64::from(self.max_viewers) {
                warnings.push(format!(
                    "low limit on open files: {} allow about {viewers} WebSocket viewers where max_viewers is {}; \
                     raise it with LimitNOFILE={} (systemd) or ulimit -Hn",
                    files.soft,
                    self.max_viewers,
                    u64::from(self.max_viewers) + OTHER_FILES,
                ));
            }
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Facts = Facts {
        sockets: GrantedSockets {
            workers: 4,
            wanted_workers: 4,
            send: 8 << 20,
            wanted_send: 8 << 20,
            receive: 4 << 20,
            wanted_receive: 4 << 20,
            gso: true,
        },
        files: Some(FileLimit { soft: 1 << 20, hard: 1 << 20 }),
        max_viewers: 20_000,
    };

    #[test]
    fn a_machine_that_is_set_up_well_gets_no_warning() {
        assert_eq!(GOOD.warnings(), Vec::<String>::new());
        let unknown = Facts { files: None, ..GOOD };
        assert_eq!(unknown.warnings(), Vec::<String>::new());
    }

    #[test]
    fn each_shortage_has_its_line_with_what_to_do() {
        let sockets = GOOD.sockets;
        let with = |sockets| Facts { sockets, ..GOOD };
        let files = |soft| Facts { files: Some(FileLimit { soft, hard: soft }), ..GOOD };
        for (facts, parts) in [
            (
                with(GrantedSockets { send: 212_992, ..sockets }),
                ["208 KiB granted, 8192 KiB wanted", "net.core.wmem_max=8388608"],
            ),
            (with(GrantedSockets { receive: 212_992, ..sockets }), ["receive", "net.core.rmem_max=4194304"]),
            (with(GrantedSockets { gso: false, ..sockets }), ["segmentation offload", "4.18"]),
            (with(GrantedSockets { workers: 1, ..sockets }), ["few ports", "1 egress workers run where 4"]),
            (files(1024), ["about 960 WebSocket viewers", "LimitNOFILE=20064"]),
        ] {
            let warnings = facts.warnings();
            assert_eq!(warnings.len(), 1, "{warnings:?}");
            for part in parts {
                assert!(warnings[0].contains(part), "{part}: {warnings:?}");
            }
        }
    }

    #[test]
    fn a_bad_machine_gets_all_of_them() {
        let bad = Facts {
            sockets: GrantedSockets { workers: 1, send: 1, receive: 1, gso: false, ..GOOD.sockets },
            files: Some(FileLimit { soft: 20, hard: 20 }),
            ..GOOD
        };
        assert_eq!(bad.warnings().len(), 5);
    }
}
