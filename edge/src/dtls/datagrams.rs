//! What OpenSSL takes for a socket: one datagram per call, nothing ever blocks.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

/// Longest datagram taken in; DTLS stacks stay under the path's MTU.
pub(super) const MAX_DATAGRAM: usize = 4096;
/// Datagrams waiting to be sent. A flight is three or four; more waiting means that nobody sends, and losing
/// some is what DTLS is made for.
const MAX_WAITING: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Datagrams {
    incoming: Option<Vec<u8>>,
    outgoing: VecDeque<Vec<u8>>,
}

impl Datagrams {
    pub(super) fn put(&mut self, datagram: &[u8]) {
        self.incoming = Some(datagram.to_vec());
    }

    pub(super) fn take(&mut self) -> Option<Vec<u8>> {
        self.outgoing.pop_front()
    }
}

impl Read for Datagrams {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let datagram = self.incoming.take().ok_or(io::ErrorKind::WouldBlock)?;
        let len = datagram.len().min(buffer.len());
        buffer[..len].copy_from_slice(&datagram[..len]);
        Ok(len)
    }
}

impl Write for Datagrams {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        if self.outgoing.len() < MAX_WAITING {
            self.outgoing.push_back(datagram.to_vec());
        }
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
