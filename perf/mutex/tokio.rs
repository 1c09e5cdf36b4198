use crate::peer::{ns, Call};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Mutex;

pub async fn run(c: &mut Call) {
    let (tasks, n) = (c.size("tasks"), c.size("n"));
    let counter = Arc::new(Mutex::new(0u64));

    let begun = Instant::now();
    let add = |counter: Arc<Mutex<u64>>| async move {
        for _ in 0..n / tasks {
            *counter.lock().await += 1;
        }
    };
    let adders: Vec<_> = (0..tasks).map(|_| tokio::spawn(add(counter.clone()))).collect();
    for adder in adders {
        adder.await.unwrap();
    }
    let ns = ns(begun);

    let n = n / tasks * tasks;
    c.expect(*counter.lock().await, n);
    c.report("time", ns / n as f64, "ns/op");
}
