-module(spawn_join_peer).
-export([run/0]).

run() ->
    N = bench:size("n"),
    {ok, Ns} = bench:timed(fun() ->
        Me = self(),
        bench:times(N, fun() -> spawn(fun() -> Me ! done end) end),
        bench:count(N)
    end),
    bench:report("time", Ns / N, "ns/task").
