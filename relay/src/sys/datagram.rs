//! Socket addresses and control messages in the kernel's own layout, shared by sending and receiving.

use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Room for one `UDP_SEGMENT` and one packet-info message, or for what a receive brings along.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct ControlBuffer(pub(super) [u8; 96]);

impl ControlBuffer {
    pub(super) const EMPTY: ControlBuffer = ControlBuffer([0; 96]);
}

/// An address as the kernel reads it; large enough for both families.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) union RawAddress {
    pub(super) v4: libc::sockaddr_in,
    pub(super) v6: libc::sockaddr_in6,
}

impl RawAddress {
    pub(super) const LEN: libc::socklen_t = size_of::<RawAddress>() as libc::socklen_t;

    pub(super) const EMPTY: RawAddress = RawAddress {
        v6: libc::sockaddr_in6 {
            sin6_family: 0,
            sin6_port: 0,
            sin6_flowinfo: 0,
            sin6_addr: libc::in6_addr { s6_addr: [0; 16] },
            sin6_scope_id: 0,
        },
    };

    /// Writes `address` for a socket of the given family and returns the length in use.
    /// IPv4 peers of a dual-stack socket are written in the IPv4-mapped form.
    pub(super) fn write(&mut self, address: SocketAddr, ipv6_socket: bool) -> libc::socklen_t {
        let mapped = match address {
            SocketAddr::V4(v4) if !ipv6_socket => {
                self.v4 = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: v4.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
                    sin_zero: [0; 8],
                };
                return size_of::<libc::sockaddr_in>() as libc::socklen_t;
            }
            SocketAddr::V4(v4) => SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0),
            SocketAddr::V6(v6) => v6,
        };
        self.v6 = libc::sockaddr_in6 {
            sin6_family: libc::AF_INET6 as libc::sa_family_t,
            sin6_port: mapped.port().to_be(),
            sin6_flowinfo: 0,
            sin6_addr: libc::in6_addr { s6_addr: mapped.ip().octets() },
            sin6_scope_id: mapped.scope_id(),
        };
        size_of::<libc::sockaddr_in6>() as libc::socklen_t
    }

    /// The address the kernel wrote, IPv4-mapped forms turned back into IPv4.
    pub(super) fn read(&self, len: libc::socklen_t) -> Option<SocketAddr> {
        if (len as usize) < size_of::<libc::sockaddr_in>() {
            return None;
        }
        // SAFETY: both variants start with the family field, all bytes of the union are initialised
        // (by `EMPTY` and by the kernel) and every bit pattern of these integer structs is valid.
        let (family, v4, v6) = unsafe { (self.v4.sin_family, self.v4, self.v6) };
        match i32::from(family) {
            libc::AF_INET => Some(SocketAddr::V4(SocketAddrV4::new(
                Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes()),
                u16::from_be(v4.sin_port),
            ))),
            libc::AF_INET6 if len as usize >= size_of::<libc::sockaddr_in6>() => {
                let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
                let port = u16::from_be(v6.sin6_port);
                Some(match ip.to_ipv4_mapped() {
                    Some(ip) => SocketAddr::V4(SocketAddrV4::new(ip, port)),
                    None => SocketAddr::V6(SocketAddrV6::new(ip, port, 0, v6.sin6_scope_id)),
                })
            }
            _ => None,
        }
    }
}

/// Bytes one control message with `payload` bytes occupies.
const fn control_space(payload: usize) -> usize {
    let align = size_of::<usize>();
    size_of::<libc::cmsghdr>() + payload.div_ceil(align) * align
}

/// Appends control messages to a buffer by hand: the layout is fixed by the kernel ABI
/// (header, data, padding to the word size), which keeps this free of pointers.
pub(super) struct ControlWriter<'a> {
    buffer: &'a mut ControlBuffer,
    len: usize,
}

impl<'a> ControlWriter<'a> {
    pub(super) fn new(buffer: &'a mut ControlBuffer) -> Self {
        ControlWriter { buffer, len: 0 }
    }

