use crate::peer::{ns, Call};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

pub fn run(c: &mut Call) {
    let n = c.size("n");
    let done: Vec<AtomicBool> = (0..n).map(|_| AtomicBool::new(false)).collect();

    let begun = Instant::now();
    rayon::scope(|s| {
        for d in &done {
            s.spawn(move |_| d.store(true, Relaxed));
        }
    });
    let ns = ns(begun);

    c.expect(done.iter().filter(|d| d.load(Relaxed)).count() as u64, n);
    c.report("time", ns / n as f64, "ns/task");
}
