//! One refresh.

use std::time::Duration;

use bulkhead_amazon::{ApplicationCredentials, Lwa, LwaError, lwa::Grant};
use bulkhead_domain::{FenceEpoch, operation::LWA_TOKEN};
use bulkhead_service::{Outage, crash_point};
use bulkhead_store::NewAccessToken;
use bulkhead_vault::RefreshToken;
use bulkhead_worker::{End, Gate, Handler, JobContext, Outcome};
use jiff::Timestamp;
use tracing::{info, warn};

use crate::credentials::Credentials;

/// A token is refreshed when this share of its lifetime is left.
const LEFT_AT_REFRESH: f64 = 1.0 / 3.0;

/// How long a connection waits whose application LWA does not accept any more: an operator must act.
const REJECTED: Duration = Duration::from_secs(30);

/// Refreshes access tokens.
#[derive(Debug)]
pub struct TokenHandler {
    gate: Gate,
    lwa: Lwa,
    credentials: Credentials,
    client: Outage,
}

impl TokenHandler {
    /// A handler over open connections and this class's keys.
    #[must_use]
    pub fn new(gate: Gate, lwa: Lwa, credentials: Credentials) -> Self {
        Self {
            gate,
            lwa,
            credentials,
            client: Outage::new("the application's client secret"),
        }
    }

    async fn refresh(&self, context: &JobContext) -> Result<Outcome, End> {
        let (application, refresh_token, epoch) = self.read(context).await?;
        let permit = self.gate.permit(context, &LWA_TOKEN, epoch).await?;
        crash_point::reach("token.before_call");
        let asked_at = Timestamp::now();
        let grant = match self.lwa.refresh(permit, &application, &refresh_token).await {
            Ok(called) => called.value,
            Err(error) => return self.refused(context, error).await,
        };
        drop((application, refresh_token));
        self.client.up();
        crash_point::reach("token.refreshed");
        self.keep(context, asked_at, &grant).await
    }

    /// Opens what the refresh needs.
    async fn read(
        &self,
        context: &JobContext,
    ) -> Result<(ApplicationCredentials, RefreshToken, FenceEpoch), End> {
        let job = &context.job;
        let mut transaction = self.gate.enter(context).await?;
        let refresh_token = transaction.refresh_token().await?;
        let credential = transaction.client_credential().await?;
        let epoch = transaction.epoch();
        transaction.commit().await?;
        let refresh_token = refresh_token.ok_or_else(|| missing("refresh token"))?;
        let credential = credential.ok_or_else(|| missing("client secret"))?;
        let refresh_token =
            self.credentials
                .refresh_token(job.tenant, job.connection, refresh_token);
        let application = self.credentials.application(job.application, credential);
        let refresh_token = refresh_token.map_err(|error| Outcome::failed(&error))?;
        let application = application.map_err(|error| Outcome::failed(&error))?;
        Ok((application, refresh_token, epoch))
    }

    /// Seals and stores the fresh token, and owes the next refresh, in one transaction.
    async fn keep(
        &self,
        context: &JobContext,
        asked_at: Timestamp,
        grant: &Grant,
    ) -> Result<Outcome, End> {
        let job = &context.job;
        let sealed = self
            .credentials
            .seal(job.tenant, job.connection, &grant.access_token);
        let sealed = sealed.map_err(|error| Outcome::failed(&error))?;
        let expires_at = asked_at
            .saturating_add(grant.expires_in)
            .unwrap_or(Timestamp::MAX);
        let lead = grant.expires_in.mul_f64(LEFT_AT_REFRESH);
        let mut transaction = self.gate.enter(context).await?;
        let fresh = NewAccessToken {
            token: &sealed,
            expires_at,
            lifetime: grant.expires_in,
        };
        let generation = transaction.replace_access_token(&fresh).await?;
        let next_due = expires_at.saturating_sub(lead).unwrap_or(expires_at);
        transaction.complete_token_refresh(next_due).await?;
        crash_point::reach("token.stored");
        transaction.commit().await?;
        crash_point::reach("token.committed");
        info!(token.generation = generation, "refreshed the access token");
        Ok(Outcome::Done)
    }

    async fn refused(&self, context: &JobContext, error: LwaError) -> Result<Outcome, End> {
        match error {
            LwaError::GrantRevoked { .. } => {
                warn!(
                    "Amazon has refused the refresh token for good; the connection must be authorized again"
                );
                metrics::counter!("bulkhead_connections_revoked_total").increment(1);
                let mut transaction = self.gate.enter(context).await?;
                transaction
                    .require_reauthorization("Amazon: invalid_grant")
                    .await?;
                transaction.commit().await?;
                Ok(Outcome::Discard {
                    reason: "the refresh token was refused for good",
                })
            }
            LwaError::ClientRejected { .. } => {
                // Of every seller of the application, and no seller's fault.
                metrics::counter!("bulkhead_client_rejected_total").increment(1);
                self.client.down(&error);
                Ok(Outcome::Snooze {
                    wait: REJECTED,
                    reason: "the client secret was refused",
                })
            }
            LwaError::Retryable {
                after: Some(wait),
                cause: bulkhead_amazon::RetryCause::Paced,
            } => Ok(Outcome::Snooze {
                wait,
                reason: "waiting for this process's pace of token requests",
            }),
            LwaError::Retryable { after, .. } => match Outcome::failed(&error) {
                Outcome::Retry { error, .. } => Ok(Outcome::Retry { after, error }),
                other => Ok(other),
            },
            LwaError::PermitExpired(_) => Ok(Outcome::Snooze {
                wait: Duration::ZERO,
                reason: "the permit expired before it was spent",
            }),
            LwaError::Misconfigured { .. } | LwaError::WrongPermit { .. } => {
                Ok(Outcome::hopeless(&error))
            }
        }
    }
}

impl Handler for TokenHandler {
    async fn handle(&self, context: JobContext) -> Outcome {
        self.gate.outcome(self.refresh(&context).await)
    }

    async fn give_up(&self, context: &JobContext, reason: &str) {
        self.gate.give_up(context, reason).await;
    }
}

fn missing(what: &str) -> Outcome {
    Outcome::DeadLetter {
        reason: format!("the connection has no {what}: authorize it again"),
    }
}
