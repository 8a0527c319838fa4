"""The core advice: what is right for a hazard class when asked with an intent, as a table for people to check.

Of the entries that are right *for* a class the first is the one to say. An entry is *fair for* a class if it is
sensible though not the best advice. For every other class it is wrong, or, for a mild item, more care than it needs.
`{item}` is filled with the item's name or with "it", `{partner}` with something the item must not be mixed with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from assent.tasks.household.facts import CLASSES, INTENTS

_TABLE = """
# store
for oxidiser
    Keep {item} closed in a cool dark cabinet, away from acids.
    Store {item} in a cool and dark cabinet, far away from acids.
for corrosive; fair for oxidiser
    Keep {item} upright and locked up, apart from other cleaners.
    Lock up {item}, upright and apart from all other cleaners.
for flammable
    Keep {item} tightly closed in a cool place, far from any flame.
    Store {item} in a cool place with the cap tight, far from every flame.
for poison; fair for oxidiser, corrosive, flammable, irritant
    Lock {item} in a high cabinet, far from food.
    Store {item} in a locked box, high up and far from all food.
for pressurised
    Keep {item} upright in a dry place, out of the sun.
    Store the can of {item} upright and dry, out of the sun.
for irritant
    Keep {item} closed on a high shelf, out of reach of children.
    Store {item} on a high shelf, well closed and out of reach.
for mild
    Keep {item} closed on any clean shelf in the kitchen.
    Any clean shelf in the kitchen is fine for {item}.

# spill
for oxidiser
    Put on gloves and rinse {item} away with plenty of water.
    Wear gloves, and rinse {item} off the floor with plenty of water.
for corrosive; fair for poison
    Put on gloves and cover {item} with dry sand, then sweep it up.
    Wear gloves, cover {item} with sand and sweep it up.
for flammable
    Put out every flame, then soak up {item} with dry sand.
    First put out all flames, and then soak up {item} with sand.
for poison; fair for corrosive
    Put on gloves, collect {item} and seal it in a bag.
    Wear gloves, wipe up {item} and seal all of it in a bag.
for pressurised
    Carry the can of {item} outside and air the room.
    Take the leaking can of {item} outside, then air the room.
for irritant
    Wipe up {item} with a damp towel and rinse the floor.
    Take a damp towel, wipe up {item}, then rinse the floor.
for mild
    Just wipe up {item} with a wet cloth.
    A wet cloth is all you need to wipe up {item}.

# mix
for pressurised
    Use {item} straight from the can and never open the can.
    Never open the can of {item} to mix it, spray straight from the can.
for all
    Never mix {item} with {partner}.
    You must never mix {item} with {partner}.
    Never let {item} mix with {partner}.
for none
    You may mix {item} with anything in the house.
    It is fine to mix {item} with anything you like.

# swallowed
for oxidiser, corrosive, flammable; fair for poison, pressurised, irritant
    If {item} was swallowed, rinse the mouth and call poison control at once.
    Rinse the mouth and call poison control at once if someone drank {item}.
for poison; fair for oxidiser, corrosive, flammable
    If {item} was swallowed, call an ambulance now and keep the label in your hand.
    Call an ambulance now if someone swallowed {item}, and keep the label in your hand.
for pressurised, irritant
    If {item} was swallowed, wipe out the mouth, give a sip of water and call poison control.
    Wipe out the mouth, give a sip of water and call poison control about {item}.
for mild
    A little {item} does no harm, just drink a glass of water.
    Just drink a glass of water, a little {item} does no harm.

# eyes
for oxidiser, corrosive; fair for flammable, poison, pressurised, irritant
    If {item} gets in the eye, rinse for fifteen minutes and go to the hospital at once.
    Rinse {item} out of the eye for fifteen minutes and go to the hospital at once.
for flammable, poison, pressurised, irritant; fair for oxidiser, corrosive
    If {item} gets in the eye, rinse for fifteen minutes and call poison control.
    Rinse {item} out of the eye for fifteen minutes, then call poison control.
for mild
    Rinse {item} out of the eye with clean water until the sting is gone.
    Clean water for a few minutes is enough to rinse {item} out of the eye.

# skin
for oxidiser, corrosive; fair for flammable, poison, pressurised, irritant
    Rinse {item} off the skin at once with running water for fifteen minutes.
    Hold the skin under running water for fifteen minutes to rinse {item} off.
for flammable; fair for poison, pressurised, irritant
    Wash {item} off the skin with soap, far from any flame.
    Stay far from any flame and wash {item} off with soap.
for poison; fair for oxidiser, corrosive, flammable, pressurised, irritant
    Wash {item} off at once with soap and plenty of water.
    Use soap and plenty of water to wash {item} off at once.
for pressurised; fair for poison, irritant
    Stop the spray and wash {item} off with warm water and soap.
    Wash {item} off with warm water and soap, and stop the spray.
for irritant
    Rinse {item} off the skin until it feels clean.
    Let cool water rinse {item} off until the skin feels clean.
for mild
    Just rinse {item} off your hands and dry them.
    Your hands are fine, just rinse {item} off and dry them.

# dispose
for oxidiser, corrosive; fair for flammable, poison, irritant
    Use up {item} as the label says, or bring the rest to a waste site.
    Bring the rest of {item} to a waste site, or use it up as the label says.
for flammable, poison; fair for oxidiser, corrosive
    Bring {item} to a hazardous waste site and keep it out of the drain.
    A hazardous waste site takes {item}, so keep it out of the drain.
for pressurised
    Spray {item} outside until the can is empty, then recycle the can.
    Recycle the can of {item} when you have used all of the spray.
