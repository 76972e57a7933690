//! The class's queue, as a worker process uses it.

use bulkhead_broker::{Broker, BrokerOptions, ConnectError, Permits};
use bulkhead_domain::{Class, Margins};
use bulkhead_service::Outage;

use crate::contact::Contact;

/// The class's queue: one connection for the handlers and their permits. Make one per process, since it also says
/// whether Redis is away.
#[derive(Debug)]
pub struct Queue {
    pub(crate) broker: Broker,
    /// The beat makes a connection of its own.
    pub(crate) options: BrokerOptions,
    pub(crate) contact: Contact,
}

impl Queue {
    /// Connects.
    ///
    /// # Errors
    /// [`ConnectError`]: Redis cannot be reached now.
    pub async fn connect(options: &BrokerOptions, class: Class) -> Result<Self, ConnectError> {
        Ok(Self {
            broker: Broker::connect(options, class).await?,
            options: options.clone(),
            contact: Contact::new(Outage::new("Redis"), options.response_timeout),
        })
    }

    /// Permits under leases of this queue; `plan_scale` multiplies Amazon's usage plans.
    #[must_use]
    pub fn permits(&self, margins: Margins, plan_scale: f64) -> Permits {
        Permits::new(&self.broker, margins, plan_scale)
    }
}
