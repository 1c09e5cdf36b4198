use crate::peer::{ns, sum_below, Call};
use std::time::Instant;

pub async fn run(c: &mut Call) {
    let (p, k, slots, n) = (c.size("p"), c.size("c"), c.size("cap"), c.size("n"));
    let (tx, rx) = flume::bounded::<u64>(slots as usize);

    let begun = Instant::now();
    for i in 0..p {
        let tx = tx.clone();
        tokio::spawn(async move {
            for v in n * i / p..n * (i + 1) / p {
                tx.send_async(v).await.unwrap();
            }
        });
    }
    drop(tx);
    let consume = |rx: flume::Receiver<u64>| async move {
        let mut sum = 0;
        while let Ok(v) = rx.recv_async().await {
            sum += v;
        }
        sum
    };
    let consumers: Vec<_> = (0..k).map(|_| tokio::spawn(consume(rx.clone()))).collect();
    let mut total = 0;
    for consumer in consumers {
        total += consumer.await.unwrap();
    }
    let ns = ns(begun);

    c.expect(total, sum_below(n));
    c.report("time", ns / n as f64, "ns/message");
}
