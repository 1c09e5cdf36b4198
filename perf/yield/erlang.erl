-module(yield_peer).
-export([run/0]).

run() ->
    Tasks = bench:size("tasks"), N = bench:size("n"),
    {ok, Ns} = bench:timed(fun() ->
        Me = self(),
        bench:times(Tasks, fun() -> spawn(fun() -> yields(N), Me ! done end) end),
        bench:count(Tasks)
    end),
    bench:report("time", Ns / (Tasks * N), "ns/yield").

yields(0) -> ok;
yields(N) -> erlang:yield(), yields(N - 1).
