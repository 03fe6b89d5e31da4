"""
The workloads that say how fast the downloads must be, with the peers beside us, in one command.

``python -m benchmarks W1 W4 --size small`` runs two of them; the docstrings of `workloads`, `notebook` and `amounts`
say what each measures.
"""
