"""The commands."""

from __future__ import annotations


def main() -> None:
    """The command `assent`: parse the command line, do it, and exit with a code that says how it went."""
    from assent.cli.environment import prepare_environment

    prepare_environment()
    from assent.cli.app import app
    from assent.cli.failures import failures_told

    with failures_told():
        app(prog_name="assent")
