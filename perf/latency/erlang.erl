-module(latency_peer).
-export([run/0]).

run() ->
    N = bench:size("n"), Gap = bench:size("gap_us") * 1000,
    Me = self(),
    Receiver = spawn(fun() -> Me ! {late, late(N, [])} end),
    timer:sleep(10),
    pokes(N, Gap, Receiver),
    receive {late, Late} -> ok end,
    bench:expect(length(Late), N),
    Sorted = lists:sort(Late),
    bench:report("p50", lists:nth(N div 2 + 1, Sorted) / 1000, "us"),
    bench:report("p99", lists:nth(N * 99 div 100 + 1, Sorted) / 1000, "us").

late(0, Late) -> Late;
late(N, Late) -> receive Sent -> late(N - 1, [bench:now_ns() - Sent | Late]) end.

pokes(0, _, _) -> ok;
pokes(N, Gap, Receiver) ->
    spin(bench:now_ns() + Gap),
    Receiver ! bench:now_ns(),
    pokes(N - 1, Gap, Receiver).

spin(End) ->
    case bench:now_ns() < End of
        true -> spin(End);
        false -> ok
    end.
