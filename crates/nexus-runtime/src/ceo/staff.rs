//! The CEO as a supervisor: which departments there are, and what is done about one that changes, fails or leaves.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use nexus_core::api::{DepartmentInfo, DepartmentState as Condition};
use nexus_core::company::Company;
use nexus_core::event::STOPPING;
use nexus_core::id::DepartmentName;
use nexus_core::refusal::{Refusal, RefusalKind};
use nexus_core::restart::{RestartHistory, Verdict};
use nexus_core::route;
use nexus_core::staff::StaffRecord;
use ractor::{Actor, ActorRef};
use tokio_util::task::AbortOnDropHandle;

use super::{CeoMsg, CeoState};
use crate::conclude::reclaim;
use crate::department::{Department, DepartmentMsg};
use crate::node::{Charter, Node};

/// A department as its supervisor knows it.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) actor: Option<ActorRef<DepartmentMsg>>,
    pub(super) charter: Arc<Charter>,
    pub(super) condition: Condition,
    pub(super) reason: Option<String>,
    pub(super) restarts: RestartHistory,
}

impl CeoState {
    pub(super) async fn reload(&mut self, myself: &ActorRef<CeoMsg>, company: Arc<Company>) {
        self.config_error = None;
        self.node.directory.store(Arc::new(company.departments.clone()));
        self.node.purses.set(&company);
        let charters = Charter::all(&company).into_iter().map(|(name, charter)| (name, Arc::new(charter)));
        let mut charters: BTreeMap<_, _> = charters.collect();
        self.node.roster.store(Arc::new(charters.clone()));
        let (before, now) = (&self.company.default_department, &company.default_department);
        if before != now {
            tracing::warn!(
                "the default department is now {now} (was {before}); `default_department` in nexus.toml fixes it"
            );
        }
        for warning in company.warnings() {
            tracing::warn!("{warning}");
        }
        self.company = company;
        for (name, child) in &mut self.departments {
            match charters.remove(name) {
                Some(charter) if *charter == *child.charter && child.condition != Condition::Leaving => {}
                Some(charter) => {
                    child.charter = Arc::clone(&charter);
                    match (&child.actor, child.condition) {
                        // Also one that was leaving: its file is back.
                        (Some(actor), Condition::Running | Condition::Leaving) => {
                            child.condition = Condition::Running;
                            child.reason = None;
                            tracing::info!(department = %name, "its file has changed; new work goes by the new one");
                            let _ = actor.cast(DepartmentMsg::Charter(charter));
                        }
                        // One that had been stopped gets a new chance with its new file.
                        (None, Condition::Stopped) => {
                            forgive(&self.node, name, &charter);
                            child.condition = Condition::Restarting;
                            child.restarts = RestartHistory::default();
                            let _ = myself.cast(CeoMsg::Start(name.clone()));
                        }
                        _ => {}
                    }
                }
                None => {
                    child.condition = Condition::Leaving;
                    child.reason = Some("its file was removed".to_owned());
                    if let Some(actor) = &child.actor {
                        tracing::info!(department = %name, "its file is gone; it finishes what runs and leaves");
                        let reason = "its department was removed".to_owned();
                        let _ = actor.cast(DepartmentMsg::Leave { grace: None, reason });
                    }
                }
            }
        }
        self.departments.retain(|_, child| child.actor.is_some() || child.condition != Condition::Leaving);
        for (name, charter) in charters {
            let child = self.child(charter);
            self.departments.insert(name.clone(), child);
            self.start(myself, &name).await;
        }
    }

    /// A department that is new here. What is remembered of its failures counts on, unless it has changed since.
    fn child(&self, charter: Arc<Charter>) -> Child {
        let mut child = Child {
            actor: None,
            condition: Condition::Restarting,
            reason: None,
            restarts: RestartHistory::default(),
            charter,
        };
        let name = &child.charter.name;
        let Some(record) = self.node.staff.get(name).filter(|record| !record.is_clean()) else { return child };
        if record.fingerprint != child.charter.fingerprint() {
            tracing::info!(department = %name, "has changed since it failed, and gets a new chance");
            forgive(&self.node, name, &child.charter);
            return child;
        }
        child.restarts = record.history(&self.company.restart, Timestamp::now(), self.now());
        if let Some(reason) = record.stopped {
            let (since, way_out) = (record.at, way_out(name));
            tracing::error!(department = %name, "is stopped since {since:.0}, its tasks wait: {reason}; {way_out}");
            child.condition = Condition::Stopped;
            child.reason = Some(reason);
        }
        child
    }

