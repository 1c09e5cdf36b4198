-module(actor_create_peer).
-export([run/0]).

run() ->
    N = bench:size("n"),
    {R, D} = bench:timed(fun() -> create(N, self()), bench:sum(N) end),
    bench:expect(R, N * (N + 1) div 2),
    bench:report("time", D / N, "ns/actor").

create(0, _) -> ok;
create(N, Me) -> P = spawn(fun() -> receive V -> Me ! V end end), P ! N, create(N - 1, Me).
