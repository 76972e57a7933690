//! Buyers' data, sealed under a key per tenant and ingest day that this process made.
//!
//! A key is kept until its day is over, so that a tenant's day has one key a process and not one a page. The wrapped
//! key is stored with every page: where it is there already nothing happens, and a page that was rolled back does not
//! leave a key that nobody stored.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use bulkhead_amazon::BuyerPii;
use bulkhead_domain::{ConnectionId, TenantId};
use bulkhead_store::{OrderPiiRow, PiiKey};
use bulkhead_vault::{
    BuyerPii as Purpose, Context, Dek, Keyring, KeyringError, SealError, Sealer, WrappedDek,
};
use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};

use crate::page::Personal;

/// Days from ingest until the key is destroyed: two less than Amazon allows after delivery.
const KEPT_DAYS: i64 = 28;

/// Seals; the keyring of this process has no key that opens.
#[derive(Debug)]
pub struct PiiSealer {
    sealer: Sealer<Purpose>,
    days: Mutex<HashMap<TenantId, DayKey>>,
}

#[derive(Debug)]
struct DayKey {
    day: Date,
    dek: Dek<Purpose>,
    wrapped: WrappedDek,
}

/// A page's sealed data and the key that must be stored with them.
#[derive(Debug)]
pub(crate) struct SealedPage {
    pub(crate) key: PiiKey,
    pub(crate) rows: Vec<OrderPiiRow>,
}

impl PiiSealer {
    /// Takes the public half of the purpose's key out of this class's keyring.
    ///
    /// # Errors
    /// If the keyring is another class's.
    pub fn new(keyring: &Keyring) -> Result<Self, KeyringError> {
        Ok(Self {
            sealer: keyring.sealer()?,
            days: Mutex::default(),
        })
    }

    /// Seals the buyers' data of one page, which leaves the clear text in `personal` to be dropped and zeroized.
    pub(crate) fn seal(
        &self,
        tenant: TenantId,
        connection: ConnectionId,
        personal: &[Personal],
        now: Timestamp,
    ) -> Result<SealedPage, SealError> {
        let day = now.to_zoned(TimeZone::UTC).date();
        let mut days = self.days.lock().unwrap_or_else(PoisonError::into_inner);
        if days.get(&tenant).is_none_or(|key| key.day != day) {
            let (dek, wrapped) = self.sealer.new_dek(tenant, &day.to_string())?;
            days.insert(tenant, DayKey { day, dek, wrapped });
        }
        let key = &days[&tenant];
        let rows = personal
            .iter()
            .map(|personal| key.row(tenant, connection, personal))
            .collect::<Result<_, _>>()?;
        Ok(SealedPage {
            key: key.stored(),
            rows,
        })
    }
}

impl DayKey {
    fn row(
        &self,
        tenant: TenantId,
        connection: ConnectionId,
        personal: &Personal,
    ) -> Result<OrderPiiRow, SealError> {
        let context = Context::order_pii(
            tenant,
            connection,
            &personal.order_id,
            BuyerPii::SCHEMA_VERSION,
        );
        Ok(OrderPiiRow {
            order_id: personal.order_id.clone(),
            destroy_day: self.day.saturating_add(KEPT_DAYS.days()),
            ingest_day: self.day,
            last_updated_time: personal.last_updated,
            dek_id: self.wrapped.dek_id.get(),
            sealed: self.dek.seal(&context, personal.pii.as_bytes())?,
        })
    }

    fn stored(&self) -> PiiKey {
        PiiKey {
            ingest_day: self.day,
            dek_id: self.wrapped.dek_id.get(),
            kek_id: self.wrapped.kek_id.clone(),
            kek_version: self.wrapped.kek_version,
            wrapped: self.wrapped.wrapped.clone(),
        }
    }
}
