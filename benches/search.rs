//! What a search itself takes beside the loss: processor time an evaluation, as the number of minima grows.
//!
//! `cargo bench --bench search`: rastrigin of three parameters, whose evaluations cost next to nothing, with the
//! landscape database. The time should not depend on the number of starts.

use mountainpass::explore::{Plan, Silent, explore};
use mountainpass::loss::oracle::Oracle;
use mountainpass::loss::{OpenRequest, Registry};
use mountainpass::machine::pool::Pool;
use mountainpass::run::{Budget, Cancel};
use mountainpass::search::Landscape;
use mountainpass::store::{Provenance, Store};
use std::sync::Arc;

/// Processor time of this process, in seconds.
fn spent() -> f64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: fills the record.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut now) };
    now.tv_sec as f64 + 1e-9 * now.tv_nsec as f64
}

fn main() {
    let registry = Registry::default();
    registry.register::<mountainpass_surfaces::Surfaces>().expect("the name is free");
    let folder = tempfile::tempdir().expect("a folder");
    println!("{:>7} {:>12} {:>10} {:>14}", "starts", "evaluations", "seconds", "us/evaluation");
    for starts in [150, 300, 600, 1200] {
        let options = vec![("n".to_owned(), "3".to_owned())];
        let request = OpenRequest { model: "rastrigin".into(), options, ..OpenRequest::default() };
        let mut loss = registry.open("surfaces", &request, Arc::new(Pool::new(1))).expect("the loss opens");
        let plan = Plan { starts, ..Plan::default() };
        let mut store =
            Store::create(folder.path().join(format!("{starts}.sqlite")), &Provenance::default()).expect("a database");
        let before = spent();
        let mut oracle = Oracle::new(&mut *loss, None, &Cancel::default(), Budget::default()).expect("an oracle");
        let found = explore(&mut oracle, &plan, Landscape::default(), &mut store, &mut Silent).expect("a landscape");
        let (time, all) = (spent() - before, found.landscape.evaluations.iter());
        let evaluations: u64 = all.map(|(_, tally)| tally.total()).sum();
        println!("{starts:>7} {evaluations:>12} {time:>10.2} {:>14.3}", 1e6 * time / evaluations as f64);
    }
}
