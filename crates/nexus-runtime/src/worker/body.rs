//! The process of an attempt: what is heard of it, and which limits it exceeds.

use std::future::pending;

use nexus_core::attempt::{ExitStatus, Input};
use nexus_core::department::{Limits, LimitsTier};
use nexus_core::event::{Failure, FailureKind, Protection, Usage};
use nexus_process::{Event, Events, Limit, Tree, Vitals, Watch};
use nexus_workspace::Prepared;

use super::brief::PromptFile;
use super::door::Door;
use super::drive::millis;
use super::gateway::Gateway;
use super::launch::{NotStarted, Started};
use super::speech::{Meanwhile, Speech};
use super::terminals::Terminals;
use crate::board::Slot;
use crate::node::Node;

/// The process of an attempt.
#[derive(Debug, Default)]
pub(super) struct Body {
    pub(super) tree: Option<Tree>,
    pub(super) events: Option<Events>,
    pub(super) workspace: Option<Prepared>,
    pub(super) protection: Option<Protection>,
    pub(super) gateway: Option<Gateway>,
    /// Who reads what it says, if it speaks in messages.
    pub(super) speech: Option<Speech>,
    /// Commands that are run for it.
    pub(super) terminals: Option<Terminals>,
    /// Of a tree that isn't among this machine's processes.
    pub(super) vitals: Option<Watch>,
    /// Kept until the attempt is over.
    pub(super) _prompt: Option<PromptFile>,
    /// The same.
    pub(super) _door: Option<Door>,
}

impl Body {
    /// Its agent waits for an answer.
    pub(super) fn asks(&self) -> bool {
        self.speech.as_ref().is_some_and(Speech::asks)
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        let report = self.tree.as_ref()?.gone().report()?;
        Some(Usage { peak_memory_bytes: report.peak_memory, cpu_ms: report.cpu_time.map(millis) })
    }

    /// The limit that is exceeded, where nothing but this look holds the limits.
    pub(super) fn excess(&self, vitals: Vitals, limits: &Limits) -> Option<Failure> {
        if self.protection.as_ref()?.limits != LimitsTier::Sampled.as_str() {
            return None;
        }
        if limits.memory.is_some_and(|limit| vitals.memory > limit.bytes()) {
            return Some(excess(Limit::Memory, limits));
        }
        // The init of a namespace and who waits for it are none of the agent's.
        let own = vitals.processes.saturating_sub(if self.is_in_a_namespace() { 2 } else { 0 });
        limits.processes.is_some_and(|limit| own > limit).then(|| excess(Limit::Processes, limits))
    }

    fn is_in_a_namespace(&self) -> bool {
        self.protection.as_ref().is_some_and(|protection| protection.tree == "pid_namespace")
    }

    /// A watch over its use of resources, to be looked at now and then.
    pub(super) fn watch(&self, node: &Node) -> Option<Watch> {
        let target = self.tree.as_ref().and_then(Tree::target);
        self.vitals.clone().or_else(|| Some(node.sampler.watch(target?)))
    }

    pub(super) fn arrive(&mut self, started: Result<Started, NotStarted>, slot: &Slot) -> Input {
        match started {
            Ok(Started { tree, events, workspace, prompt, speech, terminals, door, protection, gateway, vitals }) => {
                slot.runs(&tree, vitals.clone(), protection.clone());
                if let Some(conversation) = speech.as_ref().and_then(Speech::conversation) {
                    slot.converses(conversation.clone());
                }
                *self = Self {
                    tree: Some(tree),
                    events: Some(events),
                    workspace: Some(workspace),
                    protection: Some(protection),
                    gateway,
                    speech,
                    terminals,
                    vitals,
                    _prompt: prompt,
                    _door: door,
                };
                Input::Spawned
            }
            Err(NotStarted { failure, workspace }) => {
                self.workspace = workspace;
                Input::NotStarted(failure)
            }
        }
    }
}

pub(super) async fn meanwhile(speech: &mut Option<Speech>) -> Meanwhile {
    match speech {
        Some(speech) => speech.meanwhile().await,
        None => pending().await,
    }
}

/// A command that is run for the agent has done something.
pub(super) async fn stirred(terminals: Option<&Terminals>) {
    match terminals {
        Some(terminals) => terminals.stirred().await,
        None => pending().await,
    }
}

pub(super) async fn next_refusal(gateway: &mut Option<Gateway>) -> String {
    match gateway {
        Some(gateway) => gateway.next().await,
        None => pending().await,
    }
}

pub(super) async fn next_look(watch: &mut Option<Watch>) -> Vitals {
    match watch {
        Some(watch) => watch.next().await,
        None => pending().await,
    }
}

/// The result's failure for a limit that was hit.
pub(super) fn excess(limit: Limit, limits: &Limits) -> Failure {
    let (kind, message) = match limit {
        Limit::Memory => {
            let limit = limits.memory.map(|limit| limit.to_string()).unwrap_or_default();
            (FailureKind::Memory, format!("needed more than its {limit} of memory (limits.memory)"))
        }
        Limit::Processes => {
            let limit = limits.processes.unwrap_or_default();
            (FailureKind::Processes, format!("had more than its {limit} processes (limits.processes)"))
        }
        Limit::Time => (FailureKind::WallTime, "ran longer than its warden waits for the company to end it".to_owned()),
    };
    Failure { kind, message }
}

/// The signal of a process that writes a bigger file than it may, and the code that a shell makes of it.
const XFSZ: [ExitStatus; 2] = [ExitStatus::Signal(25), ExitStatus::Code(128 + 25)];

pub(super) fn too_big_a_file(event: Option<&Event>, limits: &Limits) -> Option<Failure> {
    let limit = limits.file_size?;
    let Some(Event::LeaderExited(status)) = event else { return None };
    XFSZ.contains(status).then(|| Failure {
        kind: FailureKind::FileSize,
        message: format!("wrote a file of more than {limit} (limits.file_size)"),
    })
}
