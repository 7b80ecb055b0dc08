//! Asking an external service over HTTP.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET hmac/{channel id}` | `{"hmacKey", "channel"?, "name"?}`; 4xx: no such channel |
//! | `POST start/{channel id}` | `{"streamId"}`; 4xx: not now |
//! | `POST metadata/{stream id}` | any 2xx |
//! | `POST end/{stream id}` | any 2xx |
//!
//! The routes are those of janus-ftl-plugin's REST service; the bodies say a little more.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use futures_util::future::{BoxFuture, FutureExt as _};
use reqwest::{Client, Method, RequestBuilder, StatusCode, header, redirect};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Attempt, Authoriser, CHECK_DEADLINE, Ending, Publication, PublicationMetadata, SessionId, Verdict,
    answer::Answer,
    service_url::{BadServiceUrl, ServiceKind, ServiceUrl},
};
use crate::secret::Secret;

/// Where the service is.
#[derive(Clone, Debug)]
pub struct HttpAuthoriserSettings {
    /// Base address, for example `https://auth.example/ftl`.
    pub url: String,
    /// Sent as the whole `Authorization` header when given, for example `Bearer …`.
    pub authorization: Option<Secret>,
    /// Allow `http://` off this machine.
    pub allow_plain: bool,
}

/// An [`Authoriser`] that fetches each channel's secret and reports what became of the publication.
#[derive(Debug)]
pub struct HttpAuthoriser {
    url: ServiceUrl,
    client: Client,
    authorization: Option<header::HeaderValue>,
    /// The service's own ids of running publications. Each allowed attempt is ended once, so it cannot grow.
    streams: Mutex<HashMap<SessionId, String>>,
}

impl HttpAuthoriser {
    /// Checks the settings; contacts nobody yet.
    pub fn new(settings: &HttpAuthoriserSettings) -> Result<Self, HttpAuthoriserError> {
        let url = ServiceUrl::parse(&settings.url, ServiceKind::Http, settings.allow_plain)?;
        // Redirects could carry keys elsewhere, and so could a proxy named in the environment.
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(CHECK_DEADLINE)
            .build()
            .map_err(|error| HttpAuthoriserError::Client(error.to_string()))?;
        let authorization = settings
            .authorization
            .as_ref()
            .map(|secret| {
                let mut value = header::HeaderValue::from_str(secret.reveal())
                    .map_err(|_| HttpAuthoriserError::BadAuthorization)?;
                value.set_sensitive(true);
                Ok::<_, HttpAuthoriserError>(value)
            })
            .transpose()?;
        Ok(Self { url, client, authorization, streams: Mutex::default() })
    }

    async fn decide(&self, attempt: &Attempt) -> Result<Verdict, CallError> {
        let id = attempt.channel_id.to_string();
        let answer: Answer = match self.call(Method::GET, &["hmac", &id], None).await {
            Ok(body) => serde_json::from_slice(&body).map_err(|_| CallError::NotJson)?,
            Err(CallError::Refused(status)) => {
                return Ok(Verdict::deny(format!("the service answered {status} for channel {id}")));
            }
            Err(error) => return Err(error),
        };
        let verdict = answer.decide(attempt);
        if !matches!(verdict, Verdict::Allow { .. }) {
            return Ok(verdict);
        }
        let body = json!({
            "session": attempt.session.to_string(),
            "door": attempt.door.to_string(),
            "remote": attempt.remote.to_string(),
        });
        let started: Started = match self.call(Method::POST, &["start", &id], Some(&body)).await {
            Ok(body) => serde_json::from_slice(&body).map_err(|_| CallError::NotJson)?,
            Err(CallError::Refused(status)) => {
                return Ok(Verdict::deny(format!(
                    "the service answered {status} to the start of channel {id}"
                )));
            }
            Err(error) => return Err(error),
        };
        let stream = started.stream_id.text().filter(|id| usable_id(id)).ok_or(CallError::BadStreamId)?;
        self.lock().insert(attempt.session, stream);
        Ok(verdict)
    }

