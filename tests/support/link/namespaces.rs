//! The ends of the link: a network namespace each, with loopback, one TUN device and a default route.
//!
//! The namespaces have no name. They live as long as a file of this process or a process inside needs them, so nothing
//! has to be cleaned up, even after a kill. Programs enter with `nsenter --net=PATH`.

use std::{fs::File, net::Ipv4Addr, os::fd::AsRawFd, process::Command, thread};

use anyhow::{Context, bail};

use super::sys;

/// One end.
#[derive(Debug)]
pub struct End {
    /// Packets that leave the namespace are read here, and those for it written.
    pub device: File,
    /// Keeps the namespace.
    namespace: File,
    /// Its address.
    pub address: Ipv4Addr,
}

impl End {
    /// Makes a namespace whose device has `address`, with everything else behind `gateway`.
    ///
    /// # Errors
    /// Without the right to make namespaces or TUN devices, or without `ip`.
    pub fn new(address: Ipv4Addr, gateway: Ipv4Addr) -> anyhow::Result<Self> {
        // A thread of its own, because the namespace is a thread's; what it opens stays.
        thread::spawn(move || Self::make(address, gateway)).join().expect("the thread does not panic")
    }

    fn make(address: Ipv4Addr, gateway: Ipv4Addr) -> anyhow::Result<Self> {
        sys::leave_network().context("cannot make a network namespace")?;
        let namespace = File::open("/proc/thread-self/ns/net").context("cannot open the namespace")?;
        let device = sys::open_tun(DEVICE).context("cannot make a TUN device")?;
        ip(&["link", "set", "lo", "up"])?;
        // No IPv6, whose router solicitations would only be noise in the counts; to be said before the device is up.
        ip(&["link", "set", DEVICE, "addrgenmode", "none", "txqueuelen", QUEUE])?;
        ip(&["link", "set", DEVICE, "up"])?;
        ip(&["address", "add", &format!("{address}/24"), "dev", DEVICE])?;
        ip(&["route", "add", "default", "via", &gateway.to_string()])?;
        Ok(Self { device, namespace, address })
    }

    /// What `nsenter --net=` takes, as long as this process lives.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.namespace.as_raw_fd())
    }
}

const DEVICE: &str = "link0";
/// Packets that may wait for this process: a keyframe burst must not be lost before the link decides about it.
const QUEUE: &str = "10000";

/// Runs `ip` in the namespace of the calling thread.
fn ip(words: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("ip").args(words).output().context("cannot run ip (package iproute2)")?;
    if !output.status.success() {
        bail!("ip {}: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
