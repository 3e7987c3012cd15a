//! Messages to departments: the newest of each, kept for some days.

use nexus_core::id::{DepartmentName, TaskId};
use nexus_core::message::{MAX_KEPT, Message};

use crate::bus::Bus;
use crate::error::BusError;
use crate::ledger::outgoing;
use crate::subject;

impl Bus {
    /// Keeps a message; the department's oldest goes when there are too many.
    pub async fn send_message(&self, message: &Message) -> Result<(), BusError> {
        let subject = subject::message(&message.department);
        let about =
            message.from.as_ref().map_or_else(|| message.department.to_string(), |from| from.task_id.to_string());
        let message = outgoing(subject, "nexus.message", &about, message.at, None, message)?;
        self.publish(&message).await.map(drop)
    }

    /// The newest messages of a department, at most `limit`, the oldest of them first. What can't be read is left out.
    pub async fn messages(&self, department: &DepartmentName, limit: u32) -> Result<Vec<Message>, BusError> {
        let mut messages = self.messages_at(&subject::message(department)).await?;
        let surplus = messages.len().saturating_sub(limit as usize);
        messages.drain(..surplus);
        Ok(messages)
    }

    /// The number of messages that a task has left, among those that are kept, of all departments.
    pub async fn messages_of(&self, task: TaskId) -> Result<usize, BusError> {
        let messages = self.messages_at(subject::ALL_MESSAGES).await?;
        Ok(messages.iter().filter(|message| message.from.as_ref().is_some_and(|from| from.task_id == task)).count())
    }

    async fn messages_at(&self, pattern: &str) -> Result<Vec<Message>, BusError> {
        let (mut messages, mut from) = (Vec::new(), 1);
        loop {
            let (found, more) = self.read(subject::MESSAGES, pattern, from, MAX_KEPT as usize).await?;
            for stored in &found {
                from = stored.seq + 1;
                match stored.decode::<Message>() {
                    Ok(message) => messages.push(message),
                    Err(error @ (BusError::Unreadable { .. } | BusError::Newer { .. })) => {
                        tracing::warn!("a message is left out: {error}");
                    }
                    Err(error) => return Err(error),
                }
            }
            if !more || found.is_empty() {
                return Ok(messages);
            }
        }
    }
}
