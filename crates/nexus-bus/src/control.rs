//! Orders to a department on a node: carry out a cancel that is on the ledger, answer an agent's question.
//!
//! A cancel is only a signal, as the ledger is the truth. An answer is awaited: only the node knows which question is open.

use async_nats::{Client, RequestErrorKind, Subject, Subscriber};
use futures_util::StreamExt;
use nexus_core::api::{Answered, Reply};
use nexus_core::id::{DepartmentName, NodeId, TaskId};
use nexus_core::question::QuestionId;
use nexus_core::refusal::{Refusal, RefusalKind};
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
    Answer { task: TaskId, question: Option<QuestionId>, allow: bool },
    /// Make the worker actor that has this task panic. Tests only: refused unless the node was started for faults.
    Panic { task: TaskId },
}

/// Orders that reach a department on this node.
#[derive(Debug)]
pub struct Orders {
    nats: Client,
    subscriber: Subscriber,
}

/// The asker of an order, who waits for its result.
#[derive(Debug)]
pub struct Waiting {
    nats: Client,
    reply: Subject,
}

impl Waiting {
    pub async fn tell(self, result: Result<Answered, Refusal>) {
        let Ok(payload) = serde_json::to_vec(&Reply::from(result)) else { return };
        if let Err(error) = self.nats.publish(self.reply, payload.into()).await {
            tracing::warn!("what came of an order could not be said: {error}");
        }
    }
}

impl Bus {
    /// Listens for orders to a department on a node.
    pub async fn orders(&self, node: &NodeId, department: &DepartmentName) -> Result<Orders, BusError> {
        let subscriber = self.nats.subscribe(subject::control(node, department)).await.map_err(unreachable)?;
        Ok(Orders { nats: self.nats.clone(), subscriber })
    }

    /// Gives an order.
    pub async fn order(&self, node: &NodeId, department: &DepartmentName, order: &Order) -> Result<(), BusError> {
        let payload = serde_json::to_vec(order).map_err(|error| BusError::Refused(error.to_string()))?;
        self.nats.publish(subject::control(node, department), payload.into()).await.map_err(unreachable)
    }

    /// Has a node answer a question of an agent's, and returns which one was answered.
    pub async fn answer(
        &self,
        node: &NodeId,
        department: &DepartmentName,
        (task, question, allow): (TaskId, Option<QuestionId>, bool),
    ) -> Result<Answered, Refusal> {
        let internal = |error: serde_json::Error| Refusal::new(RefusalKind::Internal, format!("an answer: {error}"));
        let payload = serde_json::to_vec(&Order::Answer { task, question, allow }).map_err(internal)?;
        let reply = self.nats.request(subject::control(node, department), payload.into()).await;
        let reply = reply.map_err(|error| match error.kind() {
            RequestErrorKind::NoResponders => Refusal::new(
                RefusalKind::Unreachable,
                format!("the node {node}, which works on task {task}, does not answer; its agent was told nothing"),
            ),
            _ => unreachable(error).into(),
        })?;
        serde_json::from_slice::<Reply<Answered>>(&reply.payload).map_err(internal)?.into()
    }
}

impl Orders {
    /// The next order, and who waits for what comes of it, if anybody does; what can't be read is left out.
    pub async fn next(&mut self) -> Option<(Order, Option<Waiting>)> {
        loop {
            let message = self.subscriber.next().await?;
            match serde_json::from_slice(&message.payload) {
                Ok(order) => {
                    let nats = self.nats.clone();
                    return Some((order, message.reply.map(|reply| Waiting { nats, reply })));
                }
                Err(error) => tracing::warn!("an order that can't be read: {error}"),
            }
        }
    }
}
