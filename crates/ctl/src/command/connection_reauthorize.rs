//! `bulkhead connection reauthorize`

use std::path::PathBuf;

use bulkhead_store::ConnectionState;

use crate::{
    directory,
    moved::{Moved, MovedEntry},
    sealed::RefreshTokenSealer,
    secret_input,
    secret_shape::Wanted,
    session::Session,
};

/// Replaces a connection's refresh token after the seller has authorized the application again
///
/// A connection that Amazon had refused is worked for again; a fresh access token is owed at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  bulkhead connection list --state reauthorize
  bulkhead connection reauthorize acme/shop-eu < refresh-token")]
pub(crate) struct ConnectionReauthorize {
    /// Which: TENANT/NAME, name or id
    connection: String,

    /// A file with the refresh token; otherwise it is read from standard input
    #[arg(long, value_name = "FILE")]
    refresh_token_file: Option<PathBuf>,
}

impl ConnectionReauthorize {
    pub(super) async fn run(self, session: &mut Session) -> anyhow::Result<()> {
        let sealer = RefreshTokenSealer::new(&session.keyring()?)?;
        let store = session.store().await?;
        let one = directory::connection(&store, None, &self.connection).await?;
        let token = secret_input::read(Wanted::RefreshToken, self.refresh_token_file.as_deref())?;
        let sealed = sealer.seal(one.tenant, one.id, &token)?;
        let done = store
            .connections()
            .reauthorize(one.tenant, one.id, &sealed, session.actor())
            .await?;
        if !done {
            anyhow::bail!(
                "{} is {}: its refresh token was not replaced{}",
                directory::path(&one),
                one.state,
                remedy(one.state)
            );
        }
        let mut moved = Moved::default();
        moved.add(MovedEntry::reauthorized(&one));
        session.show(&moved)
    }
}

const fn remedy(state: ConnectionState) -> &'static str {
    match state {
        ConnectionState::Paused => "; resume it first: `bulkhead connection resume`",
        _ => "",
    }
}
