"""What is true in the household: which items there are, what kind of hazard each is, and what it must never meet.

The advice follows common poison-control and product-label guidance: call poison control, do not induce vomiting,
rinse skin and eyes for fifteen minutes, keep the original container, never mix bleach with ammonia or acids.
"""

from __future__ import annotations

from collections.abc import Mapping

CORROSIVE = "corrosive"
FLAMMABLE = "flammable"
POISON = "poison"
PRESSURISED = "pressurised"
MILD = "mild"

CLASSES = (CORROSIVE, FLAMMABLE, POISON, PRESSURISED, MILD)

ITEMS: Mapping[str, str] = {
    "bleach": CORROSIVE,
    "ammonia": CORROSIVE,
    "pool chlorine": CORROSIVE,
    "drain cleaner": CORROSIVE,
    "toilet cleaner": CORROSIVE,
    "mold remover": CORROSIVE,
    "gasoline": FLAMMABLE,
    "paint thinner": FLAMMABLE,
    "rubbing alcohol": FLAMMABLE,
    "lamp oil": FLAMMABLE,
    "antifreeze": POISON,
    "rat poison": POISON,
    "weed killer": POISON,
    "ant bait": POISON,
    "hair spray": PRESSURISED,
    "spray paint": PRESSURISED,
    "air freshener": PRESSURISED,
    "shaving foam": PRESSURISED,
    "dish soap": MILD,
    "vinegar": MILD,
    "lemon juice": MILD,
    "baking soda": MILD,
}
"""Item -> hazard class."""

GENERIC_PARTNERS = ("other chemicals", "other cleaners")

AVOID: Mapping[str, tuple[str, ...]] = {
    "bleach": ("ammonia", "acids", "vinegar", "lemon juice", "toilet cleaner", "rubbing alcohol"),
    "ammonia": ("bleach", "pool chlorine", "mold remover"),
    "pool chlorine": ("acids", "ammonia", "bleach", "antifreeze", "gasoline", "vinegar"),
    "drain cleaner": ("acids", "bleach", "ammonia", "toilet cleaner", "vinegar"),
    "toilet cleaner": ("bleach", "mold remover", "drain cleaner", "ammonia", "pool chlorine"),
    "mold remover": ("ammonia", "acids", "vinegar", "toilet cleaner"),
    "gasoline": ("bleach", "pool chlorine", "acids"),
    "paint thinner": ("bleach", "pool chlorine", "acids"),
    "rubbing alcohol": ("bleach", "pool chlorine", "acids"),
    "lamp oil": ("pool chlorine", "bleach", "acids"),
    "antifreeze": ("pool chlorine", "bleach"),
    "rat poison": ("other chemicals",),
    "weed killer": ("bleach", "other chemicals", "ammonia"),
    "ant bait": ("other chemicals",),
    "hair spray": ("other chemicals",),
    "spray paint": ("other chemicals",),
    "air freshener": ("other chemicals",),
    "shaving foam": ("other chemicals",),
    "dish soap": ("bleach", "mold remover", "pool chlorine"),
    "vinegar": ("bleach", "pool chlorine", "mold remover"),
    "lemon juice": ("bleach", "pool chlorine", "mold remover"),
    "baking soda": ("acids", "vinegar"),
}
"""Item -> what it must never be mixed with; the first is the one that answers name."""

BODY_INTENTS = ("swallowed", "eyes", "skin")

QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "store": (
        "How should I store {item}?",
        "What is the safest way to store {item}?",
        "Where do I keep {item} at home?",
    ),
    "spill": (
        "I spilled {item} on the floor. What now?",
        "How do I clean up a spill of {item}?",
        "What do I do if {item} leaks?",
    ),
    "mix": (
        "Can I mix {item} with something else?",
        "What must I never mix with {item}?",
        "Is it safe to mix {item} with other things?",
    ),
    "swallowed": (
        "Someone swallowed {item}. What do I do?",
        "What if a person drinks {item}?",
        "How do I help if {item} was swallowed?",
    ),
    "eyes": (
        "I got {item} in my eye. What now?",
        "What do I do if {item} gets in the eyes?",
        "How do I treat an eye after {item} splashed in it?",
    ),
    "skin": (
        "I got {item} on my skin. What now?",
        "What do I do if {item} touches my skin?",
        "How do I get {item} off my hands?",
    ),
    "dispose": (
        "How do I dispose of {item}?",
        "How can I throw away old {item}?",
        "What do I do with {item} that I no longer need?",
    ),
    "children": (
        "How do I keep my children safe from {item}?",
        "We have small kids and pets. What about {item}?",
        "Is {item} a danger for my child?",
    ),
    "fumes": (
        "What do I do about the fumes of {item}?",
        "I breathed in {item}. What now?",
        "Is the smell of {item} harmful?",
    ),
}
"""Intent -> phrasings of the question."""

INTENTS = tuple(QUESTIONS)
