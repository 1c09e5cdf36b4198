-module(skynet_peer).
-export([run/0]).

run() ->
    N = bench:size("n"),
    {Result, Ns} = bench:timed(fun() -> node(self(), 0, N), receive X -> X end end),
    bench:expect(Result, N * (N - 1) div 2),
    bench:report("time", Ns / 1.0e6, "ms").

node(Parent, Number, 1) -> Parent ! Number;
node(Parent, Number, Size) ->
    Me = self(),
    Part = Size div 10,
    [spawn(fun() -> node(Me, Number + I * Part, Part) end) || I <- lists:seq(0, 9)],
    Parent ! bench:sum(10).
