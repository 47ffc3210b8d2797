# What a command cannot do without, and what brings it. Only looked for, not imported.

import importlib.util
from collections.abc import Iterable

from .exits import UNUSABLE, CommandError

__all__ = ["require"]


def require(modules: Iterable[str], extra: str = "cli") -> None:
    """Raise a `CommandError` that names the modules that are not installed, and the extra that brings them."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise CommandError(
            f"this needs {' and '.join(missing)}, not installed here: pip install 'tenure[{extra}]'", UNUSABLE
        )
