//! Pages of seller data: written once however often they come, and the newer row wins.

use bulkhead_domain::Dataset;
use bulkhead_store::{AdvanceError, JobRef, JobTx, OrderItemRow, OrderRow, Progress, Role};
use serde_json::json;

use crate::fixture::{Fixture, enter, scalar};

pub(crate) fn order(id: &str, updated: &str, status: &str) -> OrderRow {
    OrderRow {
        order_id: id.to_owned(),
        created_time: "2026-10-31T12:00:00Z".parse().expect("a time"),
        last_updated_time: updated.parse().expect("a time"),
        marketplace_id: Some("A1PA6795UKMFR9".to_owned()),
        fulfillment_status: Some(status.to_owned()),
        fulfilled_by: None,
        total_amount: Some("19.90".to_owned()),
        total_currency: Some("EUR".to_owned()),
        document: json!({ "orderId": id, "unknown": { "kept": true } }),
    }
}

fn item(order: &str, id: &str, updated: &str, quantity: i32) -> OrderItemRow {
    OrderItemRow {
        order_id: order.to_owned(),
        order_item_id: id.to_owned(),
        last_updated_time: updated.parse().expect("a time"),
        asin: Some("B000000001".to_owned()),
        seller_sku: None,
        title: Some("Nägel, 3 × 40 mm".to_owned()),
        quantity_ordered: quantity,
        quantity_fulfilled: None,
        total_amount: None,
        total_currency: None,
        document: json!({}),
    }
}

async fn status_of(fixture: &Fixture, id: &str) -> String {
    let sql = format!("select fulfillment_status from bulkhead.orders where order_id = '{id}'");
    scalar(&mut fixture.admin().await, &sql)
        .await
        .expect("a status")
}

/// A page with two orders and three items, and its checkpoint.
async fn write_page(entered: &mut JobTx) -> Result<(), AdvanceError> {
    let updated = "2026-11-01T00:00:00Z";
    let orders = [
        order("1", updated, "UNSHIPPED"),
        order("2", updated, "UNSHIPPED"),
    ];
    entered.upsert_orders(Dataset::Orders, &orders).await?;
    let items = [
        item("1", "a", updated, 1),
        item("1", "b", updated, 2),
        item("2", "a", updated, 3),
    ];
    entered.upsert_order_items(&items).await?;
    let mut checkpoint = entered.checkpoint(Dataset::Orders).await?;
    checkpoint.page_token = Some("next".to_owned());
    let progress = Progress {
        pages: 1,
        orders: 2,
        order_items: 3,
    };
    entered
        .advance_checkpoint(Dataset::Orders, &mut checkpoint, progress)
        .await
}

async fn counts(fixture: &Fixture) -> Vec<i64> {
    let mut admin = fixture.admin().await;
    let mut counts = Vec::new();
    for table in ["orders", "order_items", "checkpoints"] {
        let sql = format!("select count(*) from bulkhead.{table}");
        counts.push(scalar(&mut admin, &sql).await.expect("a count"));
    }
    counts
}

async fn one_job(fixture: &Fixture) -> JobRef {
    let seller = fixture.seller(1).await;
    fixture.owe_sync(seller, "night").await
}

#[tokio::test]
async fn a_page_that_is_written_again_changes_no_row_count() {
    let fixture = Fixture::new().await;
    let job = one_job(&fixture).await;
    let sync = fixture.store(Role::Sync).await;
    for _ in 0..3 {
        let mut entered = enter(&sync, &job).await;
        write_page(&mut entered).await.expect("a page");
        entered.commit().await.expect("a commit");
        assert_eq!(counts(&fixture).await, [2, 3, 1]);
    }
    let mut admin = fixture.admin().await;
    let kept = "select count(*) from bulkhead.orders where total_amount = 19.90 and document #>> '{unknown,kept}' = 'true'";
    assert_eq!(scalar::<i64>(&mut admin, kept).await.expect("a count"), 2);
}

#[tokio::test]
async fn rows_and_checkpoint_are_committed_together_or_not_at_all() {
    let fixture = Fixture::new().await;
    let job = one_job(&fixture).await;
    let sync = fixture.store(Role::Sync).await;
    let mut dropped = enter(&sync, &job).await;
    write_page(&mut dropped).await.expect("a page");
    drop(dropped);
    assert_eq!(counts(&fixture).await, [0, 0, 0]);
    let mut entered = enter(&sync, &job).await;
    write_page(&mut entered).await.expect("a page");
    entered.commit().await.expect("a commit");
    assert_eq!(counts(&fixture).await, [2, 3, 1]);
}

