//! Whole companies in virtual time: nodes, their agents and a ledger, broken at random, and checked at every step.
#![cfg(test)]

mod agents;
mod ceo;
mod check;
mod faults;
mod intake;
mod ledger;
mod node;
mod revive;
mod rules;
mod seeds;
mod wire;
mod worker;
mod world;
