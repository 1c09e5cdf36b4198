use crate::peer::{ns, Call};
use std::time::Instant;

pub async fn run(c: &mut Call) {
    let (tasks, n) = (c.size("tasks"), c.size("n"));

    let begun = Instant::now();
    let yielder = |_| {
        tokio::spawn(async move {
            let mut k = 0u64;
            while k < n {
                tokio::task::yield_now().await;
                k += 1;
            }
            k
        })
    };
    let yielders: Vec<_> = (0..tasks).map(yielder).collect();
    let mut total = 0;
    for yielder in yielders {
        total += yielder.await.unwrap();
    }
    let ns = ns(begun);

    c.expect(total, tasks * n);
    c.report("time", ns / (tasks * n) as f64, "ns/yield");
}
