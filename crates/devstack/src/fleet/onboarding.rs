//! Sellers become connections of tenants, through the command line alone.

use anyhow::Result;

use super::{Fleet, Seller};

const TENANTS: [&str; 6] = [
    "harbor-supply",
    "alder-home",
    "birch-toys",
    "cedar-books",
    "dune-sport",
    "elm-kitchen",
];

/// The application that every connection authorizes.
pub const APPLICATION: &str = "night-run";

/// One tenant and its sellers.
#[derive(Debug, Clone)]
pub struct TenantPlan {
    /// Its name.
    pub name: &'static str,
    /// Its sellers.
    pub sellers: Vec<Seller>,
}

/// When the nights of the tenants are.
#[derive(Debug, Clone)]
pub enum Night {
    /// At this UTC time, `HH:MM:SS`, spread over this window, such as `10s`.
    At {
        /// When it begins.
        time: String,
        /// Over how long the connections are spread.
        window: String,
    },
    /// As the command line's defaults say.
    Default,
    /// Never.
    None,
}

/// What was onboarded.
#[derive(Debug, Clone)]
pub struct Onboarded {
    /// The tenants, the large one first.
    pub tenants: Vec<TenantPlan>,
}

impl Onboarded {
    /// All connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.tenants.iter().map(|tenant| tenant.sellers.len()).sum()
    }
}

/// Divides sellers among six tenants, of which the first gets three times as many as each other if they are a multiple of
/// eight. Another number comes near that; below eight there are fewer tenants.
#[must_use]
pub fn tenant_plans(sellers: &[Seller]) -> Vec<TenantPlan> {
    let mut plans: Vec<TenantPlan> = TENANTS
        .iter()
        .map(|name| TenantPlan {
            name,
            sellers: Vec::new(),
        })
        .collect();
    // Of every eight sellers three go to the first tenant and one to each of the others.
    let turns = [0, 1, 2, 0, 3, 4, 0, 5];
    for (seller, turn) in sellers.iter().zip(turns.into_iter().cycle()) {
        plans[turn].sellers.push(seller.clone());
    }
    plans.retain(|plan| !plan.sellers.is_empty());
    plans
}

impl Fleet {
    /// Adds the application, the tenants and a connection for every seller of the simulated Amazon.
    ///
    /// # Errors
    /// With what the command line printed.
    pub async fn onboard(&self, night: &Night) -> Result<Onboarded> {
        self.add_application().await?;
        let tenants = tenant_plans(&self.amazon.ready.sellers);
        for tenant in &tenants {
            self.add_tenant(tenant.name, night).await?;
            for seller in &tenant.sellers {
                self.add_connection(tenant.name, seller).await?;
            }
        }
        Ok(Onboarded { tenants })
    }

    /// Adds the simulated Amazon's first application.
    ///
    /// # Errors
    /// With what the command line printed.
    pub async fn add_application(&self) -> Result<()> {
        let application = &self.amazon.ready.applications[0];
        let arguments = [
            "application",
            "add",
            APPLICATION,
            "--client-id",
            &application.client_id,
        ];
        self.cli()
            .run_with_input(&arguments, &application.client_secret)
            .await?;
        Ok(())
    }

    /// Adds a tenant.
    ///
    /// # Errors
    /// With what the command line printed.
    pub async fn add_tenant(&self, name: &str, night: &Night) -> Result<()> {
        let mut arguments = vec!["tenant", "add", name];
        match night {
            Night::At { time, window } => {
                arguments.extend(["--nightly-at", time, "--nightly-window", window]);
            }
            Night::Default => {}
            Night::None => arguments.push("--no-nightly"),
        }
        self.cli().run(&arguments).await?;
        Ok(())
    }

    /// Adds a connection for a seller; it is named like the seller.
    ///
    /// # Errors
    /// With what the command line printed.
    pub async fn add_connection(&self, tenant: &str, seller: &Seller) -> Result<()> {
        let mut arguments = vec!["connection", "add", &seller.seller_id, "--tenant", tenant];
        arguments.extend([
            "--application",
            APPLICATION,
            "--seller-id",
            &seller.seller_id,
        ]);
        arguments.extend(["--region", &seller.region, "--with-pii"]);
        for marketplace in &seller.marketplace_ids {
            arguments.extend(["--marketplace", marketplace]);
        }
        self.cli()
            .run_with_input(&arguments, &seller.refresh_token)
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sellers(count: usize) -> Vec<Seller> {
        let seller = |n| Seller {
            seller_id: format!("A{n}"),
            region: "na".to_owned(),
            marketplace_ids: Vec::new(),
            refresh_token: String::new(),
        };
        (0..count).map(seller).collect()
    }

    #[test]
    fn one_of_six_tenants_is_three_times_the_size_of_the_rest() {
        let sizes: Vec<usize> = tenant_plans(&sellers(24))
            .iter()
            .map(|plan| plan.sellers.len())
            .collect();
        assert_eq!(sizes, [9, 3, 3, 3, 3, 3]);
    }

    #[test]
    fn few_sellers_make_few_tenants_and_none_is_left_out() {
        for count in 1..8 {
            let plans = tenant_plans(&sellers(count));
            assert_eq!(
                plans.iter().map(|plan| plan.sellers.len()).sum::<usize>(),
                count
            );
            assert!(plans.iter().all(|plan| !plan.sellers.is_empty()));
        }
    }
}
