# How hypothesis runs here: the same examples every time and no clock, so that a slow machine is no failure.

from hypothesis import settings

settings.register_profile("core", deadline=None, derandomize=True, database=None)
settings.load_profile("core")
