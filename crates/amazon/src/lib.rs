//! Clients for Login with Amazon and the Selling Partner API.
//!
//! Nothing here waits for a usage plan: every method that sends a request consumes a [`Permit`](bulkhead_broker::Permit), which only the
//! broker makes, and checks it right before the bytes leave. A call without one does not build:
//!
//! ```compile_fail,E0061
//! # use bulkhead_amazon::{SpApi, SellerAccess, orders::OrdersQuery};
//! # async fn call(api: &SpApi, seller: &SellerAccess<'_>, query: &OrdersQuery) {
//! let _ = api.search_orders(seller, query).await;
//! # }
//! ```
//!
//! and a permit is good for one call:
//!
//! ```compile_fail,E0382
//! # use bulkhead_amazon::{SpApi, SellerAccess, orders::OrdersQuery};
//! # use bulkhead_broker::Permit;
//! # async fn call(api: &SpApi, permit: Permit, seller: &SellerAccess<'_>, query: &OrdersQuery) {
//! let _ = api.search_orders(permit, seller, query).await;
//! let _ = api.search_orders(permit, seller, query).await;
//! # }
//! ```
//!
//! | module | noun |
//! |---|---|
//! | [`options`] | hosts, user agent, timeouts; checked before anything is sent |
//! | [`lwa`] | tokens from Login with Amazon |
//! | [`sp_api`] | one client for the three regions |
//! | [`orders`] | Orders 2026-01-01: search with paging, get |
//! | [`orders_v0`] | Orders v0, the fallback |
//! | [`documents`] | reports' documents, from their storage host |
//! | `pace` | what one process paces for itself: Login with Amazon, document hosts |
//! | [`restricted_data`] | the token that v0 needs for buyers' data |
//! | [`order`] | an order as the fleet stores it, whichever version it came through |
//! | [`pii`] | what in an order is a buyer's personal data, and taking it out |
//! | [`error`] | a variant per next step of the caller |
//! | [`call`] | what is known about an answered call |

pub mod call;
mod configuration;
mod document;
pub mod documents;
pub mod error;
pub mod lwa;
mod on_time;
pub mod options;
pub mod order;
pub mod orders;
pub mod orders_v0;
mod pace;
pub mod pii;
pub mod restricted_data;
pub mod sp_api;
mod transport;

pub use call::{CallMeta, Called};
pub use documents::{DocumentError, DocumentUrl, Documents};
pub use error::{CallError, LwaError, RetryCause};
pub use lwa::{ApplicationCredentials, Lwa};
pub use options::{AmazonOptions, OptionsError};
pub use order::{Money, Order, OrderItem};
pub use pii::BuyerPii;
pub use sp_api::{SellerAccess, SpApi};
