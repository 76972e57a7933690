//! The commands, one file each.

mod application_add;
mod application_list;
mod cap_clear;
mod cap_list;
mod cap_set;
mod class_pause;
mod class_resume;
mod completions;
mod connection_add;
mod connection_list;
mod connection_pause;
mod connection_reauthorize;
mod connection_resume;
mod enqueue_sync;
mod jobs_cancel;
mod jobs_list;
mod jobs_retry;
mod jobs_show;
mod keys_generate;
mod migrate;
mod plan_sync;
mod plans_reset;
mod plans_set;
mod plans_show;
mod status;
mod tenant_add;
mod tenant_list;
mod tenant_pause;
mod tenant_resume;
mod tenant_weight;

use crate::session::Session;

/// A command.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Migrate(migrate::Migrate),
    /// Keys that seal credentials and buyer data
    #[command(subcommand)]
    Keys(Keys),
    /// Customers of the platform
    #[command(subcommand)]
    Tenant(Tenant),
    /// Login-with-Amazon clients that sellers authorize
    #[command(subcommand)]
    Application(Application),
    /// Sellers' authorizations
    #[command(subcommand)]
    Connection(Connection),
    /// Kinds of workers, each with a queue of its own
    #[command(subcommand)]
    Class(Class),
    /// How many jobs may run at once
    #[command(subcommand)]
    Cap(Cap),
    /// Owe work now, beside the schedules
    #[command(subcommand)]
    Enqueue(Enqueue),
    /// How long work takes, before it is owed
    #[command(subcommand)]
    Plan(Plan),
    /// Amazon's usage plans, as they are in force
    #[command(subcommand)]
    Plans(Plans),
    /// What is owed, runs, is done or was given up
    #[command(subcommand)]
    Jobs(Jobs),
    Status(status::Status),
    Completions(completions::Completions),
}

/// `bulkhead keys …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Keys {
    Generate(keys_generate::KeysGenerate),
}

/// `bulkhead tenant …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Tenant {
    Add(tenant_add::TenantAdd),
    List(tenant_list::TenantList),
    Pause(tenant_pause::TenantPause),
    Resume(tenant_resume::TenantResume),
    Weight(tenant_weight::TenantWeight),
}

/// `bulkhead application …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Application {
    Add(application_add::ApplicationAdd),
    List(application_list::ApplicationList),
}

/// `bulkhead connection …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Connection {
    Add(connection_add::ConnectionAdd),
    List(connection_list::ConnectionList),
    Pause(connection_pause::ConnectionPause),
    Resume(connection_resume::ConnectionResume),
    Reauthorize(connection_reauthorize::ConnectionReauthorize),
}

/// `bulkhead class …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Class {
    Pause(class_pause::ClassPause),
    Resume(class_resume::ClassResume),
}

/// `bulkhead cap …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Cap {
    Set(cap_set::CapSet),
    Clear(cap_clear::CapClear),
    List(cap_list::CapList),
}

/// `bulkhead enqueue …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Enqueue {
    Sync(enqueue_sync::EnqueueSync),
}

/// `bulkhead plan …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Plan {
    Sync(plan_sync::PlanSync),
}

/// `bulkhead plans …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Plans {
    Show(plans_show::PlansShow),
    Set(plans_set::PlansSet),
    Reset(plans_reset::PlansReset),
}

/// `bulkhead jobs …`
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Jobs {
    List(jobs_list::JobsList),
    Show(jobs_show::JobsShow),
    Retry(jobs_retry::JobsRetry),
    Cancel(jobs_cancel::JobsCancel),
}

impl Command {
    /// Runs it.
    ///
    /// # Errors
    /// Why it failed.
    pub(crate) async fn run(self, session: &mut Session) -> anyhow::Result<()> {
        match self {
            Self::Migrate(command) => command.run(session).await,
            Self::Keys(Keys::Generate(command)) => command.run(session),
            Self::Tenant(Tenant::Add(command)) => command.run(session).await,
            Self::Tenant(Tenant::List(command)) => command.run(session).await,
            Self::Tenant(Tenant::Pause(command)) => command.run(session).await,
            Self::Tenant(Tenant::Resume(command)) => command.run(session).await,
            Self::Tenant(Tenant::Weight(command)) => command.run(session).await,
            Self::Application(Application::Add(command)) => command.run(session).await,
            Self::Application(Application::List(command)) => command.run(session).await,
            Self::Connection(Connection::Add(command)) => command.run(session).await,
            Self::Connection(Connection::List(command)) => command.run(session).await,
            Self::Connection(Connection::Pause(command)) => command.run(session).await,
            Self::Connection(Connection::Resume(command)) => command.run(session).await,
            Self::Connection(Connection::Reauthorize(command)) => command.run(session).await,
            Self::Class(Class::Pause(command)) => command.run(session).await,
            Self::Class(Class::Resume(command)) => command.run(session).await,
            Self::Cap(Cap::Set(command)) => command.run(session).await,
            Self::Cap(Cap::Clear(command)) => command.run(session).await,
            Self::Cap(Cap::List(command)) => command.run(session).await,
            Self::Enqueue(Enqueue::Sync(command)) => command.run(session).await,
            Self::Plan(Plan::Sync(command)) => command.run(session).await,
            Self::Plans(Plans::Show(command)) => command.run(session).await,
            Self::Plans(Plans::Set(command)) => command.run(session).await,
            Self::Plans(Plans::Reset(command)) => command.run(session).await,
            Self::Jobs(Jobs::List(command)) => command.run(session).await,
            Self::Jobs(Jobs::Show(command)) => command.run(session).await,
            Self::Jobs(Jobs::Retry(command)) => command.run(session).await,
            Self::Jobs(Jobs::Cancel(command)) => command.run(session).await,
            Self::Status(command) => command.run(session).await,
            Self::Completions(command) => command.run(session),
        }
    }
}
