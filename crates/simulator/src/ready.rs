//! What clients need to know, printed as one JSON line when the simulator answers.

use serde::Serialize;

use crate::world::World;

/// Addresses and credentials. Secrets here are generated and open nothing but the simulator.
#[derive(Debug, Clone, Serialize)]
pub struct Ready {
    /// Login with Amazon's token endpoint.
    pub lwa_url: String,
    /// Base URLs of the Selling Partner API.
    pub endpoints: Endpoints,
    /// The applications that may ask for tokens.
    pub applications: Vec<ReadyApplication>,
    /// The sellers that have authorized one of them.
    pub sellers: Vec<ReadySeller>,
    /// Base URL of the simulator's own controls.
    pub control_url: String,
}

/// Base URLs by region; one server answers for all.
#[derive(Debug, Clone, Serialize)]
pub struct Endpoints {
    /// North America.
    pub na: String,
    /// Europe, Middle East, India.
    pub eu: String,
    /// Far East.
    pub fe: String,
}

/// A developer's application.
#[derive(Debug, Clone, Serialize)]
pub struct ReadyApplication {
    /// `amzn1.application-oa2-client.…`
    pub client_id: String,
    /// `amzn1.oa2-cs.v1.…`
    pub client_secret: String,
    /// `amzn1.sp.solution.…`
    pub application_id: String,
}

/// A seller.
#[derive(Debug, Clone, Serialize)]
pub struct ReadySeller {
    /// The selling partner's id.
    pub seller_id: String,
    /// `na`, `eu` or `fe`.
    pub region: String,
    /// Marketplaces in which it sells.
    pub marketplace_ids: Vec<String>,
    /// `Atzr|…`, valid for `application_id` until it is revoked.
    pub refresh_token: String,
    /// The application that it has authorized.
    pub application_id: String,
}

impl Ready {
    pub(crate) fn of(world: &World) -> Self {
        let base = &world.base_url;
        Self {
            lwa_url: format!("{base}/auth/o2/token"),
            endpoints: Endpoints {
                na: base.clone(),
                eu: base.clone(),
                fe: base.clone(),
            },
            applications: applications(world),
            sellers: sellers(world),
            control_url: format!("{base}/_simulator"),
        }
    }
}

fn applications(world: &World) -> Vec<ReadyApplication> {
    let ready = |application: &crate::world::Application| ReadyApplication {
        client_id: application.client_id.clone(),
        client_secret: application.client_secret.clone(),
        application_id: application.application_id.clone(),
    };
    world.applications.iter().map(ready).collect()
}

fn sellers(world: &World) -> Vec<ReadySeller> {
    let ready = |seller: &crate::seller::Seller| ReadySeller {
        seller_id: seller.id.clone(),
        region: seller.region.to_owned(),
        marketplace_ids: seller
            .marketplaces
            .iter()
            .map(|m| m.id.to_owned())
            .collect(),
        refresh_token: seller.refresh_token.clone(),
        application_id: world.applications[usize::from(seller.application)]
            .application_id
            .clone(),
    };
    world.sellers.iter().map(ready).collect()
}