#[tokio::test]
async fn an_older_page_does_not_undo_a_newer_one() {
    let fixture = Fixture::new().await;
    let job = one_job(&fixture).await;
    let sync = fixture.store(Role::Sync).await;
    let (old, new) = ("2026-11-01T00:00:00Z", "2026-11-02T00:00:00.123456Z");
    for (updated, status, written) in [
        (old, "UNSHIPPED", 1),
        (new, "SHIPPED", 1),
        (old, "UNSHIPPED", 0),
        (new, "SHIPPED", 1),
    ] {
        let mut entered = enter(&sync, &job).await;
        let rows = [order("1", updated, status)];
        let orders = entered
            .upsert_orders(Dataset::Orders, &rows)
            .await
            .expect("orders");
        let items = entered
            .upsert_order_items(&[item("1", "a", updated, written)])
            .await;
        assert_eq!(
            (orders, items.expect("items")),
            (
                u64::from(written.unsigned_abs()),
                u64::from(written.unsigned_abs())
            )
        );
        entered.commit().await.expect("a commit");
    }
    assert_eq!(status_of(&fixture, "1").await, "SHIPPED");
}

#[tokio::test]
async fn a_thousand_orders_are_one_statement() {
    let fixture = Fixture::new().await;
    let job = one_job(&fixture).await;
    let sync = fixture.store(Role::Sync).await;
    let rows: Vec<OrderRow> = (0..1_000)
        .map(|n| order(&n.to_string(), "2026-11-01T00:00:00Z", "UNSHIPPED"))
        .collect();
    let mut entered = enter(&sync, &job).await;
    let written = entered.upsert_orders(Dataset::Orders, &rows).await;
    assert_eq!(written.expect("orders"), 1_000);
    assert_eq!(
        entered
            .upsert_orders(Dataset::Orders, &[])
            .await
            .expect("none"),
        0
    );
}

#[tokio::test]
async fn a_checkpoint_that_moved_since_it_was_read_is_not_moved_again() {
    let fixture = Fixture::new().await;
    let seller = fixture.seller(1).await;
    let sync = fixture.store(Role::Sync).await;
    let (one, two) = (
        fixture.owe_sync(seller, "one").await,
        fixture.owe_sync(seller, "two").await,
    );
    for _ in 0..2 {
        let mut reader = enter(&sync, &one).await;
        let mut stale = reader
            .checkpoint(Dataset::Orders)
            .await
            .expect("a checkpoint");
        reader.commit().await.expect("a commit");

        let mut faster = enter(&sync, &two).await;
        let mut current = faster
            .checkpoint(Dataset::Orders)
            .await
            .expect("a checkpoint");
        for _ in 0..2 {
            let advanced = faster
                .advance_checkpoint(Dataset::Orders, &mut current, Progress::default())
                .await;
            advanced.expect("moved on twice in one transaction");
        }
        faster.commit().await.expect("a commit");

        let mut slower = enter(&sync, &one).await;
        let answer = slower
            .advance_checkpoint(Dataset::Orders, &mut stale, Progress::default())
            .await;
        assert!(matches!(answer, Err(AdvanceError::Moved)), "{answer:?}");
    }
}

#[tokio::test]
async fn a_checkpoint_comes_back_as_it_was_left() {
    let fixture = Fixture::new().await;
    let job = one_job(&fixture).await;
    let sync = fixture.store(Role::Sync).await;
    let time = |text: &str| Some(text.parse().expect("a time"));
    let mut entered = enter(&sync, &job).await;
    let mut left = entered
        .checkpoint(Dataset::Orders)
        .await
        .expect("a checkpoint");
    assert_eq!(left, Default::default());
    left.watermark = time("2026-11-01T00:00:00Z");
    left.pass_after = time("2026-11-01T00:00:00Z");
    left.pass_before = time("2026-11-02T00:00:00Z");
    left.page_token = Some("page 2".to_owned());
    let progress = Progress {
        pages: 1,
        orders: 100,
        order_items: 180,
    };
    entered
        .advance_checkpoint(Dataset::Orders, &mut left, progress)
        .await
        .expect("moved");
    entered.commit().await.expect("a commit");
    let mut entered = enter(&sync, &job).await;
    assert_eq!(
        entered
            .checkpoint(Dataset::Orders)
            .await
            .expect("a checkpoint"),
        left
    );
    assert_eq!(
        entered
            .checkpoint(Dataset::OrdersV0)
            .await
            .expect("another dataset")
            .pages,
        0
    );

    let operator = fixture.store(Role::Operator).await;
    let progress = operator
        .checkpoints()
        .list(None, 10)
        .await
        .expect("progress");
    assert_eq!(
        (
            progress[0].pages,
            progress[0].orders,
            progress[0].order_items
        ),
        (1, 100, 180)
    );
}
