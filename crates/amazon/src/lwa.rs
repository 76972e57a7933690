//! Tokens from Login with Amazon.

use std::{sync::Arc, time::Duration};

use bulkhead_broker::Permit;
use bulkhead_domain::operation::LWA_TOKEN;
use bulkhead_vault::{AccessToken, ClientSecret, RefreshToken};
use serde::Deserialize;
use url::Url;

use crate::{
    call::{CallMeta, Called},
    error::{ErrorCode, LwaError, RetryCause},
    options::{AmazonOptions, OptionsError},
    pace::HostPace,
    transport::{Answer, Body, SendError, Transport},
};

/// Asks for tokens, at a gentle pace per process: Amazon publishes no plan for this. Cheap to clone.
#[derive(Clone)]
pub struct Lwa {
    url: Url,
    transport: Transport,
    pace: Arc<HostPace>,
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct ApplicationCredentials {
    /// `amzn1.application-oa2-client.…`
    pub client_id: String,
    /// `amzn1.oa2-cs.v1.…`
    pub client_secret: ClientSecret,
}

/// What a grant type brings.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Goes with every call.
    pub access_token: AccessToken,
    /// How long it lives from now, at most: an hour.
    pub expires_in: Duration,
    /// The seller's refresh token; absent for an application's own grant.
    pub refresh_token: Option<RefreshToken>,
}

/// What an application may do without a seller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Notification destinations.
    Notifications,
    /// Rotating its own client secret.
    ClientCredentialRotation,
}

impl Scope {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Notifications => "sellingpartnerapi::notifications",
            Self::ClientCredentialRotation => "sellingpartnerapi::client_credential:rotation",
        }
    }
}

impl Lwa {
    /// A client for `options.lwa_url`.
    ///
    /// # Errors
    /// [`OptionsError`]: one line.
    pub fn new(options: &AmazonOptions) -> Result<Self, OptionsError> {
        Ok(Self {
            url: options.lwa_url()?,
            transport: Transport::new(options)?,
            pace: Arc::new(HostPace::per_second(options.lwa_rate_per_s)),
        })
    }

    /// A fresh access token for a seller. The refresh token that comes back is the same one.
    ///
    /// # Errors
    /// [`LwaError`]: its variants say what to do next.
    pub async fn refresh(
        &self,
        permit: Permit,
        application: &ApplicationCredentials,
        token: &RefreshToken,
    ) -> Result<Called<Grant>, LwaError> {
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token.expose_secret()),
        ];
        self.ask(permit, application, &fields).await
    }

    /// Exchanges the code of a seller's consent page (`spapi_oauth_code`), which lives five minutes and is good once.
    ///
    /// # Errors
    /// As [`Lwa::refresh`]; [`LwaError::GrantRevoked`] means that the code is too old or was used.
    pub async fn authorization_code(
        &self,
        permit: Permit,
        application: &ApplicationCredentials,
        code: &str,
        redirect_uri: Option<&str>,
    ) -> Result<Called<Grant>, LwaError> {
        let mut fields = vec![("grant_type", "authorization_code"), ("code", code)];
        fields.extend(redirect_uri.map(|uri| ("redirect_uri", uri)));
        self.ask(permit, application, &fields).await
    }

    /// An access token of the application's own.
    ///
    /// # Errors
    /// As [`Lwa::refresh`].
    pub async fn client_credentials(
        &self,
        permit: Permit,
        application: &ApplicationCredentials,
        scope: Scope,
    ) -> Result<Called<Grant>, LwaError> {
        let fields = [
            ("grant_type", "client_credentials"),
            ("scope", scope.as_str()),
        ];
        self.ask(permit, application, &fields).await
    }

    async fn ask(
        &self,
        permit: Permit,
        application: &ApplicationCredentials,
        fields: &[(&str, &str)],
    ) -> Result<Called<Grant>, LwaError> {
        self.check_pace()?;
        let credentials = [
            ("client_id", application.client_id.as_str()),
            ("client_secret", application.client_secret.expose_secret()),
        ];
        let form: Vec<_> = fields.iter().chain(&credentials).collect();
        let request = self.transport.client().post(self.url.clone()).form(&form);
        let request = request
            .build()
            .map_err(|error| retryable(RetryCause::Transport(error.without_url())))?;
        let answer = self.transport.send(permit, &LWA_TOKEN, request).await;
        read(answer.map_err(not_answered)?)
    }

    /// Never waits: the caller gives its slot back instead.
    fn check_pace(&self) -> Result<(), LwaError> {
        let host = self.url.host_str().unwrap_or_default();
        self.pace.check(host).map_err(|after| LwaError::Retryable {
            cause: RetryCause::Paced,
            after: Some(after),
        })
    }
}

impl std::fmt::Debug for Lwa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lwa({})", self.url)
    }
}

fn not_answered(error: SendError) -> LwaError {
    match error {
        SendError::PermitExpired(expired) => expired.into(),
        SendError::WrongPermit(permitted) => LwaError::WrongPermit { permitted },
        SendError::Transport(error) => retryable(RetryCause::Transport(error)),
    }
}

const fn retryable(cause: RetryCause) -> LwaError {
    LwaError::Retryable { cause, after: None }
}

fn read(answer: Answer) -> Result<Called<Grant>, LwaError> {
    let Body::Whole(body) = answer.body else {
        return Err(retryable(RetryCause::Status(answer.meta.status)));
    };
    match answer.meta.status {
        200 => granted(&body, answer.meta),
        408 | 425 | 429 => Err(retryable(RetryCause::Status(answer.meta.status))),
        400..500 => Err(refused(&body, answer.meta)),
        status => Err(retryable(RetryCause::Status(status))),
    }
}

fn granted(body: &[u8], meta: CallMeta) -> Result<Called<Grant>, LwaError> {
    #[derive(Deserialize)]
    struct Answer {
        access_token: String,
        expires_in: u64,
        refresh_token: Option<String>,
    }
    let answer: Answer =
        serde_json::from_slice(body).map_err(|_| retryable(RetryCause::NoToken))?;
    if answer.access_token.is_empty() {
        return Err(retryable(RetryCause::NoToken));
    }
    let grant = Grant {
        access_token: AccessToken::new(answer.access_token),
        expires_in: Duration::from_secs(answer.expires_in),
        refresh_token: answer.refresh_token.map(RefreshToken::new),
    };
    Ok(Called { value: grant, meta })
}

/// By Login with Amazon's word; a 4xx that has none is not its own, so nothing is concluded about a seller from it.
fn refused(body: &[u8], meta: CallMeta) -> LwaError {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    let Ok(refusal) = serde_json::from_slice::<Refusal>(body) else {
        return retryable(RetryCause::Status(meta.status));
    };
    match refusal.error.as_str() {
        "invalid_grant" => LwaError::GrantRevoked { meta },
        "invalid_client" => LwaError::ClientRejected { meta },
        "ServerError" | "server_error" | "temporarily_unavailable" => {
            retryable(RetryCause::Status(meta.status))
        }
        other => LwaError::Misconfigured {
            code: ErrorCode::new(other),
            meta,
        },
    }
}
