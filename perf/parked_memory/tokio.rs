use crate::parked::park;
use crate::peer::{resident_bytes, Call};

pub async fn run(c: &mut Call) {
    let n = c.size("n");
    let before = resident_bytes();
    let parked = park(n).await;
    let after = resident_bytes();
    parked.release(c).await;
    c.report("rss", (after - before) / n as f64, "bytes/task");
}
