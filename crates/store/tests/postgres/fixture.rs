//! Two tenants, each with a connection, a sync that is owed, and an access token to come.

use bulkhead_devstack::{Cluster, Database, TemplateDatabase};
use bulkhead_domain::{
    ApplicationId, ConnectionId, Dataset, FencingToken, JobId, JobKind, Priority, Region, TenantId,
};
use bulkhead_store::{
    Entered, JobRef, JobTx, Migrator, NewApplication, NewConnection, NewSync, NewTenant,
    ObligationFilter, Role, SealedColumn, Store, StoreOptions,
};
use jiff::Timestamp;
use sqlx::{Connection as _, PgConnection, postgres::PgQueryResult};
use uuid::Uuid;

pub(crate) struct Fixture {
    pub(crate) database: Database,
}

/// A connection of a tenant of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seller {
    pub(crate) tenant: TenantId,
    pub(crate) application: ApplicationId,
    pub(crate) connection: ConnectionId,
}

pub(crate) async fn template() -> TemplateDatabase {
    let cluster = Cluster::shared().await.expect("a cluster");
    TemplateDatabase::new(
        cluster,
        "store",
        &Migrator::digest(),
        async |url: String| Migrator::run(&url).await.map(drop),
    )
    .await
    .expect("a migrated template")
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let database = template().await.clone_database().await.expect("a clone");
        Self { database }
    }

    pub(crate) async fn store(&self, role: Role) -> Store {
        let url = self.database.url(role.login());
        Store::connect(&StoreOptions::new(&url, "test"), role)
            .await
            .expect("a session")
    }

    /// A session of a login that is not held by the store's API.
    pub(crate) async fn session(&self, login: &str) -> PgConnection {
        let url = self.database.url(login);
        PgConnection::connect(&url).await.expect("a session")
    }

    pub(crate) async fn admin(&self) -> PgConnection {
        let url = self.database.admin_url();
        PgConnection::connect(&url).await.expect("a session")
    }

    /// The `n`th seller, of the `n`th tenant.
    pub(crate) async fn seller(&self, n: u128) -> Seller {
        let operator = self.store(Role::Operator).await;
        let seller = Seller {
            tenant: TenantId::new(Uuid::from_u128(0x1000 + n)),
            application: ApplicationId::new(Uuid::from_u128(0x2000 + n)),
            connection: ConnectionId::new(Uuid::from_u128(0x3000 + n)),
        };
        let name = format!("seller {n}");
        let tenant = NewTenant {
            id: seller.tenant,
            name: &name,
            policy: "default",
            weight: 1.0,
            classes: &[],
        };
        let tenants = operator.tenants();
        tenants.add(&tenant, None, "ann").await.expect("a tenant");
        let application = NewApplication {
            id: seller.application,
            name: &name,
            client_id: &format!("amzn1.application-oa2-client.{n}"),
            client_secret: &sealed(1),
        };
        let applications = operator.applications();
        applications
            .add(&application, "ann")
            .await
            .expect("an application");
        self.connect_seller(&operator, seller, &name).await;
        seller
    }

    async fn connect_seller(&self, operator: &Store, seller: Seller, name: &str) {
        let connection = NewConnection {
            tenant: seller.tenant,
            id: seller.connection,
            application: seller.application,
            name,
            region: Region::Eu,
            seller_id: "A1SELLER",
            marketplace_ids: &["A1PA6795UKMFR9".to_owned()],
            includes_pii: true,
            refresh_token: &sealed(2),
        };
        let connections = operator.connections();
        connections
            .add(&connection, "ann")
            .await
            .expect("a connection");
    }

    /// Owes `seller` a sync, due now.
    pub(crate) async fn owe_sync(&self, seller: Seller, name: &str) -> JobRef {
        let scheduler = self.store(Role::Scheduler).await;
        let sync = sync_of(seller, name);
        let planned = scheduler
            .obligations()
            .plan(std::slice::from_ref(&sync))
            .await;
        planned.expect("an obligation");
        job_ref(seller, sync.id, &sync)
    }

    /// The token refresh that `seller` is owed.
    pub(crate) async fn owed_refresh(&self, seller: Seller) -> JobRef {
        let operator = self.store(Role::Operator).await;
        let filter = ObligationFilter {
            connection: Some(seller.connection),
            kind: Some(JobKind::TokenRefresh),
            ..ObligationFilter::default()
        };
        let listed = operator.obligations().list(&filter, 10).await;
        let owed = listed.expect("obligations");
        let live = owed.iter().find(|one| !one.state.is_final());
        let live = live.expect("a live token refresh");
        JobRef {
            tenant: seller.tenant,
            connection: seller.connection,
            job: live.id,
            day: live.day,
            token: token(1),
            attempt: 1,
        }
    }
}

pub(crate) fn sync_of(seller: Seller, name: &str) -> NewSync {
    NewSync {
        tenant: seller.tenant,
        id: JobId::deterministic(&[&seller.connection.to_string(), name]),
        connection: seller.connection,
        application: seller.application,
        dataset: Dataset::Orders,
        since: None,
        priority: Priority::NIGHT,
        due_at: Timestamp::now(),
        deadline: None,
    }
}

fn job_ref(seller: Seller, job: JobId, sync: &NewSync) -> JobRef {
    JobRef {
        tenant: seller.tenant,
        connection: seller.connection,
        job,
        day: sync.day(),
        token: token(1),
        attempt: 1,
    }
}

pub(crate) fn token(number: u64) -> FencingToken {
    FencingToken::from_redis(number).expect("a token")
}

pub(crate) fn sealed(tag: u8) -> SealedColumn {
    SealedColumn {
        dek_id: i64::from(tag) + 100,
        kek_id: "test".to_owned(),
        kek_version: 1,
        wrapped_dek: vec![tag; 81],
        sealed: vec![tag; 90],
    }
}

/// Enters `job`, which must succeed.
pub(crate) async fn enter(store: &Store, job: &JobRef) -> JobTx {
    match store.enter(job).await.expect("an answer") {
        Entered::Job(entered) => entered,
        other => panic!("not entered: {other:?}"),
    }
}

/// Enters `job` in a session of the test's own, in the transaction that it begins.
pub(crate) async fn begin_and_enter(session: &mut PgConnection, job: &JobRef) {
    run(session, "begin").await.expect("a transaction");
    let enter = format!(
        "select bulkhead.enter_job('{}', '{}', '{}', '{}', {}, 1)",
        job.tenant, job.connection, job.job, job.day, job.token
    );
    let word: String = scalar(session, &enter).await.expect("an answer");
    assert_eq!(word, "ENTERED");
}

pub(crate) async fn run(
    session: &mut PgConnection,
    sql: &str,
) -> Result<PgQueryResult, sqlx::Error> {
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned()))
        .execute(session)
        .await
}

pub(crate) async fn scalar<T>(session: &mut PgConnection, sql: &str) -> Result<T, sqlx::Error>
where
    T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned()))
        .fetch_one(session)
        .await
}

/// What Postgres said; the test fails if it said yes.
pub(crate) fn refusal<T>(answer: Result<T, sqlx::Error>, to: &str) -> String {
    match answer {
        Err(sqlx::Error::Database(error)) => error.message().to_owned(),
        Err(other) => panic!("{to}: {other}"),
        Ok(_) => panic!("allowed: {to}"),
    }
}
