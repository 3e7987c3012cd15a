%% Calls to a gen_server, in memory: one at a time, and from so many processes at once. Prints JSON.
-module(asks).
-behaviour(gen_server).
-export([main/2, init/1, handle_call/3, handle_cast/2]).

init([]) -> {ok, none}.
handle_call(ping, _From, State) -> {reply, ok, State}.
handle_cast(_, State) -> {noreply, State}.

main(Count, InFlight) ->
    {ok, Server} = gen_server:start_link(?MODULE, [], []),
    Me = self(),
    Each = Count div InFlight,
    Begun = erlang:monotonic_time(nanosecond),
    [spawn_link(fun() -> Me ! {took, asked(Server, Each)} end) || _ <- lists:seq(1, InFlight)],
    Took = lists:sort(lists:append([receive {took, Some} -> Some end || _ <- lists:seq(1, InFlight)])),
    Whole = (erlang:monotonic_time(nanosecond) - Begun) / 1.0e9,
    At = fun(Percent) -> lists:nth(1 + (length(Took) - 1) * Percent div 100, Took) / 1000 end,
    io:format("{\"rate\": ~f, \"p50\": ~f, \"p99\": ~f}~n", [length(Took) / Whole, At(50), At(99)]).

asked(Server, Count) ->
    [begin
         Before = erlang:monotonic_time(nanosecond),
         ok = gen_server:call(Server, ping),
         erlang:monotonic_time(nanosecond) - Before
     end || _ <- lists:seq(1, Count)].
