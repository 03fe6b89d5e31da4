"""
The benches: harm that is done very often, and an account of what came of it.

``python -m tests.bench NAME`` runs one and keeps its result in `docs/what_it_survives/`; ``report`` writes the page
from all of them. Each has a short version among the tests of this folder.

===========  ========================================================================================================
`kills`      SIGKILL of a real kernel at random times, while several files arrive
`calls`      a kill before every system call of a small scenario, and before every one of its recovery; every error of
             the disk at every call that may meet it
`power`      every state that a disk may be in after the power failed at any moment of the scenario
`mutants`    the package with one rule of the order of effects broken: the benches have to notice
`fuzz`       state files, messages of front ends, headers: anything may be in them
`load`       very many transfers at once, very many operations, and a soak
`kernels`    several kernels on one state file, stopped, killed, forked, with other clocks
===========  ========================================================================================================
"""
