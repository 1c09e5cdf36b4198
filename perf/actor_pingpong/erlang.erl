-module(actor_pingpong_peer).
-export([run/0]).

run() ->
    N = bench:size("n"),
    {R, D} = bench:timed(fun() -> P = spawn(fun pong/0), P ! {self(), 0}, ping(P, N) end),
    bench:expect(R, N),
    bench:report("time", D / N, "ns/roundtrip").

pong() -> receive {From, V} -> From ! V + 1, pong() end.

ping(P, N) -> receive N -> N; V -> P ! {self(), V}, ping(P, N) end.
