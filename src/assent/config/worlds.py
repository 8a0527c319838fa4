"""What the settings must know of the bundled worlds without loading them; a test holds the worlds to it."""

from __future__ import annotations

from collections.abc import Mapping

from assent.types.feedback import CRITERIA

TEMPLATES: Mapping[str, str] = {
    "reviews": "{prompt}",  # the completion goes on where the prompt ends
    "summaries": "Post: {prompt}\nSummary:",
    "moderation": "Comment: {prompt}\nReply:",
}
"""Name -> how the world's texts put a prompt, where that is not the default of `prompts.template`."""

WORLD_CRITERIA: Mapping[str, tuple[str, ...]] = {
    "household": CRITERIA,
    "reviews": ("sentiment",),
    "summaries": ("coverage", "faithfulness", "brevity"),
    "moderation": ("civil", "constructive"),
}
"""Name -> what people are asked about in this world, and what its gold judge marks."""
