// What the workloads share: command line, clocks, the check, the result line.
use std::collections::HashMap;
use std::time::Instant;

pub struct Call {
    pub peer: &'static str,
    pub workload: String,
    pub workers: usize,
    given: HashMap<String, u64>,
    used: String,
}

fn refuse(why: String) -> ! {
    eprintln!("tokio: {}", why);
    std::process::exit(2);
}

impl Call {
    pub fn from_command_line() -> Call {
        let args: Vec<String> = std::env::args().collect();
        if args.len() < 3 {
            refuse("usage: workload workers [key=value ...]".to_string());
        }
        let number = |text: &str| text.parse::<u64>().unwrap_or_else(|_| refuse(format!("{} is not a number", text)));
        let pair = |a: &String| match a.split_once('=') {
            Some((key, value)) => (key.to_string(), number(value)),
            None => refuse(format!("{} is not key=value", a)),
        };
        let mut given: HashMap<_, _> = args[3..].iter().map(pair).collect();
        let peer = if given.remove("rayon") == Some(1) { "rayon" } else { "tokio" };
        Call { peer, workload: args[1].clone(), workers: number(&args[2]) as usize, given, used: String::new() }
    }

    /// A size the workload needs; perf/<workload>/config.toml is where sizes are kept.
    pub fn size(&mut self, key: &str) -> u64 {
        match self.given.get(key) {
            None => refuse(format!("{} needs {}=<number>", self.workload, key)),
            Some(&value) => {
                self.used += &format!("{}={} ", key, value);
                value
            }
        }
    }
    /// A variant of the workload, off unless given.
    pub fn flag(&mut self, key: &str) -> bool {
        self.given.contains_key(key) && self.size(key) != 0
    }
    pub fn report(&self, metric: &str, value: f64, unit: &str) {
        println!(
            "peer={} workload={} workers={} {}metric={} value={:.6} unit={} check=ok",
            self.peer, self.workload, self.workers, self.used, metric, value, unit
        );
    }
    pub fn expect(&self, got: u64, want: u64) {
        if got != want {
            println!(
                "peer={} workload={} workers={} check=FAIL got={} want={}",
                self.peer, self.workload, self.workers, got, want
            );
            std::process::exit(1);
        }
    }
    pub fn unsupported(&self) {
        println!("peer={} workload={} workers={} check=unsupported", self.peer, self.workload, self.workers);
        std::process::exit(3);
    }
    pub fn report_latency(&self, mut ns: Vec<u64>) {
        ns.sort();
        self.report("p50", ns[ns.len() / 2] as f64 / 1e3, "us");
        self.report("p99", ns[ns.len() * 99 / 100] as f64 / 1e3, "us");
    }
}

pub fn ns(since: Instant) -> f64 {
    since.elapsed().as_nanos() as f64
}

/// CPU milliseconds so far, and how often a thread of this process went to sleep.
pub fn usage() -> (f64, f64) {
    unsafe {
        let mut u: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut u);
        let seconds = (u.ru_utime.tv_sec + u.ru_stime.tv_sec) as f64;
        (seconds * 1e3 + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) as f64 * 1e-3, u.ru_nvcsw as f64)
    }
}

pub fn resident_bytes() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<f64>().unwrap() * 4096.0
}

pub fn xorshift(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

pub fn sum_below(n: u64) -> u64 {
    n * (n - 1) / 2
}

pub fn fib_value(n: u64) -> u64 {
    let (mut a, mut b) = (0, 1);
    for _ in 0..n {
        (a, b) = (b, a + b);
    }
    a
}
