// The program of Tokio's multi_thread runtime and, with rayon=1, of Rayon. Rendezvous and MPMC channels are flume's,
// since Tokio has neither; mailboxes are tokio::sync::mpsc. perf/run puts this file and every workload's tokio.rs and
// rayon.rs into one crate.
//
//   tokio_peer <workload> <workers> [key=value ...]
mod cold_wake;
mod fib;
mod fib_rayon;
mod hackysack;
mod idle_cpu;
mod latency;
mod mpmc;
mod mutex;
mod parked;
mod parked_memory;
mod peer;
mod pingpong;
mod ring;
mod select;
mod skynet;
mod sleep;
mod spawn_join;
mod spawn_join_rayon;
mod r#yield;

use peer::Call;

async fn tokio_workload(mut call: Call) {
    let c = &mut call;
    match c.workload.clone().as_str() {
        "spawn_join" => spawn_join::run(c).await,
        "fib" => fib::run(c).await,
        "skynet" => skynet::run(c).await,
        "pingpong" => pingpong::run(c).await,
        "ring" => ring::run(c).await,
        "mpmc" => mpmc::run(c).await,
        "select" => select::run(c).await,
        "yield" => r#yield::run(c).await,
        "parked_memory" => parked_memory::run(c).await,
        "hackysack" => hackysack::run(c).await,
        "sleep" => sleep::run(c).await,
        "mutex" => mutex::run(c).await,
        "idle_cpu" => idle_cpu::run(c).await,
        "latency" => latency::run(c).await,
        "cold_wake" => cold_wake::run(c).await,
        _ => c.unsupported(),
    }
}

fn rayon_workload(mut call: Call) {
    rayon::ThreadPoolBuilder::new().num_threads(call.workers).build_global().unwrap();
    rayon::scope(|s| {
        s.spawn(|_| match call.workload.clone().as_str() {
            "spawn_join" => spawn_join_rayon::run(&mut call),
            "fib" => fib_rayon::run(&mut call),
            _ => call.unsupported(),
        })
    });
}

fn main() {
    let call = Call::from_command_line();
    if call.peer == "rayon" {
        return rayon_workload(call);
    }
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(call.workers).enable_time().build().unwrap();
    runtime.block_on(async { tokio::spawn(tokio_workload(call)).await.unwrap() });
}
