//! The histograms of waits of each tenant, of the last hours.

use std::collections::BTreeMap;

use bulkhead_domain::TenantId;
use uuid::Uuid;

use crate::{
    body::uuid_at,
    broker::Broker,
    inspect::{InspectError, PAGE},
    script,
    wait_histogram::WaitHistogram,
};

const HOUR_S: i64 = 3_600;

impl Broker {
    /// Adds starts of jobs of `shard` to this hour's histograms.
    ///
    /// # Errors
    /// [`InspectError`]: some may have been added. Repeating it may count them twice.
    pub async fn add_waits(
        &self,
        shard: u16,
        waits: &BTreeMap<TenantId, WaitHistogram>,
    ) -> Result<(), InspectError> {
        let counted: Vec<_> = waits
            .iter()
            .flat_map(|(tenant, waits)| waits.counted().map(move |one| (tenant, one)))
            .collect();
        for page in counted.chunks(PAGE) {
            let mut call = script::WAITS.on(self.shard(shard), &self.now());
            for (tenant, (bucket, count)) in page {
                call.arg(&[tenant.uuid().as_bytes(), &[*bucket][..]].concat()[..])
                    .arg(*count);
            }
            call.run::<()>(&self.redis).await?;
        }
        Ok(())
    }

    /// How long each tenant's jobs waited in this class until they were started, in this hour and the one before.
    ///
    /// # Errors
    /// [`InspectError`]: repeat it.
    pub async fn waits(&self) -> Result<BTreeMap<TenantId, WaitHistogram>, InspectError> {
        let mut waits: BTreeMap<TenantId, WaitHistogram> = BTreeMap::new();
        let hour = self
            .options
            .clock
            .about_now()
            .as_second()
            .div_euclid(HOUR_S);
        for shard in self.shards.iter() {
            // This host's clock may be behind that of Redis.
            for hour in hour - 1..=hour + 1 {
                let counts = self.counts(&shard.key(&format!("waits:{hour}"))).await?;
                for ((tenant, bucket), count) in counts {
                    let tenant = waits.entry(TenantId::new(tenant)).or_default();
                    tenant.add(bucket.into(), count);
                }
            }
        }
        Ok(waits)
    }

    /// The counts of each tenant and bucket in one key, page by page; a page may bring one twice.
    async fn counts(&self, key: &str) -> Result<BTreeMap<(Uuid, u8), u64>, InspectError> {
        let (mut counts, mut cursor) = (BTreeMap::new(), 0_u64);
        loop {
            let mut command = redis::cmd("HSCAN");
            command.arg(key).arg(cursor).arg("COUNT").arg(PAGE);
            let (next, page): (u64, Vec<(Vec<u8>, u64)>) =
                command.query_async(&mut self.redis.clone()).await?;
            for (field, count) in page {
                if let (Some(tenant), Some(bucket)) = (uuid_at(&field, 0), field.get(16)) {
                    counts.insert((tenant, *bucket), count);
                }
            }
            if next == 0 {
                return Ok(counts);
            }
            cursor = next;
        }
    }
}
