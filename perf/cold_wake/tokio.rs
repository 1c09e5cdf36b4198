use crate::peer::Call;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

pub async fn run(c: &mut Call) {
    let (n, gap_us) = (c.size("n"), c.size("gap_us"));
    let (tx, mut rx) = mpsc::unbounded_channel::<Instant>();
    let receiver = tokio::spawn(async move {
        let mut late: Vec<u64> = vec![];
        while let Some(sent) = rx.recv().await {
            late.push(sent.elapsed().as_nanos() as u64);
        }
        late
    });
    std::thread::spawn(move || {
        for _ in 0..n {
            std::thread::sleep(Duration::from_micros(gap_us));
            tx.send(Instant::now()).unwrap();
        }
    });
    let late = receiver.await.unwrap();
    c.expect(late.len() as u64, n);
    c.report_latency(late);
}
