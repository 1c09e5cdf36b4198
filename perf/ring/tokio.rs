use crate::peer::{ns, Call};
use std::time::Instant;
use tokio::sync::mpsc;

pub async fn run(c: &mut Call) {
    let (tasks, hops) = (c.size("tasks"), c.size("hops"));
    let circle: Vec<_> = (0..tasks).map(|_| flume::bounded::<u64>(0)).collect();
    let (finished, mut end) = mpsc::channel(1);

    let begun = Instant::now();
    for me in 0..tasks as usize {
        let (rx, tx) = (circle[me].1.clone(), circle[(me + 1) % tasks as usize].0.clone());
        let finished = finished.clone();
        tokio::spawn(async move {
            while let Ok(left) = rx.recv_async().await {
                if left == 0 {
                    return finished.send(me as u64).await.unwrap();
                }
                tx.send_async(left - 1).await.unwrap();
            }
        });
    }
    circle[0].0.send_async(hops).await.unwrap();
    let last = end.recv().await.unwrap();
    let ns = ns(begun);

    c.expect(last, hops % tasks);
    c.report("time", ns / hops as f64, "ns/hop");
}
