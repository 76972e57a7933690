//! One attempt at a pass: pages until the pass, the budget or the lease ends.

use std::time::Duration;

use bulkhead_amazon::{CallError, SpApi, orders::PaginationToken};
use bulkhead_domain::{ConnectionId, Dataset};
use bulkhead_service::crash_point;
use bulkhead_store::{
    AccessToken as StoredToken, AdvanceError, Checkpoint, EnteredConnection, JobTx,
    Outcome as JobOutcome, Progress, TokenRefresh,
};
use bulkhead_worker::{End, Gate, Handler, JobContext, Outcome};
use jiff::Timestamp;
use tracing::{Instrument, debug, info, info_span, warn};

use crate::{
    access::{Refused, TokenKeys, is_usable},
    page::Rows,
    pass,
    pii::PiiSealer,
    source::{Access, Page, Source},
};

/// How long a job stays away that waits for the token worker.
const TOKEN: Duration = Duration::from_millis(500);

/// How long a job stays away whose checkpoint another job is moving.
const MOVED: Duration = Duration::from_secs(1);

/// Rows in one statement.
const BATCH: usize = 1_000;

/// Syncs orders.
#[derive(Debug)]
pub struct SyncHandler {
    gate: Gate,
    source: Source,
    tokens: TokenKeys,
    pii: PiiSealer,
    refused: Refused,
}

/// Where an attempt stands before a page.
struct Standing {
    connection: EnteredConnection,
    checkpoint: Checkpoint,
    access: Access,
    /// Of the token: what a newer one must exceed.
    generation: u64,
}

impl SyncHandler {
    /// A handler over open connections and this class's keys.
    #[must_use]
    pub fn new(gate: Gate, api: SpApi, tokens: TokenKeys, pii: PiiSealer) -> Self {
        Self {
            gate,
            source: Source::new(api),
            tokens,
            pii,
            refused: Refused::default(),
        }
    }

    async fn sync(&self, context: &mut JobContext) -> Result<Outcome, End> {
        let dataset = context.job.params.dataset.unwrap_or(Dataset::Orders);
        loop {
            if context.drain.is_cancelled() {
                return Ok(snooze(Duration::ZERO, "the worker drains"));
            }
            let standing = self.standing(context, dataset).await?;
            let Some(page) = self.page(context, dataset, &standing).await? else {
                continue;
            };
            crash_point::reach("sync.page.fetched");
            let span = info_span!("commit", page = standing.checkpoint.pages + 1);
            if self
                .keep(context, dataset, standing.checkpoint, page)
                .instrument(span)
                .await?
            {
                return Ok(Outcome::Done);
            }
            self.gate.got_on(context).await;
        }
    }

    /// Reads where the pass stands, and the token; begins a pass if none is running.
    async fn standing(&self, context: &JobContext, dataset: Dataset) -> Result<Standing, End> {
        let job = &context.job;
        let mut transaction = self.gate.enter(context).await?;
        let connection = transaction.entered_connection().await?;
        let mut checkpoint = transaction.checkpoint(dataset).await?;
        let now = Timestamp::now();
        pass::begin(&mut checkpoint, job.params.since, now);
        let stored = transaction.access_token().await?;
        let Some(stored) = stored.filter(|token| self.may_use(job.connection, token, now)) else {
            return Err(self.want_token(transaction, 0).await?.into());
        };
        let epoch = transaction.epoch();
        transaction.commit().await?;
        let generation = stored.generation;
        let token = self.tokens.open(job.tenant, job.connection, stored);
        let token = token.map_err(|error| Outcome::failed(&error))?;
        Ok(Standing {
            connection,
            checkpoint,
            access: Access { token, epoch },
            generation,
        })
    }

    fn may_use(&self, connection: ConnectionId, token: &StoredToken, now: Timestamp) -> bool {
        is_usable(token, now) && !self.refused.has(connection, token.generation)
    }

    /// Asks for a token newer than generation `seen` (0: an expired or missing one) and gives the slot back.
    async fn want_token(&self, mut transaction: JobTx, seen: u64) -> Result<Outcome, End> {
        let seen = match seen {
            0 => transaction
                .access_token()
                .await?
                .map_or(0, |token| token.generation),
            seen => seen,
        };
        let asked = transaction.request_token_refresh(seen).await?;
        transaction.commit().await?;
        debug!(answer = ?asked, "asked for a fresh access token");
        let wait = if asked == TokenRefresh::Fresh {
            Duration::ZERO
        } else {
            TOKEN
        };
        Ok(snooze(wait, "waiting for a fresh access token"))
    }

    /// Fetches the next page; `None` if the pass has to begin anew.
    async fn page(
        &self,
        context: &JobContext,
        dataset: Dataset,
        standing: &Standing,
    ) -> Result<Option<Page>, End> {
        let fetched = self
            .source
            .fetch(
                &self.gate,
                context,
                dataset,
                &standing.connection,
                &standing.access,
                &standing.checkpoint,
            )
            .await?;
        match fetched {
            Ok(page) => Ok(Some(page)),
            Err(error) => self.refused(context, dataset, standing, error).await,
        }
    }

