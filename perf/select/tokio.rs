use crate::peer::{ns, sum_below, Call};
use std::time::Instant;

pub async fn run(c: &mut Call) {
    let n = c.size("n");

    let begun = Instant::now();
    let mut lines = vec![];
    for i in 0..4 {
        let (tx, rx) = flume::bounded::<u64>(0);
        lines.push(rx);
        tokio::spawn(async move {
            for v in n * i / 4..n * (i + 1) / 4 {
                tx.send_async(v).await.unwrap();
            }
            std::future::pending::<()>().await // a closed channel would be ready for ever
        });
    }
    let consumer = tokio::spawn(async move {
        let mut sum = 0;
        for _ in 0..n {
            sum += tokio::select! {
                v = lines[0].recv_async() => v,
                v = lines[1].recv_async() => v,
                v = lines[2].recv_async() => v,
                v = lines[3].recv_async() => v,
            }
            .unwrap();
        }
        sum
    });
    let total = consumer.await.unwrap();
    let ns = ns(begun);

    c.expect(total, sum_below(n));
    c.report("time", ns / n as f64, "ns/message");
}
