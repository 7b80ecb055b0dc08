//! A socket that a tokio task waits for.

use std::io;

use tokio::io::{Interest, unix::AsyncFd};

use super::socket::MediaSocket;

/// The socket, registered with the runtime for as long as it lives.
pub(crate) struct Ready(AsyncFd<MediaSocket>);

impl Ready {
    /// Needs a tokio runtime.
    ///
    /// # Errors
    /// When the runtime does not take the socket.
    pub(crate) fn new(socket: MediaSocket) -> io::Result<Self> {
        // SAFETY: the socket owns its descriptor, gives out the same one every time, and moves into the `AsyncFd`, which
        // closes it only after having deregistered it.
        unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }.map(Self).map_err(Into::into)
    }

    pub(crate) fn get(&self) -> &MediaSocket {
        self.0.get_ref()
    }

    /// Waits until `take` takes something; it returns 0 when there is nothing.
    ///
    /// # Errors
    /// Those of `take`.
    pub(crate) async fn readable(
        &self,
        mut take: impl FnMut(&MediaSocket) -> io::Result<usize>,
    ) -> io::Result<usize> {
        loop {
            let mut ready = self.0.readable().await?;
            match take(self.0.get_ref())? {
                0 => ready.clear_ready(),
                count => return Ok(count),
            }
        }
    }
}
