-module(actor_counting_peer).
-export([run/0]).

run() ->
    N = bench:size("n"),
    {R, D} = bench:timed(fun() ->
        Me = self(),
        C = spawn_opt(fun() -> counter(0) end, [{message_queue_data, off_heap}]),
        spawn(fun() -> bench:times(N, fun() -> C ! inc end), C ! {get, Me} end),
        receive {value, V} -> V end end),
    bench:expect(R, N),
    bench:report("time", D / N, "ns/message").

counter(V) -> receive inc -> counter(V + 1); {get, From} -> From ! {value, V} end.
