-module(fib_peer).
-export([run/0]).

run() ->
    N = bench:size("n"),
    {Result, Ns} = bench:timed(fun() -> fib(N) end),
    bench:expect(Result, bench:fib_value(N)),
    bench:report("time", Ns / (bench:fib_value(N + 1) - 1), "ns/task").

%% A value may be received by an enclosing call of the same process: only sums are formed, so the total is right.
fib(N) when N < 2 -> N;
fib(N) ->
    Me = self(),
    spawn(fun() -> Me ! fib(N - 1) end),
    B = fib(N - 2),
    receive A -> A + B end.
