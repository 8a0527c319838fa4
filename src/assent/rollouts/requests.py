"""What every generator asks of a request before it writes."""

from __future__ import annotations

from collections.abc import Sequence


def room_behind(request: int, prompt: Sequence[int], context: int) -> int:
    """Tokens that a completion of this prompt may have.

    Raises:
        ValueError: an empty prompt, or one that leaves no room for a single token.
    """
    room = context - len(prompt)
    if not prompt or room < 1:
        raise ValueError(
            f"request {request}: a prompt of {len(prompt)} tokens cannot be continued in a context of {context}"
        )
    return room
