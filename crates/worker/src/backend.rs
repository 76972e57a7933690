//! The apalis `Backend`: moves deliveries out of a channel, does no I/O, never fails.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    task::Task,
    worker::context::WorkerContext,
};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::attempt::{AcknowledgeLayer, Delivery};

/// The lanes of one class, as apalis sees them.
#[derive(Debug)]
pub(crate) struct Lanes {
    /// As long as there is room: every delivery holds one of the process's slots.
    deliveries: UnboundedReceiver<Delivery>,
    drain: Pin<Box<WaitForCancellationFutureOwned>>,
    layer: AcknowledgeLayer,
}

impl Lanes {
    pub(crate) fn new(
        deliveries: UnboundedReceiver<Delivery>,
        drain: CancellationToken,
        layer: AcknowledgeLayer,
    ) -> Self {
        Self {
            deliveries,
            drain: Box::pin(drain.cancelled_owned()),
            layer,
        }
    }

    /// Takes nothing more, and gives back what was not started.
    fn give_back(&mut self) {
        self.deliveries.close();
        while let Ok(delivery) = self.deliveries.try_recv() {
            self.layer.release(delivery.context.lease);
        }
    }
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

    /// Ends when the drain begins. apalis then lets what runs end before it closes; what was not started does not
    /// wait for that.
    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, Infallible>>> {
        if self.drain.as_mut().poll(context).is_ready() {
            self.give_back();
            return Poll::Ready(None);
        }
        self.deliveries
            .poll_recv(context)
            .map(|delivery| delivery.map(|delivery| Ok(Task::new(delivery))))
    }

    /// A worker whose backend ended waits for ever unless it is told to stop.
    fn poll_close(
        &mut self,
        _: &mut Context<'_>,
        worker: &WorkerContext,
    ) -> Poll<Result<(), Infallible>> {
        self.give_back();
        // Fails only for a worker that was never started.
        let _ = worker.stop();
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
