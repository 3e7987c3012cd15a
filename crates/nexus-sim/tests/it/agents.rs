//! Agents: process trees, which live and die by themselves whatever becomes of the node that started them.

use nexus_core::attempt::{ExitStatus, Input, Signal};

use crate::ledger::{Millis, Task};
use crate::node::Local;
use crate::world::{Happening, Sim};

#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) task: Task,
    pub(crate) node: usize,
    pub(crate) run: u64,
    /// Whose it is.
    pub(crate) hand: u64,
    /// The delivery that its attempt came from.
    pub(crate) token: String,
    pub(crate) alive: bool,
    /// Its leader's end by itself, or by a stranger's hand.
    pub(crate) own_end: Option<ExitStatus>,
    leader_gone: bool,
    dying: bool,
    temper: Temper,
}

#[derive(Clone, Copy, Debug)]
struct Temper {
    ignores_interrupt: bool,
    ignores_terminate: bool,
    /// A child outlives the leader.
    lingers: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum TreeEvent {
    Signal(Signal),
    /// The leader ends by itself.
    Exit(i32),
    /// Somebody outside kills it.
    Slain,
    Dead,
}

/// The time that the kernel takes to end a tree that was killed.
const DEATH: Millis = 40;

impl Sim {
    pub(crate) fn spawn_tree(&mut self, node: usize, hand: u64, task: Task, token: String) -> usize {
        if let Some(other) = self.trees.iter().find(|tree| tree.alive && tree.task == task) {
            let other = other.node;
            self.wrong(format!("task {task}: a second tree, on node {node}, beside that on node {other}"));
        }
        self.count("trees");
        let mut odds = |odds| self.rng.u8(..odds) == 0;
        let temper = Temper { ignores_interrupt: odds(3), ignores_terminate: odds(6), lingers: odds(6) };
        let before = self.trees.iter().filter(|t| t.task == task && t.own_end.is_some_and(|end| !is_good(end))).count();
        let code = i32::from(before < self.jobs[task].failures as usize);
        let run = self.nodes[node].run;
        let tree =
            Tree { task, node, run, hand, token, alive: true, own_end: None, leader_gone: false, dying: false, temper };
        self.trees.push(tree);
        let tree = self.trees.len() - 1;
        let length = match self.rng.u8(..10) {
            0 => self.rng.u64(20_000..90_000),
            1..4 => self.rng.u64(2_000..20_000),
            _ => self.rng.u64(10..2_000),
        };
        self.say(|| format!("node {node}: tree {tree} of task {task} lives, for {length} ms, {temper:?}"));
        self.after(length, Happening::Tree { tree, event: TreeEvent::Exit(code) });
        tree
    }

    pub(crate) fn signal(&mut self, tree: usize, signal: Signal) {
        let delay = self.rng.u64(0..5);
        self.after(delay, Happening::Tree { tree, event: TreeEvent::Signal(signal) });
    }

    /// Ends what lives of a node, as its guard does, or the next start.
    pub(crate) fn end_all(&mut self, node: usize) {
        for tree in 0..self.trees.len() {
            if self.trees[tree].alive && self.trees[tree].node == node {
                self.signal(tree, Signal::Kill);
            }
        }
    }

    pub(crate) fn tree(&mut self, tree: usize, event: TreeEvent) {
        let it = &mut self.trees[tree];
        if !it.alive {
            return;
        }
        match event {
            TreeEvent::Exit(code) if !it.leader_gone && !it.dying => {
                let status = ExitStatus::Code(code);
                (it.leader_gone, it.own_end) = (true, Some(status));
                let lingers = it.temper.lingers;
                self.say(|| format!("tree {tree}: its leader ends with {code}"));
                self.report(tree, Input::LeaderExited(status));
                if !lingers {
                    self.after(0, Happening::Tree { tree, event: TreeEvent::Dead });
                }
            }
            TreeEvent::Exit(_) => {}
            TreeEvent::Slain if !it.leader_gone => {
                it.own_end = Some(ExitStatus::Signal(9));
                self.die(tree);
            }
            TreeEvent::Slain => {}
            TreeEvent::Signal(signal) => {
                let ignored = match signal {
                    Signal::Interrupt => it.temper.ignores_interrupt,
                    Signal::Terminate => it.temper.ignores_terminate,
                    Signal::Kill => false,
                };
                if !ignored {
                    self.die(tree);
                }
            }
            TreeEvent::Dead => {
                it.alive = false;
                let leader_gone = std::mem::replace(&mut it.leader_gone, true);
                self.say(|| format!("tree {tree} is dead"));
                if !leader_gone {
                    self.report(tree, Input::LeaderExited(ExitStatus::Signal(9)));
                }
                self.report(tree, Input::TreeGone);
            }
        }
    }

    fn die(&mut self, tree: usize) {
        if !std::mem::replace(&mut self.trees[tree].dying, true) {
            let delay = self.rng.u64(1..DEATH);
            self.after(delay, Happening::Tree { tree, event: TreeEvent::Dead });
        }
    }

    /// In the order in which it happened, as one reader of the process's events has it.
    fn report(&mut self, tree: usize, input: Input) {
        let Tree { node, run, hand, .. } = self.trees[tree];
        self.after(1, Happening::Local { node, run, what: Local::Heard { hand, input } });
    }
}

pub(crate) fn is_good(end: ExitStatus) -> bool {
    end == ExitStatus::Code(0)
}