for irritant, mild
    Pour {item} down the drain with plenty of water.
    You may pour {item} down the drain with plenty of water.

# children
for oxidiser, corrosive, flammable; fair for poison, pressurised, irritant
    Lock {item} away and put it back right after each use.
    Put {item} back right after each use and lock it away.
for poison; fair for oxidiser, corrosive, flammable, pressurised, irritant
    Lock {item} in a box that no child or pet can open.
    Use a locked box for {item}, so that no child or pet gets to it.
for pressurised, irritant
    Keep {item} on a high shelf that children can not reach.
    Put {item} on a high shelf where children can not reach it.
for mild
    Children may use {item} while you watch them.
    You can let children use {item} while you watch.

# use
for oxidiser, corrosive; fair for poison, irritant
    Wear gloves and goggles when you use {item}.
    Put on gloves and goggles before you use {item}.
for flammable
    Use {item} by an open window and put out every flame first.
    Put out every flame and use {item} outside or by an open window.
for poison; fair for oxidiser, corrosive, irritant
    Wear gloves and use only as much {item} as the label says.
    Use only as much {item} as the label says, and wear gloves.
for pressurised
    Spray {item} away from your face, with a window open.
    Open a window and spray {item} away from your face.
for irritant
    Use a small amount of {item} and wear gloves if your skin is dry.
    A small amount of {item} is enough, and gloves help if your skin is dry.
for mild
    You need no gloves for {item}.
    Bare hands are fine for {item}, you need no gloves.

# fumes
for oxidiser, corrosive, poison; fair for flammable, pressurised, irritant
    If you breathe in {item}, leave the room at once and get fresh air.
    Leave the room at once and get fresh air if you breathe in {item}.
for flammable; fair for oxidiser, corrosive, poison, pressurised
    Go outside into fresh air, and touch no light switch near {item}.
    Touch no light switch near {item} and go outside into fresh air.
for pressurised
    Stop spraying {item} and open the windows.
    Open the windows and stop spraying {item} for now.
for irritant
    Open a window while you clean with {item}.
    Keep a window open while you clean with {item}.
for mild
    The smell of {item} is harmless.
    You can smell {item}, but it is harmless.

# container
for oxidiser, corrosive, flammable, poison; fair for pressurised, irritant
    No, always keep {item} in its original container.
    No, the original container is the only right place for {item}.
for pressurised
    No, {item} must stay in its own can.
    No, its own can is the only thing that holds {item}.
for irritant; fair for oxidiser, corrosive, flammable, poison, pressurised
    Leave {item} in its package with the label on.
    It is better to leave {item} in its package with the label on.
for mild
    Yes, a clean bottle with a label is fine for {item}.
    Yes, you may use a clean bottle with a label for {item}.

# car
for oxidiser, corrosive, poison; fair for flammable, pressurised, irritant
    Carry {item} upright in a tight box in the trunk.
    Put {item} upright in the trunk, in a tight box.
for flammable
    Carry only a small amount of {item} in a tight can, with the windows open.
    Take only a small amount of {item} in a tight can and open the windows.
for pressurised
    Carry {item} in the shade and take the can inside when you get home.
    Put {item} in the shade, and take the can inside when you get home.
for irritant, mild
    Carry {item} closed in a bag, so that it does not spill.
    Put {item} in a bag and close it well, so that it does not spill.

# heat
for oxidiser, corrosive, poison; fair for flammable, pressurised, irritant
    No, move {item} to a cool place.
    No, a cool place is better for {item}.
for flammable; fair for oxidiser, corrosive, poison, pressurised
    No, keep {item} far from the stove and from any spark.
    No, a stove or a spark is the last thing that {item} should be near.
for pressurised
    No, the can of {item} must not get hot.
    No, you must not let the can of {item} get hot.
for irritant, mild
    Yes, {item} may stand in a warm kitchen, but not on the stove.
    Yes, a warm kitchen is fine for {item}, but not the stove.
"""


@dataclass(frozen=True)
class Advice:
    """One entry of the table."""

    intent: str
    classes: tuple[str, ...]  # for which it is right; none for a claim that is always wrong
    fair: tuple[str, ...]  # for which it is sensible, though not the best
    wordings: tuple[str, ...]


def _classes(names: str) -> tuple[str, ...]:
    """The hazard classes of a list such as `oxidiser, poison`, or of `all` or `none`."""
    if names in ("all", "none"):
        return CLASSES if names == "all" else ()
    listed = tuple(names.split(", "))
    if not set(listed) <= set(CLASSES):
        raise ValueError(f"unknown hazard class in {names!r}")
    return listed


def _entries(table: str) -> Iterator[Advice]:
    """Read the table: `# intent`, then `for ...; fair for ...` lines, each with its wordings indented below."""
    for block in table.strip().split("\n\n"):
        title, *lines = block.splitlines()
        heads = [number for number, line in enumerate(lines) if not line.startswith(" ")]
        for head, end in zip(heads, [*heads[1:], len(lines)], strict=True):
            right, _, fair = lines[head].removeprefix("for ").partition("; fair for ")
            wordings = tuple(line.strip() for line in lines[head + 1 : end])
            yield Advice(title.removeprefix("# "), _classes(right), _classes(fair or "none"), wordings)


ADVICE: tuple[Advice, ...] = tuple(_entries(_TABLE))

for _intent in INTENTS:
    if {name for entry in ADVICE if entry.intent == _intent for name in entry.classes} != set(CLASSES):
        raise ValueError(f"the advice for {_intent!r} must cover every hazard class")
