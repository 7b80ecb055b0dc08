//! Signaling as foreign viewers do it: WHEP over HTTP, and the server's WebSocket.

mod server;
mod websocket;
mod whep;

use std::{
    net::{IpAddr, SocketAddr},
    sync::mpsc,
    time::Duration,
};

use tokio::{sync::oneshot, time::timeout};

pub(crate) use self::server::Server;
use crate::{
    error::JoinError,
    sys::socket,
    viewer::{
        CONNECT_LIMIT, Plan, Transport, Viewer,
        peer::{Peer, PeerFactory},
    },
    watched::Place,
    worker::Order,
};

/// What keeps a viewer's session alive besides its media, and ends it.
#[derive(Debug)]
pub(crate) enum Session {
    Whep(whep::Resource),
    WebSocket(websocket::Keeper),
}

impl Session {
    /// Says goodbye to the server.
    pub(crate) async fn end(self, server: &Server) {
        match self {
            Session::Whep(resource) => resource.delete(server).await,
            Session::WebSocket(keeper) => keeper.close().await,
        }
    }
}

/// Makes viewers.
#[derive(Debug, Clone)]
pub(crate) struct Joiner {
    pub(crate) server: Server,
    pub(crate) factory: PeerFactory,
    /// Local address of media sockets.
    pub(crate) local: IpAddr,
    pub(crate) receive_offload: bool,
}

impl Joiner {
    /// Signals, hands the viewer to its thread, and waits until it is connected.
    pub(crate) async fn join(
        &self,
        plan: Plan,
        place: &Place,
        orders: &mpsc::Sender<Order>,
    ) -> Result<(Session, Duration), JoinError> {
        let socket = socket::bind(self.local, self.receive_offload)?;
        let address = socket.local_addr()?.as_socket().ok_or_else(|| JoinError::peer("no UDP address"))?;
        let limit = JoinError::Timeout(CONNECT_LIMIT.as_secs());
        let signaled = timeout(CONNECT_LIMIT, self.signal(plan.transport, place, address)).await;
        let (peer, session) = signaled.map_err(|_| limit)??;
        let (tell, told) = oneshot::channel();
        let viewer = Box::new(Viewer::new(plan, peer, socket, address));
        let connected = match orders.send(Order::Join(viewer, tell)) {
            Ok(()) => told.await.unwrap_or(Err(JoinError::Over)),
            Err(_) => Err(JoinError::Over),
        };
        match connected {
            Ok(took) => Ok((session, took)),
            Err(error) => {
                session.end(&self.server).await;
                Err(error)
            }
        }
    }

    async fn signal(
        &self,
        transport: Transport,
        place: &Place,
        address: SocketAddr,
    ) -> Result<(Peer, Session), JoinError> {
        match transport {
            Transport::Whep => {
                let offered = self.factory.offer(address)?;
                let (answer, resource) = whep::ask(&self.server, place, &offered.sdp).await?;
                Ok((offered.accept(&answer)?, Session::Whep(resource)))
            }
            Transport::WebSocket => {
                let answer = |offer: &str| self.factory.answer(address, offer);
                let (peer, keeper) = websocket::join(&self.server, place, answer).await?;
                Ok((peer, Session::WebSocket(keeper)))
            }
        }
    }
}
