"""Drivers and tools: everything of tenure that touches a socket, a clock, a file or a terminal.

Nothing is imported here, so that each driver pulls in its own world only.
"""
