//! Counts the allocations of one round of each inner loop: a line each, of its name and the count.
//!
//! A program of its own: the allocator that counts would be counted with the instructions.
#![expect(clippy::print_stdout, reason = "that is how it answers")]

fn main() {
    for (name, mut run) in nexus_costs::loops() {
        // What is made once, such as a buffer that is kept, is no cost of a round.
        (0..WARM_UP).for_each(|_| run());
        let counted = allocation_counter::measure(|| (0..ROUNDS).for_each(|_| run()));
        println!("{name} {}", counted.count_total.div_ceil(ROUNDS));
    }
}

const WARM_UP: u64 = 16;
/// Some allocate in some rounds only.
const ROUNDS: u64 = 64;
