"""
The benches: harm that is done very often, and an account of what came of it.

``python -m tests.bench NAME`` runs one and keeps its result in `docs/what_it_survives/`; ``report`` writes the page
from all of them. Each has a short version among the tests of this folder.

=====================  ==============================================================================================
`faults`               the fault catalogue, in every way that a download may meet it
`catalogue`            what proves the rows that no server can do: tests of their own
`peers`                the same as faults, met by the programs and libraries that people download with
`kills`                SIGKILL of a real kernel at random times, while several files arrive
`kills_at_calls`       a kill before every system call of a small scenario
`kills_of_recovery`    the same of its recovery, twice
`errors_of_calls`      every error of the disk at every call that may meet it
`power`                every state that a disk may be in after the power failed at any moment of the scenario
`mutants`              the package with one rule of the order of effects broken: the benches have to notice
`any_order`            what users, servers, disks, clocks and kernels do, in any order (Hypothesis)
`bad_input`            headers, names, URIs, messages and records; `coverage_fuzz` gives the same to atheris
`state_files`          state files that were cut, whose bits were flipped, that were edited
`load`                 very much at once, and for long
`cluster`              a Dask cluster fetches very many files, with a killed worker and a restarted kernel
`cluster_sizes`        the same undisturbed, for manifests of several lengths: what they take
`kernels`              several kernels on one state file, stopped, killed, forked, with other clocks, without locks
=====================  ==============================================================================================

The small scenario (`scenario`) runs in processes that a small C library watches (`shim.c`, built when it is needed);
`stage` performs it, `judge` knows what must hold after every harm, `disk` what a loss of power may leave. A new family
is a function that returns a `results.Family`, and a line in `__main__`.
"""
