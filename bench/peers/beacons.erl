%% A supervisor with one child, which lives as long as the program behind its port.
-module(beacons).
-behaviour(supervisor).
-export([start_link/2, init/1, start_child/2, run/3]).

start_link(Program, Socket) ->
    supervisor:start_link(?MODULE, {Program, Socket}).

init({Program, Socket}) ->
    %% No limit that a benchmark could reach.
    Flags = #{strategy => one_for_one, intensity => 1000000, period => 1},
    {ok, {Flags, [#{id => beacon, start => {?MODULE, start_child, [Program, Socket]}}]}}.

start_child(Program, Socket) ->
    proc_lib:start_link(?MODULE, run, [self(), Program, Socket]).

run(Parent, Program, Socket) ->
    Port = open_port({spawn_executable, Program}, [{args, [Socket]}, exit_status]),
    proc_lib:init_ack(Parent, {ok, self()}),
    receive {Port, {exit_status, _}} -> exit(killed_from_outside) end.
