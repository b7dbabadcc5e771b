//! The adapter between a search and its backend allocates nothing once its buffers have grown.

mod built;

use mountainpass::loss::{Batch, Dtype, OpenRequest, Registry};
use mountainpass::machine::pool::Pool;
use mountainpass::run::Cancel;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, counting for each thread.
struct Counting;

// SAFETY: forwards every call unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: forwarded.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: forwarded.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[cfg(feature = "surfaces")]
#[test]
fn nor_does_a_surface() {
    let registry = Registry::new();
    registry.register::<mountainpass_surfaces::Surfaces>().unwrap();
    for dtype in [Dtype::F32, Dtype::F64] {
        let request = OpenRequest { model: "lennard-jones".into(), dtype: Some(dtype), ..OpenRequest::default() };
        let mut loss = registry.open("surfaces", &request, Arc::new(Pool::new(1))).unwrap();
        let theta: Vec<f64> = (0..20).flat_map(|seed| loss.start(seed).unwrap().unwrap()).collect();
        let [mut grad, mut hvp] = [vec![0.0; theta.len()], vec![0.0; theta.len()]];
        let (mut value, mut ok, cancel) = ([0.0; 20], [false; 20], Cancel::default());
        for call in 0..5 {
            let before = ALLOCATIONS.get();
            let (grad, hvp) = (Some(&mut grad[..]), Some((&theta[..], &mut hvp[..])));
            let batch = Batch { theta: &theta, ids: None, loss: &mut value, grad, hvp, ok: &mut ok, cancel: &cancel };
            loss.eval(batch).unwrap();
            let after = ALLOCATIONS.get();
            assert!(if call == 0 { after > before } else { after == before }, "call {call}: {}", after - before);
        }
    }
}

#[test]
fn an_evaluation_allocates_nothing_after_the_first() {
    let registry = Registry::new();
    let file = built::c_plugin("quad_well.c", &[], &built::folder("allocations"), "quad_well");
    let name = registry.load(&file).unwrap();
    let options = vec![("n".to_owned(), "50".to_owned())];
    let request = OpenRequest { model: "double-well".into(), options, ..OpenRequest::default() };
    let mut loss = registry.open(&name, &request, Arc::new(Pool::new(1))).unwrap();
    let (theta, mut value, mut grad, mut ok) = ([0.5; 1000], [0.0; 20], [0.0; 1000], [false; 20]);
    let cancel = Cancel::default();
    for call in 0..5 {
        let before = ALLOCATIONS.get();
        let grad = Some(&mut grad[..]);
        let batch = Batch { theta: &theta, ids: None, loss: &mut value, grad, hvp: None, ok: &mut ok, cancel: &cancel };
        loss.eval(batch).unwrap();
        let after = ALLOCATIONS.get();
        assert!(if call == 0 { after > before } else { after == before }, "call {call}: {}", after - before);
    }
}
