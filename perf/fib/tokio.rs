use crate::peer::{fib_value, ns, Call};
use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

fn fib(n: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move {
        if n < 2 {
            return n;
        }
        let child = tokio::spawn(fib(n - 1));
        let b = fib(n - 2).await;
        child.await.unwrap() + b
    })
}

pub async fn run(c: &mut Call) {
    let n = c.size("n");
    let begun = Instant::now();
    let result = fib(n).await;
    let ns = ns(begun);
    c.expect(result, fib_value(n));
    c.report("time", ns / (fib_value(n + 1) - 1) as f64, "ns/task");
}
