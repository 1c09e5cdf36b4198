use crate::peer::{ns, usage, xorshift, Call};
use std::time::{Duration, Instant};

pub async fn run(c: &mut Call) {
    let n = c.size("n");
    let mut state = 42;

    let (cpu_before, _) = usage();
    let begun = Instant::now();
    let sleeper = |_| {
        let ms = xorshift(&mut state) % 1001;
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            1u64
        })
    };
    let sleepers: Vec<_> = (0..n).map(sleeper).collect();
    let mut count = 0;
    for sleeper in sleepers {
        count += sleeper.await.unwrap();
    }
    let (ns, (cpu, _)) = (ns(begun), usage());

    c.expect(count, n);
    c.report("over_ideal", ns / 1e6 - 1000.0, "ms");
    c.report("cpu", (cpu - cpu_before) / 1e3, "s");
}
