-module(actor_ring_peer).
-export([run/0]).

run() ->
    Tasks = bench:size("tasks"), Hops = bench:size("hops"),
    {R, D} = bench:timed(fun() ->
        Me = self(),
        First = spawn(fun() -> receive {next, P} -> ring(0, P, Me) end end),
        Last = lists:foldl(fun(I, Next) -> spawn(fun() -> ring(I, Next, Me) end) end, First, lists:seq(Tasks - 1, 1, -1)),
        First ! {next, Last}, First ! Hops,
        receive {at, I} -> I end end),
    bench:expect(R, Hops rem Tasks),
    bench:report("time", D / Hops, "ns/hop").

ring(I, Next, Me) ->
    receive
        0 -> Me ! {at, I};
        M -> Next ! M - 1, ring(I, Next, Me)
    end.
