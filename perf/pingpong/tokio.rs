use crate::peer::{ns, Call};
use std::time::Instant;

pub async fn run(c: &mut Call) {
    let n = c.size("n");
    let (there_tx, there_rx) = flume::bounded::<u64>(0);
    let (back_tx, back_rx) = flume::bounded::<u64>(0);

    let begun = Instant::now();
    tokio::spawn(async move {
        while let Ok(v) = there_rx.recv_async().await {
            back_tx.send_async(v + 1).await.unwrap();
        }
    });
    let ping = tokio::spawn(async move {
        let mut v = 0;
        for _ in 0..n {
            there_tx.send_async(v).await.unwrap();
            v = back_rx.recv_async().await.unwrap();
        }
        v
    });
    let last = ping.await.unwrap();
    let ns = ns(begun);

    c.expect(last, n);
    c.report("time", ns / n as f64, "ns/roundtrip");
}
