use crate::peer::{ns, sum_below, Call};
use std::future::Future;
use std::pin::Pin;
use std::time::Instant;
use tokio::sync::mpsc;

fn node(out: mpsc::Sender<u64>, number: u64, size: u64) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        if size == 1 {
            return out.send(number).await.unwrap();
        }
        let (tx, mut rx) = mpsc::channel(10);
        for i in 0..10 {
            tokio::spawn(node(tx.clone(), number + i * (size / 10), size / 10));
        }
        let mut sum = 0;
        for _ in 0..10 {
            sum += rx.recv().await.unwrap();
        }
        out.send(sum).await.unwrap();
    })
}

pub async fn run(c: &mut Call) {
    let n = c.size("n");
    let begun = Instant::now();
    let (tx, mut rx) = mpsc::channel(1);
    tokio::spawn(node(tx, 0, n));
    let result = rx.recv().await.unwrap();
    let ns = ns(begun);
    c.expect(result, sum_below(n));
    c.report("time", ns / 1e6, "ms");
}
