//! WHEP: one `POST` to join, one `DELETE` to leave.

use reqwest::{Url, header};

use super::server::Server;
use crate::{
    error::{JoinError, in_full},
    watched::Place,
};

/// Longest answer that is read, as long as the server's own bound on descriptions.
const LONGEST: usize = 64 << 10;

/// The address of a session.
#[derive(Debug)]
pub(crate) struct Resource(Url);

impl Resource {
    pub(super) async fn delete(self, server: &Server) {
        // A server that is gone has ended the session, too.
        let _ = server.http().delete(self.0).send().await;
    }
}

/// Offers, and returns the answer.
pub(super) async fn ask(
    server: &Server,
    place: &Place,
    offer: &str,
) -> Result<(String, Resource), JoinError> {
    let url = server.url("whep", Some(place));
    let request = server
        .http()
        .post(url.clone())
        .header(header::CONTENT_TYPE, "application/sdp")
        .body(offer.to_owned());
    let failed = |error| JoinError::signaling(in_full(error));
    let response = request.send().await.map_err(failed)?;
    let status = response.status();
    let location = response
        .headers()
        .get(header::LOCATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| url.join(value).ok());
    let body = response.text().await.map_err(failed)?;
    if status != reqwest::StatusCode::CREATED {
        let reason: String = body.chars().take(200).collect();
        return Err(JoinError::Refused(format!("{status} {reason}")));
    }
    if body.len() > LONGEST {
        return Err(JoinError::signaling("the answer is too long"));
    }
    let location = location.ok_or_else(|| JoinError::signaling("an answer without a Location"))?;
    Ok((body, Resource(location)))
}
