// The sender is a task that keeps its worker busy; with ext=1 a thread of its own.
use crate::peer::Call;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

pub async fn run(c: &mut Call) {
    let (n, gap_us, from_outside) = (c.size("n"), c.size("gap_us"), c.flag("ext"));
    let (tx, mut rx) = mpsc::unbounded_channel::<Instant>();
    let receiver = tokio::spawn(async move {
        let mut late: Vec<u64> = vec![];
        while let Some(sent) = rx.recv().await {
            late.push(sent.elapsed().as_nanos() as u64);
        }
        late
    });
    tokio::time::sleep(Duration::from_millis(10)).await;
    let sender = move || {
        for _ in 0..n {
            let end = Instant::now() + Duration::from_micros(gap_us);
            while Instant::now() < end {}
            tx.send(Instant::now()).unwrap();
        }
    };
    if from_outside {
        std::thread::spawn(sender);
    } else {
        tokio::spawn(async move { sender() });
    }
    let late = receiver.await.unwrap();
    c.expect(late.len() as u64, n);
    c.report_latency(late);
}
