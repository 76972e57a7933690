//! The one place from which bytes leave: spends the permit, sends, reads the answer, counts.

use std::time::{Duration, Instant};

use bulkhead_broker::{BootInstant, Permit, PermitExpired};
use bulkhead_domain::Operation;
use bulkhead_vault::Zeroizing;
use reqwest::{Client, Request, header::HeaderValue, redirect};
use rustls::crypto::CryptoProvider;
use tracing::{Instrument, Span, field::Empty};

use crate::{
    call::CallMeta,
    on_time::{DEADLINE, OnTime, TooLate},
    options::{AmazonOptions, OptionsError},
};

/// The most that is read of an answer, after decompression: a page of 100 orders is about 1 MB.
pub(crate) const MAX_BODY_BYTES: usize = 64 << 20;

/// Sends requests to one host, each against a permit.
#[derive(Debug, Clone)]
pub(crate) struct Transport(Client);

/// An answer, whatever it says.
pub(crate) struct Answer {
    pub(crate) meta: CallMeta,
    pub(crate) body: Body,
}

/// An answer's content. Buyers' data and tokens are in it.
pub(crate) enum Body {
    Whole(Zeroizing<Vec<u8>>),
    TooLong,
}

/// There is no answer.
#[derive(Debug)]
pub(crate) enum SendError {
    PermitExpired(PermitExpired),
    WrongPermit(&'static Operation),
    Transport(reqwest::Error),
}

impl Transport {
    pub(crate) fn new(options: &AmazonOptions) -> Result<Self, OptionsError> {
        if CryptoProvider::get_default().is_none() {
            return Err(OptionsError::NoTlsProvider);
        }
        let client = Client::builder()
            .user_agent(user_agent(&options.user_agent)?)
            .connect_timeout(options.connect_timeout)
            .timeout(options.request_timeout)
            // A redirect would carry the token to another host, on a permit that is spent; so would a retry.
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            // A call that queues in a shared connection would leave later than its permit.
            .http1_only()
            .connector_layer(OnTime::default())
            .no_proxy()
            .referer(false)
            .build()
            .map_err(OptionsError::Client)?;
        Ok(Self(client))
    }

    pub(crate) const fn client(&self) -> &Client {
        &self.0
    }

    /// Sends `request` once, if `permit` is for `operation` and still good.
    pub(crate) async fn send(
        &self,
        permit: Permit,
        operation: &'static Operation,
        request: Request,
    ) -> Result<Answer, SendError> {
        if permit.operation() != operation {
            return Err(SendError::WrongPermit(permit.operation()));
        }
        let span = tracing::info_span!(
            "amazon.call",
            %operation,
            status = Empty,
            request.id = Empty,
            elapsed_ms = Empty
        );
        let exchange = self.exchange(permit, request);
        let (result, elapsed) = exchange.instrument(span.clone()).await;
        observe(&span, operation, &result, elapsed);
        result
    }

    async fn exchange(
        &self,
        permit: Permit,
        request: Request,
    ) -> (Result<Answer, SendError>, Duration) {
        let started = Instant::now();
        let (operation, deadline) = (permit.operation(), permit.deadline());
        if let Err(expired) = permit.spend() {
            return (Err(SendError::PermitExpired(expired)), started.elapsed());
        }
        let result = self.answer(deadline, request, started).await;
        let result = result.map_err(|error| SendError::new(error, operation));
        (result, started.elapsed())
    }

    async fn answer(
        &self,
        deadline: BootInstant,
        request: Request,
        started: Instant,
    ) -> Result<Answer, reqwest::Error> {
        let sending = DEADLINE.scope(deadline, self.0.execute(request));
        let mut response = sending.await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = Zeroizing::new(Vec::with_capacity(64 << 10));
        let mut too_long = false;
        while let Some(chunk) = response.chunk().await? {
            too_long = body.len() + chunk.len() > MAX_BODY_BYTES;
            if too_long {
                break;
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            meta: CallMeta::read(status, &headers, started.elapsed()),
            body: if too_long {
                Body::TooLong
            } else {
                Body::Whole(body)
            },
        })
    }
}

impl SendError {
    fn new(error: reqwest::Error, operation: &'static Operation) -> Self {
        if TooLate::caused(&error) {
            return Self::PermitExpired(PermitExpired { operation });
        }
        Self::Transport(error.without_url())
    }
}

fn user_agent(text: &str) -> Result<HeaderValue, OptionsError> {
    if !(1..=500).contains(&text.len()) {
        return Err(OptionsError::UserAgent);
    }
    HeaderValue::from_str(text).map_err(|_| OptionsError::UserAgent)
}

fn observe(
    span: &Span,
    operation: &'static Operation,
    result: &Result<Answer, SendError>,
    elapsed: Duration,
) {
    let status = match result {
        Ok(answer) => {
            span.record("status", answer.meta.status);
            if let Some(id) = &answer.meta.request_id {
                span.record("request.id", id.as_str());
            }
            answer.meta.status.to_string()
        }
        Err(SendError::Transport(_)) => "none".to_owned(),
        // Nothing was sent.
        Err(SendError::PermitExpired(_) | SendError::WrongPermit(_)) => return,
    };
    span.record(
        "elapsed_ms",
        elapsed.as_millis().try_into().unwrap_or(u64::MAX),
    );
    metrics::counter!("amazon_requests_total", "operation" => operation.key(), "status" => status)
        .increment(1);
    metrics::histogram!("amazon_request_seconds", "operation" => operation.key())
        .record(elapsed.as_secs_f64());
}

#[cfg(test)]
mod tests {
    use bulkhead_domain::operation::GET_ORDER;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    #[tokio::test]
    async fn a_request_whose_connection_came_too_late_is_not_sent_and_the_connection_is_kept() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let transport = Transport::new(&AmazonOptions::default()).unwrap();
        let get = || transport.client().get(&url).build().unwrap();

        let late = BootInstant::now();
        let error = transport.answer(late, get(), Instant::now()).await;
        let error = SendError::new(error.err().unwrap(), &GET_ORDER);
        assert!(matches!(error, SendError::PermitExpired(_)), "{error:?}");

        // The listener has one connection, on which nothing was sent; the next call uses it.
        let (mut stream, _) = listener.accept().await.unwrap();
        let server = async {
            let mut request = vec![0; 1_024];
            let length = stream.read(&mut request).await.unwrap();
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
                .await
                .unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        };
        let in_time = BootInstant::now().after(Duration::from_secs(60));
        let (request, answer) =
            tokio::join!(server, transport.answer(in_time, get(), Instant::now()));
        assert!(request.starts_with("GET / HTTP/1.1"), "{request}");
        assert_eq!(request.matches("GET ").count(), 1, "{request}");
        assert_eq!(answer.unwrap().meta.status, 200);
    }
}
