//! Measurements of this crate's inner loops, by criterion: `cargo bench --workspace --bench loops`.

mod table;

fn main() {
    let mut criterion = criterion::Criterion::default().configure_from_args();
    for (name, mut run) in table::all() {
        criterion.bench_function(name, |bench| bench.iter(&mut run));
    }
    criterion.final_summary();
}
