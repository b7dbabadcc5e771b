//! Seconds to compute the degree-0 barcode of a function on a graph, reading left out: `cargo bench --bench graph --
//! VALUES.npy EDGES.npy [threads] [repeats]`. Of processor time with one thread, by the clock with more. Prints one line of
//! seconds and the number of bars; `benches/peers/graph.py` compares.

use mountainpass::machine::pool::Pool;
use mountainpass::morse::graph::Graph;
use mountainpass::npy::read;
use mountainpass::persistence::of_graph::{Wanted, canonical};
use std::time::Instant;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let number = |at: usize, default: usize| arguments.get(at).and_then(|n| n.parse().ok()).unwrap_or(default);
    let [values, edges, ..] = &arguments[..] else {
        return println!("give two .npy files: see benches/peers/graph.py");
    };
    let values = read(values.as_ref()).unwrap().values;
    let edges = Graph::of_arrays(read(arguments[0].as_ref()).unwrap(), read(edges.as_ref()).unwrap(), None, false);
    let edges = edges.unwrap().edges().to_vec();
    let pool = Pool::new(number(2, 1));
    let start = Instant::now();
    let now = || if pool.workers() == 1 { processor_time() } else { start.elapsed().as_secs_f64() };
    let (mut seconds, mut bars) = (Vec::new(), 0);
    for _ in 0..number(3, 1) {
        let (values, edges) = (values.clone(), edges.clone());
        let begun = now();
        let graph = Graph::new(values, edges, None, false).unwrap();
        bars = canonical(&graph.forest(&pool), Wanted::default()).pairs.len();
        seconds.push(format!("{:.4}", now() - begun));
    }
    println!("seconds {} bars {bars}", seconds.join(" "));
}

/// Seconds of processor time of this process.
fn processor_time() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: clock_gettime fills the record.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}