    pub(super) fn push(&mut self, level: libc::c_int, kind: libc::c_int, data: &[u8]) {
        let header = size_of::<libc::cmsghdr>();
        let end = self.len + control_space(data.len());
        let slot = &mut self.buffer.0[self.len..end];
        // cmsghdr { cmsg_len: usize, cmsg_level: i32, cmsg_type: i32 } on every 64-bit and 32-bit Linux.
        let word = size_of::<usize>();
        slot[..word].copy_from_slice(&(header + data.len()).to_ne_bytes());
        slot[word..word + 4].copy_from_slice(&level.to_ne_bytes());
        slot[word + 4..word + 8].copy_from_slice(&kind.to_ne_bytes());
        slot[header..header + data.len()].copy_from_slice(data);
        self.len = end;
    }

    /// Asks the kernel to cut the datagram into pieces of `size` bytes.
    pub(super) fn segment(&mut self, size: u16) {
        self.push(libc::SOL_UDP, libc::UDP_SEGMENT, &size.to_ne_bytes());
    }

    /// Sends from `source` although the socket is bound to the wildcard address.
    pub(super) fn source(&mut self, source: IpAddr, ipv6_socket: bool) {
        match source {
            IpAddr::V4(v4) if !ipv6_socket => {
                // in_pktinfo { ifindex, spec_dst, addr }; the middle field is the source.
                let mut info = [0u8; 12];
                info[4..8].copy_from_slice(&v4.octets());
                self.push(libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
            }
            other => {
                let ip = match other {
                    IpAddr::V4(v4) => v4.to_ipv6_mapped(),
                    IpAddr::V6(v6) => v6,
                };
                let mut info = [0u8; 20];
                info[..16].copy_from_slice(&ip.octets());
                self.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }
}

/// The local address a datagram hit, from the control messages of a receive.
pub(super) fn local_address(control: &[u8]) -> Option<IpAddr> {
    let header = size_of::<libc::cmsghdr>();
    let word = size_of::<usize>();
    let mut rest = control;
    while rest.len() >= header {
        let len = usize::from_ne_bytes(rest[..word].try_into().ok()?);
        let level = i32::from_ne_bytes(rest[word..word + 4].try_into().ok()?);
        let kind = i32::from_ne_bytes(rest[word + 4..word + 8].try_into().ok()?);
        if len < header || len > rest.len() {
            return None;
        }
        let data = &rest[header..len];
        match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) if data.len() >= 12 => {
                // The last field is the destination address of the packet itself.
                let ip: [u8; 4] = data[8..12].try_into().ok()?;
                return Some(IpAddr::V4(Ipv4Addr::from(ip)));
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) if data.len() >= 16 => {
                let ip: [u8; 16] = data[..16].try_into().ok()?;
                return Some(Ipv6Addr::from(ip).to_canonical());
            }
            _ => {}
        }
        rest = rest.get(control_space(len - header)..)?;
    }
    None
}

const _: () = assert!(size_of::<libc::cmsghdr>() == size_of::<usize>() + 8);
const _: () = assert!(mem::offset_of!(libc::cmsghdr, cmsg_level) == size_of::<usize>());
const _: () = assert!(mem::offset_of!(libc::cmsghdr, cmsg_type) == size_of::<usize>() + 4);
const _: () = assert!(control_space(20) + control_space(2) <= 96);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn addresses_survive_both_socket_families() {
        let v4: SocketAddr = "192.0.2.7:4000".parse().unwrap();
        let v6: SocketAddr = "[2001:db8::1]:4001".parse().unwrap();
        for (address, ipv6_socket) in [(v4, false), (v4, true), (v6, true)] {
            let mut raw = RawAddress::EMPTY;
            let len = raw.write(address, ipv6_socket);
            assert_eq!(raw.read(len), Some(address), "{address} on an IPv6 socket: {ipv6_socket}");
        }
    }

    #[test]
    fn control_messages_read_back() {
        let mut buffer = ControlBuffer::EMPTY;
        let mut writer = ControlWriter::new(&mut buffer);
        writer.segment(1200);
        writer.source("2001:db8::9".parse().unwrap(), true);
        let len = writer.len();
        assert_eq!(local_address(&buffer.0[..len]), Some("2001:db8::9".parse().unwrap()));

        let mut buffer = ControlBuffer::EMPTY;
        let mut writer = ControlWriter::new(&mut buffer);
        writer.source("192.0.2.1".parse().unwrap(), true);
        let len = writer.len();
        assert_eq!(local_address(&buffer.0[..len]), Some("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn broken_control_messages_are_ignored() {
        assert_eq!(local_address(&[]), None);
        assert_eq!(local_address(&[0; 40]), None);
        assert_eq!(local_address(&[0xff; 40]), None);
    }
}
