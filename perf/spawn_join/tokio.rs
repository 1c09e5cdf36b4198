use crate::peer::{ns, Call};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::Arc;
use std::time::Instant;

pub async fn run(c: &mut Call) {
    let n = c.size("n");
    let done: Arc<Vec<AtomicBool>> = Arc::new((0..n).map(|_| AtomicBool::new(false)).collect());

    let begun = Instant::now();
    let mut tasks = Vec::with_capacity(n as usize);
    for i in 0..n as usize {
        let done = done.clone();
        tasks.push(tokio::spawn(async move { done[i].store(true, Relaxed) }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let ns = ns(begun);

    c.expect(done.iter().filter(|d| d.load(Relaxed)).count() as u64, n);
    c.report("time", ns / n as f64, "ns/task");
}