    async fn refused(
        &self,
        context: &JobContext,
        dataset: Dataset,
        standing: &Standing,
        error: CallError,
    ) -> Result<Option<Page>, End> {
        match error {
            CallError::TokenExpired { .. } => {
                self.refused
                    .add(context.job.connection, standing.generation);
                let transaction = self.gate.enter(context).await?;
                Err(self
                    .want_token(transaction, standing.generation)
                    .await?
                    .into())
            }
            // A token that was revoked: the refresh finds out. Counted, so that it cannot go on for ever.
            CallError::TokenRejected { .. } => {
                let transaction = self.gate.enter(context).await?;
                self.want_token(transaction, standing.generation).await?;
                Err(Outcome::failed(&error).into())
            }
            // The budget is known to be used up: the next permit says until when.
            CallError::Throttled { .. } | CallError::PermitExpired(_) => Ok(None),
            CallError::InvalidRequest { .. } if standing.checkpoint.page_token.is_some() => {
                self.begin_anew(context, dataset, standing.checkpoint.clone())
                    .await?;
                Err(Outcome::failed(&error).into())
            }
            CallError::Retryable { .. } | CallError::Undecodable { .. } => {
                Err(Outcome::failed(&error).into())
            }
            CallError::InvalidRequest { .. }
            | CallError::NotAllowed { .. }
            | CallError::NotFound { .. }
            | CallError::WrongPermit { .. } => Err(Outcome::hopeless(&error).into()),
        }
    }

    /// Amazon does not take the page token any more, after a day for one: the pass begins anew.
    async fn begin_anew(
        &self,
        context: &JobContext,
        dataset: Dataset,
        mut checkpoint: Checkpoint,
    ) -> Result<(), End> {
        warn!("Amazon refuses the page token; the pass begins anew");
        pass::restart(&mut checkpoint);
        let mut transaction = self.gate.enter(context).await?;
        let advance = transaction.advance_checkpoint(dataset, &mut checkpoint, Progress::default());
        advance.await.map_err(moved)?;
        transaction.commit().await?;
        Ok(())
    }

    /// Stores a page and moves behind it, in one transaction; returns whether the pass is complete.
    async fn keep(
        &self,
        context: &JobContext,
        dataset: Dataset,
        mut checkpoint: Checkpoint,
        page: Page,
    ) -> Result<bool, End> {
        let job = &context.job;
        let next = page.next.map(PaginationToken::new);
        let rows = Rows::of(page.orders);
        let sealed = self
            .pii
            .seal(job.tenant, job.connection, &rows.pii, Timestamp::now());
        let sealed = sealed.map_err(|error| Outcome::failed(&error))?;
        let progress = Progress {
            pages: 1,
            orders: count(rows.orders.len()),
            order_items: count(rows.items.len()),
        };
        let complete = pass::advance(&mut checkpoint, next.as_ref(), page.complete_until);

        let mut transaction = self.gate.enter(context).await?;
        store(&mut transaction, dataset, &rows).await?;
        for batch in sealed.rows.chunks(BATCH) {
            transaction.upsert_order_pii(&sealed.key, batch).await?;
        }
        let advance = transaction.advance_checkpoint(dataset, &mut checkpoint, progress);
        advance.await.map_err(moved)?;
        if complete {
            transaction.finish(JobOutcome::Done).await?;
        }
        crash_point::reach("sync.page.stored");
        transaction.commit().await?;
        crash_point::reach("sync.page.committed");
        metrics::counter!("bulkhead_orders_stored_total").increment(u64::from(progress.orders));
        metrics::counter!("bulkhead_pages_total").increment(1);
        if complete {
            info!(pages = checkpoint.pages, "completed the pass");
        }
        Ok(complete)
    }
}

impl Handler for SyncHandler {
    async fn handle(&self, mut context: JobContext) -> Outcome {
        self.gate.outcome(self.sync(&mut context).await)
    }

    async fn give_up(&self, context: &JobContext, reason: &str) {
        self.gate.give_up(context, reason).await;
    }
}

async fn store(transaction: &mut JobTx, dataset: Dataset, rows: &Rows) -> Result<(), End> {
    for batch in rows.orders.chunks(BATCH) {
        transaction.upsert_orders(dataset, batch).await?;
    }
    for batch in rows.items.chunks(BATCH) {
        transaction.upsert_order_items(batch).await?;
    }
    Ok(())
}

/// Another job of the connection has moved the checkpoint: this page is dropped, the next attempt reads where it is.
fn moved(error: AdvanceError) -> End {
    match error {
        AdvanceError::Moved => snooze(MOVED, "another job has moved the checkpoint").into(),
        AdvanceError::Store(error) => error.into(),
    }
}

const fn snooze(wait: Duration, reason: &'static str) -> Outcome {
    Outcome::Snooze { wait, reason }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
