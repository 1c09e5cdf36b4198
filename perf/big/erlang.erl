-module(big_peer).
-export([run/0]).

run() ->
    A = bench:size("actors"), Pings = bench:size("pings"),
    {R, D} = bench:timed(fun() ->
        Me = self(),
        Pids = [spawn(fun() -> receive {peers, T} -> big_start(I, T, A, Pings, Me) end end) || I <- lists:seq(1, A)],
        T = list_to_tuple(Pids),
        [P ! {peers, T} || P <- Pids], bench:count(A),
        [P ! exit || P <- Pids], bench:sum(A) end),
    bench:expect(R, A * Pings),
    bench:report("time", D / (2 * A * Pings), "ns/message").

big_start(I, T, A, Pings, Me) -> big(I, T, A, big_next(I, T, A, I), Pings, Me, 0).

big_next(I, T, A, S0) ->
    S = bench:xorshift(S0), J0 = S rem (A - 1) + 1,
    J = if J0 >= I -> J0 + 1; true -> J0 end,
    element(J, T) ! {ping, self()},
    S.

big(I, T, A, S, Left, Me, Seen) ->
    receive
        {ping, From} -> From ! pong, big(I, T, A, S, Left, Me, Seen + 1);
        pong when Left =:= 1 -> Me ! done, big(I, T, A, S, 0, Me, Seen);
        pong -> big(I, T, A, big_next(I, T, A, S), Left - 1, Me, Seen);
        exit -> Me ! Seen
    end.
