"""`python -m assent`: the same as the command `assent`."""

from __future__ import annotations

from assent.cli import main

main()
