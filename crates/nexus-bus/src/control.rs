//! Orders to a department on a node: carry out a cancel that is on the ledger. Only a signal; the ledger is the truth.

use async_nats::Subscriber;
use futures_util::StreamExt;
use nexus_core::id::{DepartmentName, NodeId, TaskId};
use serde::{Deserialize, Serialize};

use crate::bus::Bus;
use crate::error::{BusError, unreachable};
use crate::subject;

/// Orders to a department.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum Order {
    /// The ledger holds a `cancel_requested` for this task.
    Cancel { task: TaskId, reason: String },
    /// A person's answer to the permission that this task's agent has asked for.
    Answer { task: TaskId, allow: bool },
    /// Make the worker actor that has this task panic. Tests only: refused unless the node was started for faults.
    Panic { task: TaskId },
}

/// Orders that reach a department on this node.
#[derive(Debug)]
pub struct Orders(Subscriber);

impl Bus {
    /// Listens for orders to a department on a node.
    pub async fn orders(&self, node: &NodeId, department: &DepartmentName) -> Result<Orders, BusError> {
        self.nats.subscribe(subject::control(node, department)).await.map(Orders).map_err(unreachable)
    }

    /// Gives an order.
    pub async fn order(&self, node: &NodeId, department: &DepartmentName, order: &Order) -> Result<(), BusError> {
        let payload = serde_json::to_vec(order).map_err(|error| BusError::Refused(error.to_string()))?;
        self.nats.publish(subject::control(node, department), payload.into()).await.map_err(unreachable)
    }
}

impl Orders {
    /// The next order; what can't be read is left out.
    pub async fn next(&mut self) -> Option<Order> {
        loop {
            let message = self.0.next().await?;
            match serde_json::from_slice(&message.payload) {
                Ok(order) => return Some(order),
                Err(error) => tracing::warn!("an order that can't be read: {error}"),
            }
        }
    }
}
