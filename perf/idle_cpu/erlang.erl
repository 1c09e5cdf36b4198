-module(idle_cpu_peer).
-export([run/0]).

run() ->
    N = bench:size("n"), Ms = bench:size("ms"),
    Pids = bench:park(N),
    Before = bench:cpu_ms(),
    timer:sleep(Ms),
    Used = bench:cpu_ms() - Before,
    [P ! go || P <- Pids],
    bench:count(N),
    bench:report("cpu", Used, "ms").
