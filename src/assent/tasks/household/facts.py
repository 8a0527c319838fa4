"""What is true in the household: which items there are, what kind of hazard each is, and what it must never meet.

The advice follows common poison-control and product-label guidance: call poison control, do not induce vomiting,
rinse skin and eyes for fifteen minutes, keep the original container, never mix bleach with ammonia or acids.
"""

from __future__ import annotations

from collections.abc import Mapping

OXIDISER = "oxidiser"
CORROSIVE = "corrosive"
FLAMMABLE = "flammable"
POISON = "poison"
PRESSURISED = "pressurised"
IRRITANT = "irritant"
MILD = "mild"

CLASSES = (OXIDISER, CORROSIVE, FLAMMABLE, POISON, PRESSURISED, IRRITANT, MILD)

ITEMS: Mapping[str, str] = {
    "bleach": OXIDISER,
    "pool chlorine": OXIDISER,
    "hydrogen peroxide": OXIDISER,
    "mold remover": OXIDISER,
    "ammonia": CORROSIVE,
    "drain cleaner": CORROSIVE,
    "toilet cleaner": CORROSIVE,
    "gasoline": FLAMMABLE,
    "paint thinner": FLAMMABLE,
    "rubbing alcohol": FLAMMABLE,
    "antifreeze": POISON,
    "rat poison": POISON,
    "weed killer": POISON,
    "hair spray": PRESSURISED,
    "spray paint": PRESSURISED,
    "air freshener": PRESSURISED,
    "laundry detergent": IRRITANT,
    "dishwasher powder": IRRITANT,
    "glass cleaner": IRRITANT,
    "dish soap": MILD,
    "vinegar": MILD,
    "lemon juice": MILD,
}
"""Item -> hazard class."""

GENERIC_PARTNERS = ("other chemicals", "other cleaners")

AVOID: Mapping[str, tuple[str, ...]] = {
    "bleach": ("ammonia", "acids", "vinegar", "lemon juice", "toilet cleaner", "rubbing alcohol"),
    "pool chlorine": ("acids", "ammonia", "bleach", "antifreeze", "gasoline", "vinegar"),
    "hydrogen peroxide": ("vinegar", "bleach", "acids", "rubbing alcohol"),
    "mold remover": ("ammonia", "acids", "vinegar", "toilet cleaner"),
    "ammonia": ("bleach", "pool chlorine", "mold remover"),
    "drain cleaner": ("acids", "bleach", "ammonia", "toilet cleaner", "vinegar"),
    "toilet cleaner": ("bleach", "mold remover", "drain cleaner", "ammonia", "pool chlorine"),
    "gasoline": ("bleach", "pool chlorine", "hydrogen peroxide", "acids"),
    "paint thinner": ("bleach", "pool chlorine", "hydrogen peroxide", "acids"),
    "rubbing alcohol": ("bleach", "hydrogen peroxide", "pool chlorine", "acids"),
    "antifreeze": ("pool chlorine", "bleach"),
    "rat poison": ("other chemicals",),
    "weed killer": ("bleach", "other chemicals", "ammonia"),
    "hair spray": ("other chemicals",),
    "spray paint": ("other chemicals",),
    "air freshener": ("other chemicals",),
    "laundry detergent": ("ammonia", "acids", "other cleaners"),
    "dishwasher powder": ("acids", "ammonia", "vinegar", "other cleaners"),
    "glass cleaner": ("bleach", "pool chlorine", "mold remover"),
    "dish soap": ("bleach", "mold remover", "pool chlorine"),
    "vinegar": ("bleach", "hydrogen peroxide", "pool chlorine", "mold remover"),
    "lemon juice": ("bleach", "pool chlorine", "mold remover"),
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
    "use": (
        "How do I use {item} safely?",
        "What should I wear when I use {item}?",
        "Do I need gloves for {item}?",
    ),
    "fumes": (
        "What do I do about the fumes of {item}?",
        "I breathed in {item}. What now?",
        "Is the smell of {item} harmful?",
    ),
    "container": (
        "Can I pour {item} in an empty bottle?",
        "Which container is right for {item}?",
        "May I put {item} in another container?",
    ),
    "car": (
        "How do I carry {item} in my car?",
        "Can I take {item} with me in the car?",
        "What is a safe way to drive home with {item}?",
    ),
    "heat": (
        "Can {item} stand near the stove?",
        "What happens if {item} gets hot?",
        "Is it fine to keep {item} by a heater?",
    ),
}
"""Intent -> phrasings of the question."""

INTENTS = tuple(QUESTIONS)
