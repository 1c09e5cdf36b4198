// n tasks that all wait for a message. A oneshot channel each: a million receivers on one flume channel take minutes to
// release.
use crate::peer::Call;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub struct Parked(Vec<(oneshot::Sender<u64>, JoinHandle<u64>)>);

pub async fn park(n: u64) -> Parked {
    let started = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::with_capacity(n as usize);
    for _ in 0..n {
        let ((tx, rx), started) = (oneshot::channel(), started.clone());
        let task = tokio::spawn(async move {
            started.fetch_add(1, Relaxed);
            rx.await.unwrap()
        });
        tasks.push((tx, task));
    }
    while started.load(Relaxed) != n {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    Parked(tasks)
}

impl Parked {
    pub async fn release(self, c: &Call) {
        let n = self.0.len() as u64;
        let mut sum = 0;
        for (tx, task) in self.0 {
            tx.send(1).unwrap();
            sum += task.await.unwrap();
        }
        c.expect(sum, n);
    }
}
