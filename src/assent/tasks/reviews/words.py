"""The words of the reviews: what is reviewed, and how pleasant each word is."""

from __future__ import annotations

from collections.abc import Mapping

SUBJECTS: Mapping[str, tuple[str, ...]] = {
    "hotel": ("the Lake Hotel", "the Old Mill Inn", "the Station Hotel", "the Garden Inn"),
    "restaurant": ("the Blue Anchor", "the Corner Bistro", "the Golden Spoon", "the Market Kitchen"),
    "film": ("the film Red Harbor", "the film Night Train", "the film Two Rivers", "the film Paper Moon"),
    "book": ("the novel Winter Road", "the novel Stone Garden", "the novel Last Ferry", "the novel Open Sky"),
    "museum": ("the City Museum", "the Glass Museum", "the Railway Museum", "the Harbor Museum"),
}
"""Kind -> what is reviewed."""

BEGINNINGS: Mapping[str, str] = {
    "hotel": "We stayed at {subject} {occasion}.",
    "restaurant": "We had dinner at {subject} {occasion}.",
    "film": "We saw {subject} {occasion}.",
    "book": "I read {subject} {occasion}.",
    "museum": "We visited {subject} {occasion}.",
}
"""Kind -> how a review begins."""

ASPECTS: Mapping[str, tuple[str, ...]] = {
    "hotel": ("room", "bed", "breakfast", "staff", "view", "bathroom"),
    "restaurant": ("soup", "bread", "fish", "waiter", "wine", "dessert"),
    "film": ("story", "acting", "music", "ending", "hero", "dialogue"),
    "book": ("style", "beginning", "humor", "language", "heroine", "chapter about the war"),
    "museum": ("guide", "garden", "cafe", "collection", "lighting", "gift shop"),
}
"""Kind -> what a review of it talks about."""

OCCASIONS = (
    "in May",
    "last week",
    "on a rainy day",
    "with my sister",
    "for my birthday",
    "after a long day",
    "over the holidays",
    "with old friends",
    "on our way home",
    "for the first time",
)

PRAISE: Mapping[str, float] = {
    "decent": 0.25,
    "fine": 0.3,
    "pleasant": 0.5,
    "good": 0.55,
    "lovely": 0.75,
    "great": 0.8,
    "wonderful": 0.9,
    "superb": 1.0,
}
BLAME: Mapping[str, float] = {
    "plain": -0.2,
    "dull": -0.4,
    "poor": -0.55,
    "bad": -0.6,
    "dreadful": -0.8,
    "awful": -0.85,
    "terrible": -0.9,
    "horrible": -1.0,
}
LIKED: Mapping[str, float] = {"liked": 0.5, "enjoyed": 0.65, "loved": 0.9, "adored": 1.0}
DISLIKED: Mapping[str, float] = {"minded": -0.3, "disliked": -0.5, "regretted": -0.65, "hated": -0.9}
JOY: Mapping[str, float] = {"pleasure": 0.6, "delight": 0.8, "joy": 0.85, "triumph": 0.95}
SORROW: Mapping[str, float] = {"letdown": -0.6, "bore": -0.65, "waste of time": -0.85, "disaster": -0.95}
DEED: Mapping[str, float] = {"recommend it": 0.7, "come back": 0.7, "pay for it again": 0.6}
WARN: Mapping[str, float] = {"warn my friends": -0.7, "ask for my money back": -0.85}

VALENCE: Mapping[str, float] = {**PRAISE, **BLAME, **LIKED, **DISLIKED, **JOY, **SORROW, **DEED, **WARN}
"""Word -> how pleasant it is by itself, in [-1, 1]."""

DEGREES: Mapping[str, float] = {"rather": 0.7, "quite": 0.85, "really": 1.2, "very": 1.25, "truly": 1.4}
"""What the word after it is multiplied by."""

NEGATIONS: Mapping[str, float] = {"not": -0.5, "hardly": -0.6, "never": -1.0}
"""What a pleasant word is multiplied by that follows within `NEGATION_REACH` words of the clause, degree or not."""

FAINT_PRAISE = -0.5
"""What an unpleasant word is multiplied by there, whatever the negation: "not bad" and "never bad" are no more."""

NEGATION_REACH = 3
CONTRASTS = ("but",)  # what follows weighs more than what went before
CONCESSIONS = ("although",)  # what follows the comma weighs more than what stands before it
MAIN_CLAUSE = 0.75
"""What the clause that weighs more weighs; the other has the rest."""
