-module(parked_memory_peer).
-export([run/0]).

run() ->
    N = bench:size("n"),
    Before = bench:rss(),
    Pids = bench:park(N),
    After = bench:rss(),
    [P ! go || P <- Pids],
    bench:count(N),
    bench:report("rss", (After - Before) / N, "bytes/task").
