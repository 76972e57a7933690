//! Sealed secrets go in, and come out only where they are opened.

use std::time::Duration;

use bulkhead_domain::Dataset;
use bulkhead_store::{NewAccessToken, OrderPiiRow, PiiKey, Role, StoreError};
use jiff::{Timestamp, civil::date};

use crate::{
    fixture::{Fixture, enter, scalar, sealed},
    orders::order,
};

#[tokio::test]
async fn a_token_job_finds_its_refresh_token_and_its_applications_newest_secret() {
    let fixture = Fixture::new().await;
    let (seller, _) = (fixture.seller(1).await, fixture.seller(2).await);
    let operator = fixture.store(Role::Operator).await;
    let version = operator
        .applications()
        .add_secret(seller.application, &sealed(9), "ann")
        .await;
    assert_eq!(version.expect("a version"), 2);
    let job = fixture.owed_refresh(seller).await;
    let token = fixture.store(Role::Token).await;
    let mut entered = enter(&token, &job).await;
    assert_eq!(
        entered.refresh_token().await.expect("an answer"),
        Some(sealed(2))
    );
    let credential = entered
        .client_credential()
        .await
        .expect("an answer")
        .expect("a secret");
    assert_eq!((credential.version, credential.secret), (2, sealed(9)));
    assert_eq!(credential.client_id, "amzn1.application-oa2-client.1");
}

#[tokio::test]
async fn a_sync_job_finds_the_access_token_that_the_token_job_left() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let (token, sync) = (
        fixture.store(Role::Token).await,
        fixture.store(Role::Sync).await,
    );
    let sync_job = fixture.owe_sync(seller, "night").await;
    let mut entered = enter(&sync, &sync_job).await;
    assert_eq!(entered.access_token().await.expect("an answer"), None);
    drop(entered);

    let expires_at: Timestamp = "2026-11-24T14:00:00Z".parse().expect("a time");
    let job = fixture.owed_refresh(seller).await;
    for generation in [1, 2] {
        let mut entered = enter(&token, &job).await;
        let fresh = NewAccessToken {
            token: &sealed(7),
            expires_at,
            lifetime: Duration::from_secs(3600),
        };
        assert_eq!(
            entered.replace_access_token(&fresh).await.expect("stored"),
            generation
        );
        entered.commit().await.expect("a commit");
    }
    let mut entered = enter(&sync, &sync_job).await;
    let found = entered
        .access_token()
        .await
        .expect("an answer")
        .expect("a token");
    assert_eq!((found.token, found.expires_at), (sealed(7), expires_at));
    assert_eq!(
        (found.lifetime, found.generation),
        (Duration::from_secs(3600), 2)
    );
    assert_eq!(
        entered
            .entered_connection()
            .await
            .expect("a connection")
            .seller_id,
        "A1SELLER"
    );
}

#[tokio::test]
async fn a_sync_job_cannot_read_a_refresh_token_or_a_client_secret() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let job = fixture.owe_sync(seller, "night").await;
    let sync = fixture.store(Role::Sync).await;
    let answer = enter(&sync, &job).await.refresh_token().await;
    assert!(
        matches!(answer, Err(StoreError::Refused { .. })),
        "{answer:?}"
    );
    let answer = enter(&sync, &job).await.client_credential().await;
    assert!(
        matches!(answer, Err(StoreError::Refused { .. })),
        "{answer:?}"
    );
}

#[tokio::test]
async fn buyer_pii_and_its_key_are_written_together_again_and_again() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let job = fixture.owe_sync(seller, "night").await;
    let sync = fixture.store(Role::Sync).await;
    let key = PiiKey {
        ingest_day: date(2026, 11, 24),
        dek_id: 5,
        kek_id: "pii".to_owned(),
        kek_version: 1,
        wrapped: vec![1; 81],
    };
    let updated = "2026-11-01T00:00:00Z";
    let row = |updated: &str, sealed: u8| OrderPiiRow {
        order_id: "1".to_owned(),
        destroy_day: date(2026, 12, 22),
        ingest_day: key.ingest_day,
        last_updated_time: updated.parse().expect("a time"),
        dek_id: key.dek_id,
        sealed: vec![sealed; 100],
    };
    for (updated, tag, written) in [
        (updated, 1, 1),
        (updated, 2, 1),
        ("2026-10-01T00:00:00Z", 3, 0),
    ] {
        let mut entered = enter(&sync, &job).await;
        let rows = [order("1", updated, "SHIPPED")];
        entered
            .upsert_orders(Dataset::Orders, &rows)
            .await
            .expect("an order");
        let answer = entered.upsert_order_pii(&key, &[row(updated, tag)]).await;
        assert_eq!(answer.expect("written"), written);
        entered.commit().await.expect("a commit");
    }
    let mut admin = fixture.admin().await;
    let kept: Vec<u8> = scalar(&mut admin, "select sealed from bulkhead.order_pii")
        .await
        .expect("one row");
    assert_eq!(kept[0], 2);
    let keys: i64 = scalar(&mut admin, "select count(*) from keystore.pii_keys")
        .await
        .expect("a count");
    assert_eq!(keys, 1);
}
