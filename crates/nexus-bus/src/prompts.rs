//! Prompts of agents: one for each attempt, beside its log and kept as long.

use nexus_core::id::TaskId;
use nexus_core::prompt::{Prompt, PromptRecord};
use nexus_core::refusal::{Refusal, RefusalKind};

use crate::bus::Bus;
use crate::client::Client;
use crate::error::BusError;
use crate::ledger::outgoing;
use crate::subject;

/// Parts that are read at once.
const BATCH: usize = 16;

impl Bus {
    /// Stores the prompt of an attempt.
    pub async fn store_prompt(&self, prompt: Prompt) -> Result<(), BusError> {
        let subject = subject::prompt(&prompt.department, prompt.task_id);
        let about = prompt.task_id.to_string();
        for record in prompt.into_records(self.text_limit()) {
            self.publish(&outgoing(subject.clone(), "nexus.prompt", &about, record.at, None, &record)?).await?;
        }
        Ok(())
    }

    /// The newest prompt that is kept of a task: of this attempt, or of any.
    pub async fn prompt(&self, task: TaskId, attempt: Option<u32>) -> Result<Option<Prompt>, BusError> {
        let (mut records, mut from) = (Vec::new(), 1);
        loop {
            let (found, more) = self.read(subject::LOGS, &subject::any_prompt(task), from, BATCH).await?;
            for stored in &found {
                from = stored.seq + 1;
                records.push(stored.decode::<PromptRecord>()?);
            }
            // Of attempts that aren't wanted nothing is held; the newest of all may be any.
            records.retain(|record| attempt.is_none_or(|attempt| record.attempt == attempt));
            if !more || found.is_empty() {
                return Ok(Prompt::newest(&records, attempt));
            }
        }
    }
}

impl Client {
    /// The prompt of a task's agent, word for word: in this attempt, or in the latest.
    pub async fn prompt(&self, task: &str, attempt: Option<u32>) -> Result<Prompt, Refusal> {
        let task = self.status(task).await?.task.task_id;
        let found = self.bus().prompt(task, attempt).await?;
        found.ok_or_else(|| match attempt {
            Some(attempt) => {
                let message = format!("no prompt is kept of attempt {attempt} of task {task}");
                Refusal::new(RefusalKind::NotFound, message).with_help("without --attempt the latest is shown")
            }
            None => Refusal::new(RefusalKind::NotFound, format!("no prompt is kept of task {task}"))
                .with_help("there is one when its first attempt has begun; plain commands are in `nexus status`"),
        })
    }
}
