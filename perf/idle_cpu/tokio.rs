use crate::parked::park;
use crate::peer::{usage, Call};
use std::time::Duration;

pub async fn run(c: &mut Call) {
    let (n, ms) = (c.size("n"), c.size("ms"));
    let parked = park(n).await;
    let (cpu_before, sleeps_before) = usage();
    tokio::time::sleep(Duration::from_millis(ms)).await;
    let (cpu, sleeps) = usage();
    parked.release(c).await;
    c.report("cpu", cpu - cpu_before, "ms");
    c.report("wakeups", (sleeps - sleeps_before) * 1e3 / ms as f64, "1/s");
}
