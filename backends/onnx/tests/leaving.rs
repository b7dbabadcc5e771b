//! Losses that come and go leave nothing behind: alone in its process, whose memory is looked at.

#[path = "../../faer/tests/caller/mod.rs"]
mod caller;
mod library;

use caller::Loss;
use library::library;
use mountainpass_onnx::Onnx;

/// Kibibytes of this process that lie in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().split(' ').next().unwrap().parse().unwrap()
}

/// Of 1,000 losses by hand: MPASS_LOSSES=1000 and `--nocapture`.
#[test]
fn losses_that_come_and_go_leave_nothing() {
    let Some(library) = library() else { return };
    let count: u64 = std::env::var("MPASS_LOSSES").map_or(40, |count| count.parse().unwrap());
    let once = || {
        let options = [("data", "digits"), ("limit", "20"), ("library", &library)];
        let mut loss = Loss::open_of::<Onnx>(1, "mlp:64-4-10:tanh", &options, &[]).unwrap();
        let theta = loss.start(1);
        assert!(loss.value(&theta).is_finite());
    };
    // Allocators keep what the first ones were given.
    (0..20).for_each(|_| once());
    let before = resident();
    (0..count).for_each(|_| once());
    let grown = resident().saturating_sub(before);
    println!("{count} losses: {before} KiB, then {grown} more");
    // A session alone holds some hundred KiB; pages come and go.
    assert!(grown < 2048 + 4 * count, "{grown} KiB by {count} losses");
}
