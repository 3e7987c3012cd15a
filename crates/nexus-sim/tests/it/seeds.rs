//! Thousands of seeds hold every invariant, and each rule that is switched off is missed.

use std::collections::BTreeMap;

use crate::rules::{ALL, Rules};
use crate::world::Sim;

/// Seeds of a test; `NEXUS_SIM_SEEDS` asks for more (or fewer) of them.
const SEEDS: u64 = 1_000;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}

/// Runs seeds from `part * 1,000,000` on, or the one that `NEXUS_SIM_SEED` names, with its trace.
fn hold(part: u64) {
    if let Some(seed) = number("NEXUS_SIM_SEED") {
        let mut sim = Sim::new(seed, ALL, true);
        let result = sim.run();
        println!("{}\n{:?}", sim.trace(), sim.counts);
        return assert_eq!(result, Ok(()), "seed {seed}");
    }
    let mut counts = BTreeMap::<_, u64>::new();
    for seed in (part * 1_000_000..).take(usize::try_from(number("NEXUS_SIM_SEEDS").unwrap_or(SEEDS)).unwrap()) {
        let mut sim = Sim::new(seed, ALL, false);
        if let Err(what) = sim.run() {
            let again = format!("NEXUS_SIM_SEED={seed} cargo nextest run -p nexus-sim --no-capture first_part");
            panic!("seed {seed}: {what}\nto see it happen: {again}");
        }
        for (what, times) in sim.counts {
            *counts.entry(what).or_default() += times;
        }
    }
    println!("{counts:?}");
}

#[test]
fn the_first_part_of_the_seeds_holds() {
    hold(0);
}

#[test]
fn the_second_part_of_the_seeds_holds() {
    hold(1);
}

#[test]
fn the_third_part_of_the_seeds_holds() {
    hold(2);
}

#[test]
fn the_fourth_part_of_the_seeds_holds() {
    hold(3);
}

/// The first fault that a seed finds which misses a rule, from where one is quickly found.
fn missed(rules: Rules, from: u64) -> Option<(u64, String)> {
    (from..from + 10_000).find_map(|seed| Sim::new(seed, rules, false).run().err().map(|what| (seed, what)))
}

#[test]
fn each_rule_is_missed_when_it_is_not_kept() {
    let without = [
        ("fenced_start", Rules { fenced_start: false, ..ALL }, 0),
        ("board", Rules { board: false, ..ALL }, 800),
        ("guard", Rules { guard: false, ..ALL }, 0),
        ("terms", Rules { terms: false, ..ALL }, 0),
        ("queue_next", Rules { queue_next: false, ..ALL }, 0),
        ("look_again", Rules { look_again: false, ..ALL }, 3_500),
    ];
    for (name, rules, from) in without {
        let (seed, what) = missed(rules, from).unwrap_or_else(|| panic!("nobody misses {name}"));
        println!("without {name}, seed {seed}: {what}");
    }
}
