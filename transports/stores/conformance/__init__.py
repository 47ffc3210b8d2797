"""The contract of `Store` as tests, for stores of your own.

    class TestMyStore(StoreConformance, LapsingLeases, ManyProcesses):
        def new_store(self):
            return MyStore(...)          # each time another object on the same storage

        def recipe(self):                # for ManyProcesses: how another process makes such an object
            return "my_package.stores:make_store", ["an argument", "that JSON can hold"]

`StoreConformance` is for every store. `LapsingLeases` is for one whose lease ends by itself after its ttl, even if the
holder is alive. `ManyProcesses` is for one that processes share.
"""

# Each test is one sentence of the contract. Nothing is known here of any store but what `Store` says; keys are random,
# so that no test meets what another has left. Needs pytest, and nothing else.

from .every_store import StoreConformance
from .lapsing import LapsingLeases
from .processes import ManyProcesses

__all__ = ["LapsingLeases", "ManyProcesses", "StoreConformance"]
