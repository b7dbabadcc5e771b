//! The one pool of threads: persistent workers that take the indices of a loop from a shared counter.
//!
//! [`Pool::run`] hands a loop to the workers by tickets in a channel; the calling thread takes part, so a loop makes
//! progress even when every worker is busy with another caller's. Which worker runs which index is not determined:
//! a result must not depend on it. Workers spin for a moment before they sleep, because a search calls every few
//! hundred microseconds and waking a sleeping thread costs about fifty.

use crossbeam_channel::{Receiver, Sender, TryRecvError, unbounded};
use crossbeam_utils::Backoff;
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

/// The body of a loop: index and worker, the latter below [`Pool::workers`].
pub type Body<'a> = dyn Fn(usize, usize) + Sync + 'a;

/// How long an idle thread spins before it sleeps: longer than the serial part between two calls of a search.
const SPIN: Duration = Duration::from_micros(60);
/// More threads than any machine this runs on has cores; a larger request is a slip of the pen.
const MOST: usize = 1024;

thread_local! {
    /// The pool whose loop this thread is inside of (its address, 0 = none), and as which worker.
    static SEAT: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// Persistent workers; dropping the pool ends them.
pub struct Pool {
    tickets: Option<Sender<Arc<Job<'static>>>>,
    threads: Vec<JoinHandle<()>>,
    /// Tells this pool from others in [`SEAT`]; its address is unique while the pool and its workers live.
    id: Arc<u8>,
}

impl Pool {
    /// A pool of `threads` workers, the calling thread of each loop included; 0 means one per core. Where the system
    /// refuses a thread the pool stays smaller: [`workers`](Pool::workers) says how large it is.
    pub fn new(threads: usize) -> Pool {
        let threads = match threads {
            0 => thread::available_parallelism().map_or(1, usize::from),
            n => n.min(MOST),
        };
        let id = Arc::new(0);
        let (tickets, jobs) = unbounded::<Arc<Job<'static>>>();
        let spawn = |worker: usize| {
            let (jobs, id) = (jobs.clone(), id.clone());
            let serve = move || {
                SEAT.set((Arc::as_ptr(&id).addr(), worker));
                while let Some(job) = next(&jobs) {
                    job.work(worker);
                }
            };
            thread::Builder::new().name(format!("mpass-{worker}")).spawn(serve).ok()
        };
        let threads = (1..threads).map_while(spawn).collect();
        Pool { tickets: Some(tickets), threads, id }
    }

    /// The number of workers: worker numbers are below it.
    pub fn workers(&self) -> usize {
        self.threads.len() + 1
    }

    /// Calls `body(i, worker)` once for each `i < n` and returns when all calls have returned.
    ///
    /// The calling thread is worker 0. From inside a body of the same pool the loop runs in line, as the worker
    /// it is on. Loops of different threads may overlap; each has worker numbers of its own. A panic in a body is
    /// resumed here once all indices are done.
    pub fn run(&self, n: usize, body: &Body<'_>) {
        let id = Arc::as_ptr(&self.id).addr();
        let seat = SEAT.get();
        let inside = seat.0 == id;
        let helpers = if inside { 0 } else { self.threads.len().min(n.saturating_sub(1)) };
        let Some(tickets) = self.tickets.as_ref().filter(|_| helpers > 0) else {
            let job = Job::new(n, body);
            let worker = if inside { seat.1 } else { 0 };
            SEAT.set((id, worker));
            job.work(worker);
            SEAT.set(seat);
            return job.finish();
        };
        // SAFETY: only the lifetime changes. `body` is called for claimed indices below n only (`Job::work`), and
        // `finish` below does not return before the calls of all n indices have. A ticket may outlive this
        // function, but finds no index left to claim and drops without touching `body`. Nothing between here and
        // `finish` unwinds: `work` catches the panics of `body`.
        let body = unsafe { std::mem::transmute::<&Body<'_>, &'static Body<'static>>(body) };
        let job = Arc::new(Job::new(n, body));
        for _ in 0..helpers {
            // Never refused: the receivers live as long as the threads. A lost ticket would only lose a helper.
            let _ = tickets.send(job.clone());
        }
        SEAT.set((id, 0));
        job.work(0);
        SEAT.set(seat);
        job.finish();
    }

    /// What `body(i)` returns for each `i < n`, in order.
    pub fn map<T: Send>(&self, n: usize, body: &(dyn Fn(usize) -> T + Sync)) -> Vec<T> {
        let slots: Vec<Mutex<Option<T>>> = (0..n).map(|_| Mutex::new(None)).collect();
        self.run(n, &|i, _| {
            let value = body(i);
            *slots[i].lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        });
        let value = |slot: Mutex<Option<T>>| slot.into_inner().unwrap_or_else(PoisonError::into_inner);
        slots.into_iter().filter_map(value).collect() // `run` returns when every body has: no slot is empty.
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.tickets = None; // Disconnects the channel: workers finish what they hold and end.
        for worker in self.threads.drain(..) {
            let _ = worker.join(); // Never by a worker of its own: `run` borrows the pool while bodies run.
        }
    }
}

/// The next job, or `None` once the pool is gone.
fn next(jobs: &Receiver<Arc<Job<'static>>>) -> Option<Arc<Job<'static>>> {
    let mut found = Err(TryRecvError::Empty);
    spin(|| {
        found = jobs.try_recv();
        !matches!(found, Err(TryRecvError::Empty))
    });
    match found {
        Ok(job) => Some(job),
        Err(TryRecvError::Disconnected) => None,
        Err(TryRecvError::Empty) => jobs.recv().ok(),
    }
}

/// Asks `done` again and again for at most [`SPIN`], yielding to other threads after the first moments.
fn spin(mut done: impl FnMut() -> bool) -> bool {
    let backoff = Backoff::new();
    let since = Instant::now();
    loop {
        if done() {
            return true;
        }
        if backoff.is_completed() && since.elapsed() > SPIN {
            return false;
        }
        backoff.snooze();
    }
}

/// One loop being run.
struct Job<'a> {
    body: &'a Body<'a>,
    n: usize,
    /// The next index nobody has claimed.
    next: AtomicUsize,
    /// How many indices are not done yet.
    left: AtomicUsize,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    caller: Thread,
}

impl<'a> Job<'a> {
    fn new(n: usize, body: &'a Body<'a>) -> Job<'a> {
        let (next, left) = (AtomicUsize::new(0), AtomicUsize::new(n));
        Job { body, n, next, left, panic: Mutex::new(None), caller: thread::current() }
    }

    /// Claims and runs indices until none is left to claim.
    fn work(&self, worker: usize) {
        let mut done = 0;
        loop {
            // Stale tickets must not push the counter towards its overflow.
            if self.next.load(Ordering::Relaxed) >= self.n {
                break;
            }
            let i = self.next.fetch_add(1, Ordering::Relaxed);
            if i >= self.n {
                break;
            }
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| (self.body)(i, worker))) {
                match &mut *self.panic.lock().unwrap_or_else(PoisonError::into_inner) {
                    Some(_) => std::mem::forget(payload), // Its drop may panic in turn.
                    first => *first = Some(payload),
                }
            }
            done += 1;
        }
        // Release what the bodies wrote to the caller, which acquires it in `finish`.
        if done > 0 && self.left.fetch_sub(done, Ordering::AcqRel) == done {
            self.caller.unpark();
        }
    }

    /// Waits until all indices are done; resumes the first panic.
    fn finish(&self) {
        let done = || self.left.load(Ordering::Acquire) == 0;
        if !spin(done) {
            while !done() {
                thread::park();
            }
        }
        let panic = self.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(payload) = panic {
            resume_unwind(payload);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    fn counts(n: usize) -> Vec<AtomicUsize> {
        (0..n).map(|_| AtomicUsize::new(0)).collect()
    }

    #[test]
    fn every_index_runs_once_on_a_worker_that_exists() {
        for threads in [1, 2, 5] {
            let pool = Pool::new(threads);
            assert_eq!(pool.workers(), threads);
            for n in [0, 1, 2, 7, 1000] {
                let seen = counts(n);
                pool.run(n, &|i, worker| {
                    assert!(worker < threads);
                    seen[i].fetch_add(1, Ordering::Relaxed);
                });
                assert!(seen.iter().all(|count| count.load(Ordering::Relaxed) == 1), "{threads} threads, n = {n}");
            }
        }
    }

    #[test]
    fn workers_take_part() {
        // Two bodies that wait for each other end only if two threads run them.
        let (pool, meet) = (Pool::new(2), Barrier::new(2));
        for _ in 0..100 {
            pool.run(2, &|_, _| {
                meet.wait();
            });
        }
    }

    #[test]
    fn no_two_bodies_of_a_loop_share_a_worker_number() {
        let pool = Pool::new(4);
        let busy = counts(4);
        pool.run(2000, &|_, worker| {
            assert_eq!(busy[worker].fetch_add(1, Ordering::SeqCst), 0);
            busy[worker].fetch_sub(1, Ordering::SeqCst);
        });
    }

    #[test]
    fn nested_loops_run_in_line_as_the_worker_they_are_on() {
        let (pool, total) = (Pool::new(3), AtomicUsize::new(0));
        pool.run(20, &|_, outer| {
            let here = thread::current().id();
            pool.run(10, &|_, inner| {
                assert_eq!((inner, thread::current().id()), (outer, here));
                total.fetch_add(1, Ordering::Relaxed);
            });
        });
        assert_eq!(total.into_inner(), 200);
    }

    #[test]
    fn pools_nest_in_one_another() {
        let (a, b, total) = (Pool::new(2), Pool::new(2), AtomicUsize::new(0));
        a.run(4, &|_, _| {
            b.run(4, &|_, _| {
                a.run(4, &|_, _| {
                    total.fetch_add(1, Ordering::Relaxed);
                });
            });
        });
        assert_eq!(total.into_inner(), 64);
    }

    #[test]
    fn a_panic_reaches_the_caller_after_all_are_done() {
        for threads in [1, 3] {
            let (pool, seen) = (Pool::new(threads), AtomicUsize::new(0));
            let run = || {
                pool.run(50, &|i, _| {
                    seen.fetch_add(1, Ordering::Relaxed);
                    if i == 7 {
                        resume_unwind(Box::new("seven"));
                    }
                });
            };
            let payload = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
            assert_eq!(payload.downcast_ref::<&str>(), Some(&"seven"));
            assert_eq!(seen.load(Ordering::Relaxed), 50);
            pool.run(3, &|_, _| {}); // The pool goes on.
        }
    }

    #[test]
    fn concurrent_callers_do_not_disturb_each_other() {
        let pool = Pool::new(3);
        thread::scope(|scope| {
            for caller in 0..4 {
                let pool = &pool;
                scope.spawn(move || {
                    for round in 0..200 {
                        let n = 1 + (caller + round) % 9;
                        let seen = counts(n);
                        pool.run(n, &|i, _| {
                            seen[i].fetch_add(1, Ordering::Relaxed);
                        });
                        assert!(seen.iter().all(|count| count.load(Ordering::Relaxed) == 1));
                    }
                });
            }
        });
    }

    #[test]
    fn workers_end_with_the_pool() {
        let pool = Pool::new(3);
        pool.run(3, &|_, _| {});
        let id = Arc::downgrade(&pool.id);
        assert_eq!(id.strong_count(), 3);
        drop(pool);
        assert_eq!(id.strong_count(), 0);
    }

    #[test]
    #[ignore = "a measurement, not a claim: cargo test --release --no-default-features pool -- --ignored --nocapture"]
    fn latency() {
        let pool = Pool::new(2);
        for gap in [0, 20, 100, 300] {
            let mut spent = Duration::ZERO;
            for _ in 0..2000 {
                let pause = Instant::now();
                while pause.elapsed() < Duration::from_micros(gap) {}
                let since = Instant::now();
                pool.run(8, &|_, _| {});
                spent += since.elapsed();
            }
            println!("{gap} us between calls: {:.2} us a call", spent.as_secs_f64() * 1e6 / 2000.0);
        }
    }
}
