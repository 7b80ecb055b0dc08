//! Asks a relay in another process for ports (`WEBRTC_SERVER_URL`).

use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _};
use heliograph_relay::{AllocateError, Allocation, Allocator, StreamRequest};
use reqwest::{Client, Response, StatusCode, header, redirect};

use crate::auth::{BadServiceUrl, ServiceKind, ServiceUrl};

/// An [`Allocator`] that speaks `POST /stream` and `DELETE /stream?port=N`.
#[derive(Debug)]
pub struct HttpAllocator {
    url: ServiceUrl,
    client: Client,
    authorization: Option<header::HeaderValue>,
}

impl HttpAllocator {
    /// `base_url` is the relay's, for example `http://127.0.0.1:8081`; the token is needed on its public port.
    pub fn new(base_url: &str, token: Option<String>) -> Result<Self, HttpAllocatorError> {
        // Plain HTTP is allowed anywhere: this address is private by nature, and the media behind it is plain, too.
        let url = ServiceUrl::parse(base_url, ServiceKind::Http, true)?;
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(DEADLINE)
            .build()
            .map_err(|error| HttpAllocatorError::Client(error.to_string()))?;
        let authorization = token
            .map(|token| {
                let mut value = header::HeaderValue::from_str(&format!("Bearer {token}"))
                    .map_err(|_| HttpAllocatorError::BadToken)?;
                value.set_sensitive(true);
                Ok::<_, HttpAllocatorError>(value)
            })
            .transpose()?;
        Ok(Self { url, client, authorization })
    }

    async fn call(
        &self,
        method: reqwest::Method,
        port: Option<u16>,
        body: Option<&StreamRequest>,
    ) -> Result<(StatusCode, Vec<u8>), AllocateError> {
        let mut url = self.url.join(&["stream"]);
        if let Some(port) = port {
            url.query_pairs_mut().append_pair("port", &port.to_string());
        }
        let mut request = self.client.request(method, url);
        if let Some(value) = &self.authorization {
            request = request.header(header::AUTHORIZATION, value.clone());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let unreachable = |error: reqwest::Error| AllocateError::Unreachable(error.without_url().to_string());
        let mut response: Response = request.send().await.map_err(unreachable)?;
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(AllocateError::Unreachable("its answer is too long".to_owned()));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok((response.status(), bytes))
    }
}

impl Allocator for HttpAllocator {
    fn allocate(&self, request: StreamRequest) -> BoxFuture<'_, Result<Allocation, AllocateError>> {
        async move {
            let (status, body) = self.call(reqwest::Method::POST, request.port, Some(&request)).await?;
            match status {
                StatusCode::OK => serde_json::from_slice::<Allocation>(&body)
                    .ok()
                    .filter(|allocation| allocation.port != 0)
                    .ok_or_else(|| AllocateError::Unreachable("its answer names no port".to_owned())),
                StatusCode::SERVICE_UNAVAILABLE => Err(AllocateError::PoolEmpty),
                StatusCode::CONFLICT => Err(AllocateError::PortTaken),
                StatusCode::BAD_REQUEST => Err(AllocateError::Unsupported(words(&body))),
                status => Err(AllocateError::Unreachable(format!("it answered {status}: {}", words(&body)))),
            }
        }
        .boxed()
    }

    fn release(&self, port: u16) -> BoxFuture<'_, Result<bool, AllocateError>> {
        async move {
            let (status, body) = self.call(reqwest::Method::DELETE, Some(port), None).await?;
            match status {
                // The relay says the same when there was no such stream.
                status if status.is_success() => Ok(true),
                status => Err(AllocateError::Unreachable(format!("it answered {status}: {}", words(&body)))),
            }
        }
        .boxed()
    }
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HttpAllocatorError {
    /// The address.
    #[error(transparent)]
    Url(#[from] BadServiceUrl),
    /// The token.
    #[error("the token cannot be sent in a header")]
    BadToken,
    /// The HTTP client could not be set up.
    #[error("HTTP client: {0}")]
    Client(String),
}

/// The beginning of a plain answer, fit for a log line.
fn words(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().filter(|c| !c.is_control()).take(MAX_WORDS_CHARS).collect()
}

const DEADLINE: Duration = Duration::from_secs(3);
const MAX_ANSWER_BYTES: usize = 16 * 1024;
const MAX_WORDS_CHARS: usize = 200;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::test_support::http_server;

    /// A relay that says `answer` to everything; returns what it was asked.
    async fn ask<T>(answer: &'static str, ask: impl AsyncFnOnce(HttpAllocator) -> T) -> (T, String) {
        let heard = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&heard);
        let addr = http_server(move |request| {
            *sink.lock().unwrap() = request.to_owned();
            answer.to_owned()
        })
        .await;
        let allocator = HttpAllocator::new(&format!("http://{addr}"), Some("t0ken".to_owned())).unwrap();
        let result = ask(allocator).await;
        let heard = heard.lock().unwrap().clone();
        (result, heard)
    }

    async fn allocate(answer: &'static str) -> (Result<Allocation, AllocateError>, String) {
        let request = StreamRequest { channel: Some("main".parse().unwrap()), ..StreamRequest::default() };
        ask(answer, async |allocator| allocator.allocate(request).await).await
    }

    #[tokio::test]
    async fn a_port() {
        let (result, heard) =
            allocate("HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{\"port\":24001}\n").await;
        assert_eq!(result, Ok(Allocation { port: 24_001 }));
        assert!(heard.starts_with("POST /stream HTTP/1.1\r\n"), "{heard}");
        assert!(heard.contains("authorization: Bearer t0ken"), "{heard}");
        assert!(heard.ends_with(r#"{"channel":"main"}"#), "{heard}");
    }

    #[tokio::test]
    async fn refusals() {
        use AllocateError::{PoolEmpty, PortTaken, Unreachable, Unsupported};
        for (answer, expected) in [
            ("HTTP/1.1 503 x\r\ncontent-length: 0\r\n\r\n", PoolEmpty),
            ("HTTP/1.1 409 x\r\ncontent-length: 0\r\n\r\n", PortTaken),
            ("HTTP/1.1 400 x\r\ncontent-length: 4\r\n\r\nwhy\n", Unsupported("why".to_owned())),
        ] {
            assert_eq!(allocate(answer).await.0, Err(expected), "{answer}");
        }
        for answer in [
            "HTTP/1.1 500 x\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 401 x\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 302 x\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{\"port\":0}",
            "nonsense",
        ] {
            let error = allocate(answer).await.0.unwrap_err();
            assert!(matches!(error, Unreachable(_)), "{answer}: {error}");
            assert!(!error.to_string().contains("t0ken"));
        }
    }

    #[tokio::test]
    async fn nobody_there() {
        let allocator = HttpAllocator::new("http://127.0.0.1:1", None).unwrap();
        let error = allocator.allocate(StreamRequest::default()).await.unwrap_err();
        assert!(matches!(error, AllocateError::Unreachable(_)), "{error}");
    }

    #[tokio::test]
    async fn release() {
        let (result, heard) =
            ask("HTTP/1.1 204 x\r\n\r\n", async |allocator| allocator.release(24_001).await).await;
        assert_eq!(result, Ok(true));
        assert!(heard.starts_with("DELETE /stream?port=24001 HTTP/1.1\r\n"), "{heard}");
    }
}
