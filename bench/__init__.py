"""The benchmark: floor, Nexus and peers, in turns in one run. `bench/run` is the command; README.md says what is measured."""
