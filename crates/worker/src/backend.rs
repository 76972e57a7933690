//! The apalis `Backend`: moves deliveries out of a channel, does no I/O, never fails.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    task::Task,
    worker::context::WorkerContext,
};
use bulkhead_broker::{Acknowledgement, Outcome as LeaseOutcome};
use tokio::sync::mpsc::{Receiver, UnboundedSender};

use crate::attempt::{AcknowledgeLayer, Delivery};

/// The lanes of one class, as apalis sees them.
#[derive(Debug)]
pub(crate) struct Lanes {
    pub(crate) deliveries: Receiver<Delivery>,
    pub(crate) acknowledge: UnboundedSender<Acknowledgement>,
    pub(crate) layer: AcknowledgeLayer,
}

impl Backend for Lanes {
    type Task = Task<Delivery>;
    type Error = Infallible;

    fn poll_ready(
        &mut self,
        _: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, Infallible>>> {
        self.deliveries
            .poll_recv(context)
            .map(|delivery| delivery.map(|delivery| Ok(Task::new(delivery))))
    }

    /// Gives back what was not started.
    fn poll_close(
        &mut self,
        _: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Result<(), Infallible>> {
        self.deliveries.close();
        while let Ok(delivery) = self.deliveries.try_recv() {
            let _closed = self.acknowledge.send(Acknowledgement {
                lease: delivery.context.lease,
                outcome: LeaseOutcome::Release,
            });
        }
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for Lanes {
    type Args = Delivery;
    type Id = String;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = AcknowledgeLayer;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> AcknowledgeLayer {
        self.layer.clone()
    }
}
