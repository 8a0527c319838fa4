"""What becomes of an error: plain sentences on stderr and its own exit code; a traceback only for our mistakes."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from assent.store import translate_os_errors
from assent.types.errors import AssentError, Interrupted, WaitingForPeople

NO_FAILURE = (WaitingForPeople, Interrupted)


@contextmanager
def failures_told() -> Iterator[None]:
    """Tell any error and exit: an `AssentError` in its own words and with its code, any other with its traceback, 1.

    A full disk, a read-only file system and a missing permission count as errors of the user's, whoever met them.

    Raises:
        SystemExit: always, if there was an error.
    """
    try:
        with translate_os_errors("the workspace"), _full_disk_recognised():
            yield
    except AssentError as error:
        print(_words(error), file=sys.stderr)
        sys.exit(error.exit_code)
    except Exception:
        traceback.print_exc()
        sys.exit(1)


@contextmanager
def _full_disk_recognised() -> Iterator[None]:
    """Some libraries tell a full disk in words only."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, OSError | AssentError) and "No space left on device" in str(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise


def _words(error: AssentError) -> str:
    start = "" if isinstance(error, NO_FAILURE) else "error: "
    return f"{start}{error.message}" + (f"\n  {error.hint}" if error.hint else "")
