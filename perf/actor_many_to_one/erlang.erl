-module(actor_many_to_one_peer).
-export([run/0]).

run() ->
    Senders = bench:size("senders"), Per = bench:size("per"),
    {R, D} = bench:timed(fun() ->
        Me = self(),
        [spawn(fun() -> sends(Per, Me) end) || _ <- lists:seq(1, Senders)],
        bench:sum(Senders * Per) end),
    bench:expect(R, Senders * Per * (Per - 1) div 2),
    bench:report("time", D / (Senders * Per), "ns/message").

sends(0, _) -> ok;
sends(N, To) -> To ! N - 1, sends(N - 1, To).
