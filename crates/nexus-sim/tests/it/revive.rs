//! Attempts whose holder is gone are put back: by their own node's next start, by another node when the lease has lapsed,
//! or by whoever is brought their delivery again.

use nexus_core::event::Event;
use nexus_core::lane::Lane;
use nexus_core::revival::{Revival, revive};

use crate::intake::node_of;
use crate::ledger::{Body, Millis, Outgoing};
use crate::node::{Local, Revive, Then, Why};
use crate::rules::LEASE;
use crate::wire::{Ask, Told};
use crate::world::Sim;

const AGAIN: Millis = 500;
const WATCH: Millis = 1_000;

impl Sim {
    /// The next start of a node: nothing of its former run lives, and what that had in hand is put back.
    pub(crate) fn former(&mut self, node: usize) {
        if self.trees.iter().any(|tree| tree.alive && tree.node == node) {
            return self.soon(node, 10, Local::Former);
        }
        self.nodes[node].former = (0..self.jobs.len()).collect();
        for task in 0..self.jobs.len() {
            let revive = Revive { task, why: Why::Former };
            self.ask(node, Ask::LastEvent(task), Then::PutBack(revive));
        }
    }

    pub(crate) fn watch(&mut self, node: usize) {
        self.soon(node, WATCH, Local::Watch);
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            self.ask(node, Ask::Lease(other), Then::LeaseSeen(other));
        }
    }

    /// Judged by one's own clock: not renewed since it was seen, and that is a whole lease ago.
    pub(crate) fn lease_seen(&mut self, node: usize, other: usize, asked: Millis, told: &Told) {
        let Told::Lease(lease) = *told else { return };
        let (known, since, done) = self.nodes[node].seen[other];
        if known != lease {
            self.nodes[node].seen[other] = (lease, self.now, false);
        } else if !done && asked >= since + LEASE {
            self.say(|| format!("node {node}: the lease of node {other} has lapsed"));
            self.nodes[node].seen[other].2 = true;
            for task in 0..self.jobs.len() {
                let revive = Revive { task, why: Why::Lapsed { node: other, lease } };
                self.ask(node, Ask::LastEvent(task), Then::PutBack(revive));
            }
        }
    }

    pub(crate) fn put_back(&mut self, node: usize, revive: Revive, told: Told) {
        let Told::Event(last) = told else { return self.once_more(node, revive) };
        let owner = match revive.why {
            Why::Lapsed { node, .. } => node,
            Why::Former | Why::Delivered { .. } => node,
        };
        let theirs = last.filter(|(event, _)| event.what.node().map(node_of) == Some(owner));
        let Some((event, seq)) = theirs else { return self.put_back_done(node, revive) };
        match revive.why {
            // What the node has begun since it took its lease again is none of what was lost with the old one.
            Why::Lapsed { node: other, .. } if self.rules.look_again => {
                self.ask(node, Ask::Lease(other), Then::LookedAgain(revive, event, seq));
            }
            _ => self.ask(node, Ask::LastEntry(revive.task), Then::Entry(revive, event, seq)),
        }
    }

    pub(crate) fn looked_again(&mut self, node: usize, revive: Revive, event: Event, seq: u64, told: &Told) {
        match (told, &revive.why) {
            (Told::Lease(now), Why::Lapsed { lease, .. }) if now == lease => {
                self.ask(node, Ask::LastEntry(revive.task), Then::Entry(revive, event, seq));
            }
            (Told::Lease(_), _) => {}
            _ => self.once_more(node, revive),
        }
    }

    pub(crate) fn revive(&mut self, node: usize, it: Revive, event: &Event, seq: u64, told: Told) {
        let Told::Entry(Some((entry, _))) = told else { return self.once_more(node, it) };
        let task = it.task;
        let Some(Revival { event, entry }) = revive(event, &entry, "its holder is gone", self.timestamp()) else {
            return self.put_back_done(node, it);
        };
        self.say(|| {
            let why = match it.why {
                Why::Former => "its former run had".to_owned(),
                Why::Lapsed { node, .. } => format!("node {node} had"),
                Why::Delivered { .. } => "was brought to it again".to_owned(),
            };
            format!("node {node} puts task {task} back, which {why}")
        });
        let lane = Lane::after(&event.what, self.jobs[task].work.priority);
        let mut batch = vec![self.message(task, event, Some(seq))];
        let id = self.id();
        batch.extend(entry.map(|entry| Outgoing { task, body: Body::Entry(entry), lane, expect: None, id }));
        self.ask(node, Ask::Append(batch), Then::Revived(it));
    }

    pub(crate) fn revived(&mut self, node: usize, revive: Revive, told: &Told) {
        match told {
            Told::Stored(_) | Told::Conflict => self.put_back_done(node, revive),
            _ => self.once_more(node, revive),
        }
    }

    fn put_back_done(&mut self, node: usize, revive: Revive) {
        match revive.why {
            Why::Former => {
                let it = &mut self.nodes[node];
                if it.former.remove(&revive.task) && it.former.is_empty() && !it.open {
                    self.soon(node, 0, Local::LeaseTick);
                }
            }
            Why::Lapsed { .. } => {}
            Why::Delivered { admission } => self.dropped(node, &admission),
        }
    }

    /// The broker has not answered.
    fn once_more(&mut self, node: usize, revive: Revive) {
        match revive.why {
            Why::Former => self.ask_later(node, revive),
            Why::Lapsed { node: other, .. } => self.nodes[node].seen[other].2 = false,
            Why::Delivered { admission } => self.away(node, *admission),
        }
    }

    fn ask_later(&mut self, node: usize, revive: Revive) {
        self.soon(node, AGAIN, Local::PutBackLater(revive));
    }
}
