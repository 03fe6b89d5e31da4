"""
The benches: harm that is done very often, and an account of what came of it.

``python -m tests.bench NAME`` runs one and keeps its result in `docs/what_it_survives/`; ``report`` writes the page
from all of them. Each has a short version among the tests of this folder.

=====================  ======================================================================================="""
