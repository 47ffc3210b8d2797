"""Print a completion script for a shell.

tenure completion bash >~/.local/share/bash-completion/completions/tenure
tenure completion zsh >~/.zfunc/_tenure    (or another directory of $fpath)
tenure completion tcsh >~/.tenure.csh      (which ~/.tcshrc has to source)
"""
# shtab writes the script; here is what it is written of: every command with its options.

import argparse

from .exits import OK

__all__ = ["configure", "run", "whole_parser"]

SHELLS = ("bash", "zsh", "tcsh")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `tenure completion`."""
    parser.add_argument("shell", choices=SHELLS, help="the shell that is to read it")


def run(options: argparse.Namespace) -> int:
    """Print it."""
    import shtab

    print(shtab.complete(whole_parser(), options.shell))
    return OK


def whole_parser() -> argparse.ArgumentParser:
    """Return one parser for all commands, as shtab wants it."""
    from . import COMMANDS, load

    parser = argparse.ArgumentParser("tenure")
    commands = parser.add_subparsers(dest="command")
    for name, command in COMMANDS.items():
        load(name).configure(commands.add_parser(name, help=command.summary))
    return parser
