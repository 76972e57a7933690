//! Amazon over HTTP, for development and tests: written from Amazon's own models, sharing no type
//! with the clients that it judges.
//!
//! One port answers for Login with Amazon, the Selling Partner API of all regions, the storage that
//! reports are downloaded from, and, under `/_simulator/`, the simulator's own controls. All data
//! follow from a seed and the time: see [`Options`].

mod access;
mod access_token;
mod answer;
mod books;
mod call;
mod catalog;
mod clock;
mod connection;
mod control;
mod dice;
mod faults;
mod gate;
mod items;
mod journal;
mod life;
mod lwa;
mod marketplace;
mod opaque;
mod operation;
mod options;
mod order;
mod orders;
mod query;
mod ready;
mod reports;
mod restricted;
mod seller;
mod sellers;
mod served;
mod server;
mod usage_plan;
mod world;

pub use self::{
    options::Options,
    ready::{Endpoints, Ready, ReadyApplication, ReadySeller},
    server::{Running, Simulator, StartError},
};