    async fn report(&self, stream: &str, route: &str, body: Value) {
        if let Err(error) = self.call(Method::POST, &[route, stream], Some(&body)).await {
            tracing::warn!(service = %self.url, route, %error, "the authorisation service did not take a report");
        }
    }

    async fn call(&self, method: Method, path: &[&str], body: Option<&Value>) -> Result<Vec<u8>, CallError> {
        let mut request: RequestBuilder = self.client.request(method, self.url.join(path));
        if let Some(value) = &self.authorization {
            request = request.header(header::AUTHORIZATION, value.clone());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let mut response = request.send().await.map_err(CallError::network)?;
        let status = response.status();
        if !status.is_success() {
            return Err(match status {
                // "Come back later" is no verdict on a key.
                StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => CallError::Trouble(status),
                _ if status.is_client_error() => CallError::Refused(status),
                _ => CallError::Trouble(status),
            });
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(CallError::network)? {
            if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(CallError::TooLong);
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<SessionId, String>> {
        self.streams.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Authoriser for HttpAuthoriser {
    fn check(&self, attempt: Attempt) -> BoxFuture<'_, Verdict> {
        async move {
            match tokio::time::timeout(CHECK_DEADLINE, self.decide(&attempt)).await {
                Ok(Ok(verdict)) => verdict,
                Ok(Err(error)) => Verdict::unavailable(format!("{}: {error}", self.url)),
                Err(_) => Verdict::unavailable(format!("{}: no answer in {CHECK_DEADLINE:?}", self.url)),
            }
        }
        .boxed()
    }

    fn metadata(&self, publication: Publication, metadata: PublicationMetadata) -> BoxFuture<'_, ()> {
        async move {
            let Some(stream) = self.lock().get(&publication.session).cloned() else { return };
            self.report(&stream, "metadata", metadata_body(&publication, &metadata)).await;
        }
        .boxed()
    }

    fn ended(&self, publication: Publication, ending: Ending) -> BoxFuture<'_, ()> {
        async move {
            let Some(stream) = self.lock().remove(&publication.session) else { return };
            let body = json!({
                "reason": ending.reason.code(),
                "durationSeconds": ending.duration.as_secs_f64(),
                "bytes": ending.bytes,
                "port": publication.port,
            });
            self.report(&stream, "end", body).await;
        }
        .boxed()
    }
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HttpAuthoriserError {
    /// The address.
    #[error(transparent)]
    Url(#[from] BadServiceUrl),
    /// The header.
    #[error("the authorization text cannot be sent as a header")]
    BadAuthorization,
    /// TLS could not be set up.
    #[error("HTTP client: {0}")]
    Client(String),
}

#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error("{0}")]
    Network(String),
    #[error("it answered {0}")]
    Refused(StatusCode),
    #[error("it answered {0}")]
    Trouble(StatusCode),
    #[error("its answer is longer than {MAX_ANSWER_BYTES} bytes")]
    TooLong,
    #[error("its answer is not the JSON expected")]
    NotJson,
    #[error("its stream id is unusable")]
    BadStreamId,
}

impl CallError {
    /// Without the address, which may hold a password.
    fn network(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let source =
            std::error::Error::source(&error).map_or_else(String::new, |source| format!(": {source}"));
        Self::Network(format!("{error}{source}"))
    }
}

#[derive(Deserialize)]
struct Started {
    #[serde(rename = "streamId")]
    stream_id: StreamIdValue,
}

/// Services number their streams or name them.
#[derive(Deserialize)]
#[serde(untagged)]
enum StreamIdValue {
    Number(u64),
    Text(String),
}

impl StreamIdValue {
    fn text(self) -> Option<String> {
        match self {
            Self::Number(number) => Some(number.to_string()),
            Self::Text(text) => Some(text),
        }
    }
}

/// Dot segments would be resolved away even when encoded, and so reach another route.
fn usable_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= MAX_STREAM_ID_BYTES && id != "." && id != ".."
}

/// The fields of janus-ftl-plugin's metadata report, and the port.
fn metadata_body(publication: &Publication, metadata: &PublicationMetadata) -> Value {
    json!({
        "audioCodec": metadata.audio_codec,
        "ingestServer": "heliograph",
        "ingestViewers": 0,
        "lostPackets": metadata.lost,
        "nackPackets": metadata.nacks,
        "recvPackets": metadata.packets,
        "sourceBitrate": metadata.bitrate_bps,
        "sourcePing": metadata.round_trip.map_or(0, |time: Duration| u64::try_from(time.as_millis()).unwrap_or(0)),
        "streamTimeSeconds": metadata.stream_time.as_secs(),
        "vendorName": metadata.vendor_name,
        "vendorVersion": metadata.vendor_version,
        "videoCodec": metadata.video_codec,
        "videoHeight": metadata.video_height,
        "videoWidth": metadata.video_width,
        "port": publication.port,
        "relayPort": publication.relay_port,
    })
}

const MAX_ANSWER_BYTES: usize = 16 * 1024;
const MAX_STREAM_ID_BYTES: usize = 256;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::{
        auth::{Door, digest},
        test_support::http_server,
    };

    fn attempt() -> Attempt {
        let challenge = vec![5; 128];
        let digest = digest::digest(&Secret::new("right").unwrap(), &challenge);
        let remote = "192.0.2.7:51000".parse().unwrap();
        Attempt { session: SessionId(1), channel_id: 7, door: Door::Ftl, challenge, digest, remote }
    }

    fn response(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    }

    /// The verdict when the service answers these.
    async fn verdict(hmac: String, start: String) -> Verdict {
        let answer = move |request: &str| {
            if request.starts_with("GET /base/hmac/7 ") { hmac.clone() } else { start.clone() }
        };
        let addr = http_server(answer).await;
        let url = format!("http://{addr}/base");
        let settings = HttpAuthoriserSettings { url, authorization: None, allow_plain: false };
        HttpAuthoriser::new(&settings).unwrap().check(attempt()).await
    }

    #[tokio::test]
    async fn every_kind_of_answer() {
        let right = response("200 OK", r#"{"hmacKey":"right"}"#);
        let started = response("200 OK", r#"{"streamId":"a"}"#);
        let long = response("200 OK", &format!(r#"{{"hmacKey":"right","x":"{}"}}"#, "x".repeat(20_000)));
        let redirect = "HTTP/1.1 302 x\r\nlocation: /base/hmac/7\r\ncontent-length: 0\r\n\r\n".to_owned();
        let is_denial = |verdict: &Verdict| matches!(verdict, Verdict::Deny { .. });
        let is_trouble = |verdict: &Verdict| matches!(verdict, Verdict::Unavailable { .. });
        assert!(matches!(verdict(right.clone(), started.clone()).await, Verdict::Allow { .. }));
        for (hmac, start) in [
            (response("404 x", ""), started.clone()),
            (response("403 x", ""), started.clone()),
            (response("200 OK", r#"{"hmacKey":"wrong"}"#), started.clone()),
            (right.clone(), response("403 x", "")),
        ] {
            let verdict = verdict(hmac.clone(), start.clone()).await;
            assert!(is_denial(&verdict), "{hmac} {start}: {verdict:?}");
        }
        for (hmac, start) in [
            (response("500 x", ""), started.clone()),
            (response("429 x", ""), started.clone()),
            (response("200 OK", "not json"), started.clone()),
            (response("200 OK", "{}"), started.clone()),
            (long, started.clone()),
            (redirect, started.clone()),
            ("nonsense".to_owned(), started),
            (right.clone(), response("500 x", "")),
            (right.clone(), response("200 OK", r#"{"streamId":".."}"#)),
            (right, response("200 OK", "{}")),
        ] {
            let verdict = verdict(hmac.clone(), start.clone()).await;
            assert!(is_trouble(&verdict), "{hmac} {start}: {verdict:?}");
            assert!(!format!("{verdict:?}").contains("right"), "no secret in a reason");
        }
    }
}
