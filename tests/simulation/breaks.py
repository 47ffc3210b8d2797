# Ways to break the core, or the driver, on purpose. The simulation has to notice each of them, as the rule it breaks;
# `python -m tests.simulation --break NAME` shows the shortest history of it.

from . import breaks_of_exchanges, breaks_of_tokens  # noqa: F401  # they enter themselves
from .sabotage import BREAKS, Break

__all__ = ["BREAKS", "Break"]
