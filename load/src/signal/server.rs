//! Addresses of the server, and what it says is live.

use std::{net::IpAddr, time::Duration};

use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    error::{LoadError, in_full},
    watched::Place,
};

/// Time for one request; a loaded server may take long.
const LIMIT: Duration = Duration::from_secs(15);

/// The server under load, as its viewers know it.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    base: Url,
    http: Client,
}

/// One entry of `GET /streams`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct LiveStream {
    pub(crate) channel: Option<String>,
    pub(crate) port: u16,
    pub(crate) state: String,
}

impl LiveStream {
    /// Whether media of this channel comes in.
    pub(crate) fn is_live(&self, channel: &str) -> bool {
        self.channel.as_deref() == Some(channel) && self.state == "live"
    }
}

impl Server {
    /// Takes an address such as `http://127.0.0.1:8080`.
    pub(crate) fn new(base: &str) -> Result<Self, LoadError> {
        let bad = |reason: String| LoadError::Setting(format!("{base}: {reason}"));
        let mut base_url = Url::parse(base).map_err(|error| bad(error.to_string()))?;
        if !matches!(base_url.scheme(), "http" | "https") || base_url.host().is_none() {
            return Err(bad("expected an address like http://127.0.0.1:8080".to_owned()));
        }
        if !base_url.path().ends_with('/') {
            base_url.set_path(&format!("{}/", base_url.path()));
        }
        let http = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(LIMIT)
            .tcp_nodelay(true)
            .build()
            .map_err(|error| bad(error.to_string()))?;
        Ok(Self { base: base_url, http })
    }

    pub(crate) fn http(&self) -> &Client {
        &self.http
    }

    /// A path below the base, with the stream that is meant.
    pub(crate) fn url(&self, path: &str, place: Option<&Place>) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path()));
        match place {
            Some(Place::Channel(name)) => drop(url.query_pairs_mut().append_pair("channel", name)),
            Some(Place::Port(port)) => drop(url.query_pairs_mut().append_pair("port", &port.to_string())),
            None => {}
        }
        url
    }

    pub(crate) fn websocket_url(&self, place: &Place) -> Url {
        let mut url = self.url("websocket", Some(place));
        let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
        url.set_scheme(scheme).expect("http and ws are of one kind");
        url
    }

    /// Finds out where the server is, refuses to aim at other machines unless that is wanted, and returns the address that
    /// viewers' sockets have.
    pub(crate) async fn local_address(&self, allow_remote: bool) -> Result<IpAddr, LoadError> {
        let host = self.base.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = self.base.port_or_known_default().unwrap_or(80);
        let resolved = tokio::net::lookup_host((host.as_str(), port)).await;
        let addresses: Vec<_> = resolved.map_err(|error| LoadError::server(&self.base, &error))?.collect();
        if let Some(remote) = addresses.iter().find(|address| !address.ip().to_canonical().is_loopback())
            && !allow_remote
        {
            return Err(LoadError::Remote { host, ip: remote.ip() });
        }
        // IPv4 first: every server has it.
        let Some(target) = addresses.iter().min_by_key(|address| address.is_ipv6()) else {
            return Err(LoadError::server(&self.base, &"the name has no address"));
        };
        let any = if target.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
        let probe = std::net::UdpSocket::bind(any).and_then(|socket| {
            // Sends nothing, but makes the system choose a source.
            socket.connect(target)?;
            socket.local_addr()
        });
        probe.map(|local| local.ip()).map_err(LoadError::system("no way to the server"))
    }

    /// What is live.
    pub(crate) async fn streams(&self) -> Result<Vec<LiveStream>, LoadError> {
        let url = self.url("streams", None);
        let failed = |error: reqwest::Error| LoadError::server(&url, &in_full(error));
        let answer = self.http.get(url.clone()).send().await.and_then(reqwest::Response::error_for_status);
        let mut document: Value = answer.map_err(failed)?.json().await.map_err(failed)?;
        serde_json::from_value(document["streams"].take()).map_err(|error| LoadError::server(&url, &error))
    }

    /// Asks the allocation API for a port.
    pub(crate) async fn allocate(&self, channel: &str) -> Result<u16, LoadError> {
        let url = self.url("stream", None);
        let failed = |error: reqwest::Error| LoadError::server(&url, &in_full(error));
        let request = json!({ "channel": channel, "name": channel });
        let answer = self.http.post(url.clone()).json(&request).send().await.map_err(failed)?;
        let status = answer.status();
        let text = answer.text().await.map_err(failed)?;
        let port = serde_json::from_str::<Value>(&text).ok().and_then(|answer| answer["port"].as_u64());
        match port.and_then(|port| u16::try_from(port).ok()) {
            Some(port) if status.is_success() => Ok(port),
            _ => Err(LoadError::server(&url, &format!("{status} {}", text.trim()))),
        }
    }

    /// Gives a port back.
    pub(crate) async fn release(&self, port: u16) {
        let url = self.url("stream", Some(&Place::Port(port)));
        // The server releases forgotten ports by itself after a minute.
        let _ = self.http.delete(url).send().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_made_from_the_base() {
        for (base, path, websocket) in [
            (
                "http://127.0.0.1:8080",
                "http://127.0.0.1:8080/whep?channel=a+b",
                "ws://127.0.0.1:8080/websocket?channel=a+b",
            ),
            (
                "https://tv.example/x",
                "https://tv.example/x/whep?channel=a+b",
                "wss://tv.example/x/websocket?channel=a+b",
            ),
        ] {
            let server = Server::new(base).expect("a good address");
            let place = Place::Channel("a b".to_owned());
            assert_eq!(server.url("whep", Some(&place)).as_str(), path);
            assert_eq!(server.websocket_url(&place).as_str(), websocket);
        }
        for bad in ["127.0.0.1:8080", "ftp://x", "http://", ""] {
            assert!(Server::new(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn other_machines_are_refused() {
        let server = Server::new("http://192.0.2.7:8080").expect("a good address");
        let error = server.local_address(false).await.expect_err("not this machine");
        assert!(error.to_string().contains("--allow-remote"), "{error}");
        let server = Server::new("http://[::1]:8080").expect("a good address");
        assert!(matches!(
            server.local_address(false).await,
            Ok(IpAddr::V6(_)) | Err(LoadError::System { .. })
        ));
        let server = Server::new("http://127.0.0.1:8080").expect("a good address");
        assert!(server.local_address(false).await.expect("this machine").is_loopback());
    }
}
