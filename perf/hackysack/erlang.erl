%% Pays for 64-bit arithmetic in bignums; the sequence of throws is kept equal on purpose.
-module(hackysack_peer).
-export([run/0]).

run() ->
    C = bench:size("C"), P = bench:size("P"), B = bench:size("B"), K = bench:size("K"),
    Me = self(),
    Circles = list_to_tuple([circle(X, P, Me) || X <- lists:seq(0, C - 1)]),
    timer:sleep(100),
    Balls = lists:seq(0, C * B - 1),
    Begun = bench:now_ns(),
    [element(X rem B rem P + 1, element(X div B + 1, Circles)) ! {seed(X), K div B, 0} || X <- Balls],
    Total = balls(C * B, 0),
    Ns = bench:now_ns() - Begun,
    bench:expect(Total, lists:sum([alone(seed(X), K div B, X rem B rem P, P, 0) || X <- Balls])),
    bench:report("rate", C * (K div B * B) / (Ns / 1.0e9), "kicks/s").

seed(X) -> ((X + 1) * 16#9E3779B97F4A7C15) band 16#FFFFFFFFFFFFFFFF.

circle(X, P, Main) ->
    Start = fun(I) -> receive go -> player(I, P, persistent_term:get({circle, X}), Main) end end,
    Pids = [spawn(fun() -> Start(I) end) || I <- lists:seq(0, P - 1)],
    Circle = list_to_tuple(Pids),
    persistent_term:put({circle, X}, Circle),
    [Pid ! go || Pid <- Pids],
    Circle.

kick(S0, Me, P) ->
    S = bench:xorshift(S0),
    case S rem (P - 1) of
        To when To >= Me -> {S, To + 1};
        To -> {S, To}
    end.

player(Me, P, Circle, Main) ->
    receive
        {_, 0, Sum} ->
            Main ! {ball, Sum};
        {S0, Kicks, Sum} ->
            {S, To} = kick(S0, Me, P),
            element(To + 1, Circle) ! {S, Kicks - 1, Sum + To}
    end,
    player(Me, P, Circle, Main).

balls(0, Total) -> Total;
balls(N, Total) -> receive {ball, Sum} -> balls(N - 1, Total + Sum) end.

alone(_, 0, _, _, Sum) -> Sum;
alone(S0, Kicks, At, P, Sum) ->
    {S, To} = kick(S0, At, P),
    alone(S, Kicks - 1, To, P, Sum + To).
