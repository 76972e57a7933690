//! Documents of reports: downloaded from the storage host that getReportDocument names, without any token.

use std::{fmt, sync::Arc, time::Duration};

use bulkhead_broker::{Permit, PermitExpired};
use bulkhead_domain::{Operation, operation::DOWNLOAD_DOCUMENT};
use bulkhead_vault::Zeroizing;
use url::Url;

use crate::{
    call::{CallMeta, Called},
    error::RetryCause,
    options::{AmazonOptions, OptionsError},
    pace::HostPace,
    transport::{Body, MAX_BODY_BYTES, SendError, Transport},
};

/// Downloads documents, at a gentle pace per process and host. Cheap to clone.
#[derive(Clone)]
pub struct Documents {
    options: Arc<AmazonOptions>,
    transport: Transport,
    pace: Arc<HostPace>,
}

/// Where a document is, for five minutes. It opens the document to whoever has it, so Debug shows the host only.
#[derive(Clone)]
pub struct DocumentUrl(Url);

/// There is no document.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Nothing was sent: this process asks the host often enough; come back after this long.
    #[error("this process asks the document host often enough; again in {} ms", after.as_millis())]
    Paced {
        /// From now.
        after: Duration,
    },
    /// The address is older than its five minutes: ask getReportDocument again.
    #[error("the document's address has expired ({meta})")]
    Expired {
        /// About the call.
        meta: CallMeta,
    },
    /// It is longer than is read at once.
    #[error("the document has more than {MAX_BODY_BYTES} bytes ({meta})")]
    TooLong {
        /// About the call.
        meta: CallMeta,
    },
    /// The host's or the network's fault: retry with backoff.
    #[error("failed for now: {0}")]
    Retryable(#[source] RetryCause),
    /// Nothing was sent: ask for another permit.
    #[error(transparent)]
    PermitExpired(#[from] PermitExpired),
    /// Nothing was sent: a bug in the caller.
    #[error("a permit for {permitted} was given for a download")]
    WrongPermit {
        /// What the permit is for.
        permitted: &'static Operation,
    },
}

impl Documents {
    /// A client.
    ///
    /// # Errors
    /// [`OptionsError`]: one line.
    pub fn new(options: &AmazonOptions) -> Result<Self, OptionsError> {
        Ok(Self {
            transport: Transport::new(options)?,
            pace: Arc::new(HostPace::per_second(options.document_rate_per_s)),
            options: Arc::new(options.clone()),
        })
    }

    /// The address that getReportDocument gave.
    ///
    /// # Errors
    /// [`OptionsError`]: it is none, or the document would cross a network in clear.
    pub fn address(&self, text: &str) -> Result<DocumentUrl, OptionsError> {
        self.options.document_url(text).map(DocumentUrl)
    }

    /// The document as it is stored: usually still compressed, as getReportDocument says.
    ///
    /// # Errors
    /// [`DocumentError`]: its variants say what to do next.
    pub async fn download(
        &self,
        permit: Permit,
        from: &DocumentUrl,
    ) -> Result<Called<Zeroizing<Vec<u8>>>, DocumentError> {
        let paced = self.pace.check(from.host());
        paced.map_err(|after| DocumentError::Paced { after })?;
        let request = self.transport.client().get(from.0.clone()).build();
        let request = request.map_err(|error| transport(error.without_url()))?;
        let sent = self
            .transport
            .send(permit, &DOWNLOAD_DOCUMENT, request)
            .await;
        let answer = sent.map_err(not_answered)?;
        let meta = answer.meta;
        match (meta.status, answer.body) {
            (200, Body::Whole(value)) => Ok(Called { value, meta }),
            (200, Body::TooLong) => Err(DocumentError::TooLong { meta }),
            // The storage's word for an address whose time is over.
            (403, _) => Err(DocumentError::Expired { meta }),
            (status, _) => Err(DocumentError::Retryable(RetryCause::Status(status))),
        }
    }
}

impl DocumentUrl {
    fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }
}

impl fmt::Debug for DocumentUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DocumentUrl({})", self.host())
    }
}

impl fmt::Debug for Documents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Documents").finish_non_exhaustive()
    }
}

fn not_answered(error: SendError) -> DocumentError {
    match error {
        SendError::PermitExpired(expired) => expired.into(),
        SendError::WrongPermit(permitted) => DocumentError::WrongPermit { permitted },
        SendError::Transport(error) => transport(error),
    }
}

const fn transport(error: reqwest::Error) -> DocumentError {
    DocumentError::Retryable(RetryCause::Transport(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_does_not_show_what_opens_the_document() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let documents = Documents::new(&AmazonOptions::default()).unwrap();
        let address = documents.address("https://bucket.s3.amazonaws.com/a?X-Amz-Signature=5ec7e7");
        assert_eq!(
            format!("{:?}", address.unwrap()),
            "DocumentUrl(bucket.s3.amazonaws.com)"
        );
        for refused in [
            "http://bucket.s3.amazonaws.com/a",
            "ftp://b/a",
            "https://u:p@b/a",
        ] {
            assert!(documents.address(refused).is_err(), "{refused}");
        }
    }
}
