%% The program of Erlang: processes and mailboxes on the BEAM. A workload is a module <workload>_peer with run/0; in this
%% tree it is perf/<workload>/erlang.erl.
%%
%%   erl -noshell +S N:N +P 4194304 -pa <here> -run bench main -extra <workload> <workers> key=value ...
-module(bench).
-export([main/0, size/1, report/3, expect/2, timed/1, rss/0, cpu_ms/0, now_ns/0,
         xorshift/1, fib_value/1, sum/1, count/1, times/2, park/1]).

main() ->
    [Workload, Workers | Sizes] = init:get_plain_arguments(),
    put(workload, Workload),
    put(workers, Workers),
    put(given, maps:from_list([pair(S) || S <- Sizes])),
    put(used, ""),
    process_flag(message_queue_data, off_heap),
    Module = list_to_atom(Workload ++ "_peer"),
    case code:ensure_loaded(Module) of
        {module, _} -> Module:run(), erlang:halt(0, [{flush, true}]);
        _ ->
            io:format("peer=erlang workload=~s workers=~s check=unsupported~n", [Workload, Workers]),
            erlang:halt(3, [{flush, true}])
    end.

pair(S) ->
    case string:split(S, "=") of
        [Key, Value] ->
            try {Key, list_to_integer(Value)}
            catch error:badarg -> refuse(Value ++ " is not a number")
            end;
        _ -> refuse(S ++ " is not key=value")
    end.

refuse(Why) ->
    io:format(standard_error, "erlang: ~s~n", [Why]),
    erlang:halt(2, [{flush, true}]).

%% A size the workload needs; perf/<workload>/config.toml is where sizes are kept.
size(Key) ->
    case get(given) of
        #{Key := Value} ->
            put(used, get(used) ++ Key ++ "=" ++ integer_to_list(Value) ++ " "),
            Value;
        _ -> refuse(get(workload) ++ " needs " ++ Key ++ "=<number>")
    end.

report(Metric, Value, Unit) ->
    io:format("peer=erlang workload=~s workers=~s ~smetric=~s value=~.3f unit=~s check=ok~n",
              [get(workload), get(workers), get(used), Metric, float(Value), Unit]).

expect(Same, Same) -> ok;
expect(Got, Want) ->
    io:format("peer=erlang workload=~s workers=~s check=FAIL got=~p want=~p~n",
              [get(workload), get(workers), Got, Want]),
    erlang:halt(1, [{flush, true}]).

now_ns() -> erlang:monotonic_time(nanosecond).
cpu_ms() -> {Total, _} = erlang:statistics(runtime), Total.
rss() ->
    {ok, Statm} = file:read_file("/proc/self/statm"),
    [_, Pages | _] = binary:split(Statm, <<" ">>, [global]),
    binary_to_integer(Pages) * 4096.

%% Gives {what F gives, nanoseconds}. F runs in its own process; its mailbox may grow to a million messages, which must
%% not be copied by its garbage collections (with the default, on_heap, spawn_join takes minutes).
timed(F) ->
    Me = self(),
    Begun = now_ns(),
    spawn_opt(fun() -> Me ! {result, F()} end, [{message_queue_data, off_heap}]),
    receive {result, Result} -> {Result, now_ns() - Begun} end.

xorshift(S0) ->
    S1 = (S0 bxor (S0 bsl 13)) band 16#FFFFFFFFFFFFFFFF,
    S2 = S1 bxor (S1 bsr 7),
    (S2 bxor (S2 bsl 17)) band 16#FFFFFFFFFFFFFFFF.

fib_value(N) -> fib_value(N, 0, 1).
fib_value(0, A, _) -> A;
fib_value(N, A, B) -> fib_value(N - 1, B, A + B).

%% Receives N numbers and adds them up.
sum(N) -> sum(N, 0).
sum(0, Total) -> Total;
sum(N, Total) -> receive X -> sum(N - 1, Total + X) end.

%% Receives N times `done`.
count(0) -> ok;
count(N) -> receive done -> count(N - 1) end.

times(0, _) -> ok;
times(N, F) -> F(), times(N - 1, F).

%% N processes that wait for `go` and then send `done`.
park(N) ->
    Me = self(),
    Pids = [spawn(fun() -> Me ! done, receive go -> Me ! done end end) || _ <- lists:seq(1, N)],
    count(N),
    timer:sleep(200),
    Pids.