    /// Gives a stopped department a new chance.
    pub(super) async fn resume(
        &mut self,
        myself: &ActorRef<CeoMsg>,
        department: &str,
    ) -> Result<DepartmentInfo, Refusal> {
        if self.leaving {
            return Err(Refusal::new(RefusalKind::Stopped, STOPPING));
        }
        let name = route::named(&self.company, department)?;
        let conflict = |message: String| Refusal::new(RefusalKind::Conflict, message);
        match self.departments.get_mut(&name) {
            Some(child) if child.condition == Condition::Stopped => {
                tracing::info!(department = %name, "is given a new chance, as asked for");
                forgive(&self.node, &name, &child.charter);
                child.restarts = RestartHistory::default();
                child.condition = Condition::Restarting;
            }
            Some(_) => {
                return Err(conflict(format!("the department {name} is not stopped"))
                    .with_help("`nexus departments` shows its state; there is nothing to resume"));
            }
            None => return Err(conflict(format!("the department {name} is just being loaded"))),
        }
        self.start(myself, &name).await;
        super::overview::department(self, &name).ok_or_else(|| conflict(format!("the department {name} has just left")))
    }

    pub(super) async fn start(&mut self, myself: &ActorRef<CeoMsg>, name: &DepartmentName) {
        let Some(child) = self.departments.get_mut(name).filter(|child| child.actor.is_none()) else { return };
        // A restart that was due when it was stopped is due no more.
        if self.leaving || child.condition == Condition::Stopped {
            return;
        }
        let args = (Arc::clone(&self.node), Arc::clone(&child.charter));
        match Actor::spawn_linked(None, Department, args, myself.get_cell()).await {
            Ok((actor, _)) => {
                tracing::info!(
                    department = %name,
                    "{} workers; agents {}",
                    child.charter.policy.workers,
                    child.charter.policy.agents.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
                );
                child.actor = Some(actor);
                child.condition = Condition::Running;
                child.reason = None;
            }
            // No supervision event comes of this: it is counted here.
            Err(error) => self.failed(myself, name, &error.to_string()),
        }
    }

    /// A department failed: it is restarted, or stopped for good. The others work on.
    pub(super) fn failed(&mut self, myself: &ActorRef<CeoMsg>, name: &DepartmentName, cause: &str) {
        let (now, at) = (self.now(), Timestamp::now());
        let Some(child) = self.departments.get_mut(name) else { return };
        child.actor = None;
        let leaving = child.condition == Condition::Leaving;
        for slot in self.node.board.slots(Some(name)) {
            let (node, policy) = (Arc::clone(&self.node), Arc::clone(&child.charter.policy));
            tokio::spawn(async move {
                reclaim(&node, &slot, "its department failed", &policy).await;
            });
        }
        if leaving {
            tracing::warn!(department = %name, "failed while it was leaving: {cause}");
            self.departments.remove(name);
            return;
        }
        let (policy, fingerprint) = (&self.company.restart, child.charter.fingerprint());
        let verdict = child.restarts.record(policy, now);
        let mut record = self
            .node
            .staff
            .get(name)
            .unwrap_or_else(|| StaffRecord::new(self.node.id.clone(), name.clone(), fingerprint, at));
        record.failed(policy, verdict, cause, fingerprint, at);
        match verdict {
            Verdict::RestartAfter(delay) => {
                tracing::error!(department = %name, "failed and is restarted: {cause}");
                child.condition = Condition::Restarting;
                child.reason = Some(cause.to_owned());
                let (ceo, name) = (myself.clone(), name.clone());
                self.timers.retain(|timer| !timer.is_finished());
                self.timers.push(AbortOnDropHandle::new(tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    let _ = ceo.cast(CeoMsg::Start(name));
                })));
            }
            Verdict::Escalate => {
                tracing::error!(department = %name, "failed too often and is stopped; its tasks wait: {cause}");
                child.condition = Condition::Stopped;
                child.reason.clone_from(&record.stopped);
            }
        }
        self.node.staff.put(record);
    }

    /// A department left as it was told to, or by itself.
    pub(super) async fn left(&mut self, myself: &ActorRef<CeoMsg>, name: &DepartmentName) {
        let Some(child) = self.departments.get_mut(name) else { return };
        child.actor = None;
        let wanted = self.company.departments.contains_key(name);
        match child.condition {
            Condition::Leaving => {
                tracing::info!(department = %name, "has left");
                self.departments.remove(name);
            }
            // Its file came back at the very moment when it left.
            _ if wanted && !self.leaving => self.start(myself, name).await,
            _ => {}
        }
    }
}

/// Forgets a department's failures, here and on the ledger.
fn forgive(node: &Node, name: &DepartmentName, charter: &Charter) {
    if let Some(mut record) = node.staff.get(name).filter(|record| !record.is_clean()) {
        record.lift(charter.fingerprint(), Timestamp::now());
        node.staff.put(record);
    }
}

/// The way to start a stopped department again.
pub(super) fn way_out(name: &DepartmentName) -> String {
    format!("mend what made it fail, then `nexus resume {name}`; a change of its file starts it again too")
}
