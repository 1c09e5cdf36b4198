-module(sleep_peer).
-export([run/0]).

run() ->
    N = bench:size("n"),
    Before = bench:cpu_ms(),
    {ok, Ns} = bench:timed(fun() -> sleepers(N, 42, self()), bench:count(N) end),
    Used = bench:cpu_ms() - Before,
    bench:report("over_ideal", Ns / 1.0e6 - 1000, "ms"),
    bench:report("cpu", Used / 1000, "s").

sleepers(0, _, _) -> ok;
sleepers(N, S0, Me) ->
    S = bench:xorshift(S0),
    Ms = S rem 1001,
    spawn(fun() -> receive after Ms -> Me ! done end end),
    sleepers(N - 1, S, Me).
