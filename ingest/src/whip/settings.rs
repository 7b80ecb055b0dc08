//! Every knob of the WHIP door.

use std::time::Duration;

use heliograph_relay::PublicPortSettings;

/// How the WHIP door behaves.
#[derive(Clone, Debug)]
pub struct WhipSettings {
    /// The UDP port that all publishers send to.
    pub port: PublicPortSettings,
    /// STUN and TURN URLs that publishers are told.
    pub ice_servers: Vec<String>,
    /// How long packets behind a gap are held for the missing ones. Raising it makes more retransmissions useful and
    /// every loss more visible as a pause.
    pub hold: Duration,
    /// A session that is alive but sends no media for this long is over.
    pub media_timeout: Duration,
    /// Time for the body of a request to arrive.
    pub body_limit: Duration,
}

impl Default for WhipSettings {
    fn default() -> Self {
        Self {
            port: PublicPortSettings {
                address: None,
                port: PORT,
                announced: Vec::new(),
                stun_server: None,
                receive_buffer: 4 << 20,
                send_buffer: 1 << 20,
            },
            ice_servers: Vec::new(),
            hold: Duration::from_millis(150),
            media_timeout: Duration::from_secs(30),
            body_limit: Duration::from_secs(10),
        }
    }
}

/// The usual UDP port for media over WHIP.
pub const PORT: u16 = 8200;
/// The usual TCP port for WHIP's requests where no web server stands beside it.
pub const HTTP_PORT: u16 = 8201;
