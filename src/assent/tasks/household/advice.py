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
for corrosive; fair for poison
    Keep {item} upright and locked up, apart from other cleaners.
    Lock up {item}, upright and apart from all other cleaners.
for flammable
    Keep {item} tightly closed in a cool place, far from any flame.
    Store {item} in a cool place with the cap tight, far from every flame.
for poison; fair for corrosive, flammable
    Lock {item} in a high cabinet, far from food.
    Store {item} in a locked box, high up and far from all food.
for pressurised
    Keep {item} upright in a dry place, out of the sun.
    Store the can of {item} upright and dry, out of the sun.
for mild
    Keep {item} closed on any clean shelf in the kitchen.
    Any clean shelf in the kitchen is fine for {item}.

# spill
for corrosive; fair for poison
    Put on gloves and rinse {item} away with plenty of water.
    Wear gloves, and rinse {item} off the floor with plenty of water.
for flammable
    Put out every flame, then soak up {item} with dry sand.
    First put out all flames, and then soak up {item} with sand.
for poison; fair for corrosive
    Put on gloves, collect {item} and seal it in a bag.
    Wear gloves, wipe up {item} and seal all of it in a bag.
for pressurised
    Carry the can of {item} outside and air the room.
    Take the leaking can of {item} outside, then air the room.
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
for corrosive, flammable; fair for poison, pressurised
    If {item} was swallowed, rinse the mouth and call poison control at once.
    Rinse the mouth and call poison control at once if someone drank {item}.
for poison; fair for corrosive, flammable
    If {item} was swallowed, call an ambulance now and keep the label in your hand.
    Call an ambulance now if someone swallowed {item}, and keep the label in your hand.
for pressurised
    If {item} was swallowed, wipe out the mouth, give a sip of water and call poison control.
    Wipe out the mouth, give a sip of water and call poison control about {item}.
for mild
    A little {item} does no harm, just drink a glass of water.
    Just drink a glass of water, a little {item} does no harm.

# eyes
for corrosive; fair for flammable, poison, pressurised
    If {item} gets in the eye, rinse for fifteen minutes and go to the hospital at once.
    Rinse {item} out of the eye for fifteen minutes and go to the hospital at once.
for flammable, poison, pressurised; fair for corrosive
    If {item} gets in the eye, rinse for fifteen minutes and call poison control.
    Rinse {item} out of the eye for fifteen minutes, then call poison control.
for mild
    Rinse {item} out of the eye with clean water until the sting is gone.
    Clean water for a few minutes is enough to rinse {item} out of the eye.

# skin
for corrosive; fair for flammable, poison, pressurised
    Rinse {item} off the skin at once with running water for fifteen minutes.
    Hold the skin under running water for fifteen minutes to rinse {item} off.
for flammable; fair for poison, pressurised
    Wash {item} off the skin with soap, far from any flame.
    Stay far from any flame and wash {item} off with soap.
for poison; fair for corrosive, flammable, pressurised
    Wash {item} off at once with soap and plenty of water.
    Use soap and plenty of water to wash {item} off at once.
for pressurised; fair for poison
    Stop the spray and wash {item} off with warm water and soap.
    Wash {item} off with warm water and soap, and stop the spray.
for mild
    Just rinse {item} off your hands and dry them.
    Your hands are fine, just rinse {item} off and dry them.

# dispose
for corrosive; fair for flammable, poison
    Use up {item} as the label says, or bring the rest to a waste site.
    Bring the rest of {item} to a waste site, or use it up as the label says.
for flammable, poison; fair for corrosive
    Bring {item} to a hazardous waste site and keep it out of the drain.
    A hazardous waste site takes {item}, so keep it out of the drain.
for pressurised
    Spray {item} outside until the can is empty, then recycle the can.
    Recycle the can of {item} when you have used all of the spray.
for mild
    Pour {item} down the drain with plenty of water.
    You may pour {item} down the drain with plenty of water.

# children
for corrosive, flammable; fair for poison, pressurised
    Lock {item} away and put it back right after each use.
    Put {item} back right after each use and lock it away.
for poison; fair for corrosive, flammable, pressurised
    Lock {item} in a box that no child or pet can open.
    Use a locked box for {item}, so that no child or pet gets to it.
for pressurised
    Keep {item} on a high shelf that children can not reach.
    Put {item} on a high shelf where children can not reach it.
for mild
    Children may use {item} while you watch them.
    You can let children use {item} while you watch.

# fumes
for corrosive, poison; fair for flammable, pressurised
    If you breathe in {item}, leave the room at once and get fresh air.
    Leave the room at once and get fresh air if you breathe in {item}.
for flammable; fair for corrosive, poison, pressurised
    Go outside into fresh air, and touch no light switch near {item}.
    Touch no light switch near {item} and go outside into fresh air.
for pressurised
    Stop spraying {item} and open the windows.
    Open the windows and stop spraying {item} for now.
for mild
    The smell of {item} is harmless.
    You can smell {item}, but it is harmless.
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
