use crate::peer::{fib_value, ns, Call};
use std::time::Instant;

fn fib(n: u64) -> u64 {
    if n < 2 {
        return n;
    }
    let (a, b) = rayon::join(|| fib(n - 1), || fib(n - 2));
    a + b
}

pub fn run(c: &mut Call) {
    let n = c.size("n");
    let begun = Instant::now();
    let result = fib(n);
    let ns = ns(begun);
    c.expect(result, fib_value(n));
    c.report("time", ns / (fib_value(n + 1) - 1) as f64, "ns/task");
}
