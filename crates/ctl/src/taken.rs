//! Something that could not be added, in the operator's words.

use bulkhead_store::AddError;

/// Says which key of the new `what`, called `name`, is taken.
pub fn explained(error: AddError, what: &str, name: &str) -> anyhow::Error {
    let AddError::Exists { constraint, .. } = &error else {
        return error.into();
    };
    let said = if constraint.contains("client_id") {
        "an application with this client id exists already: see `bulkhead application list`"
            .to_owned()
    } else if constraint.contains("seller_id") {
        "this tenant has a connection of this seller, application and region already: see `bulkhead connection list`"
            .to_owned()
    } else {
        format!("there is a {what} `{name}` already: choose another name")
    };
    anyhow::anyhow!(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(constraint: &str) -> String {
        let error = AddError::Exists {
            what: "connection",
            constraint: constraint.to_owned(),
        };
        explained(error, "connection", "shop").to_string()
    }

    #[test]
    fn it_says_which_key_is_taken() {
        assert_eq!(
            shown("connections_tenant_id_name_key"),
            "there is a connection `shop` already: choose another name"
        );
        assert!(
            shown("connections_tenant_id_application_id_seller_id_region_key")
                .contains("of this seller")
        );
        assert!(shown("applications_client_id_key").contains("this client id"));
    }
}
