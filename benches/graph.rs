//! Seconds to compute the degree-0 barcode of a function on a graph, reading left out: `cargo bench --bench graph --
//! VALUES.npy EDGES.npy [threads] [repeats]`. Prints one line of seconds and the number of bars; `benches/peers/graph.py`
//! compares.

use mountainpass::morse::graph::Graph;
use mountainpass::npy::read;
use mountainpass::persistence::of_graph::{Wanted, canonical};
use mountainpass::pool::Pool;
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
    let (mut seconds, mut bars) = (Vec::new(), 0);
    for _ in 0..number(3, 1) {
        let (values, edges) = (values.clone(), edges.clone());
        let begun = Instant::now();
        let graph = Graph::new(values, edges, None, false).unwrap();
        bars = canonical(&graph.forest(&pool), Wanted::default()).pairs.len();
        seconds.push(format!("{:.4}", begun.elapsed().as_secs_f64()));
    }
    println!("seconds {} bars {bars}", seconds.join(" "));
}
