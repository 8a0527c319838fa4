"""The household world's prompts, corpus and demonstrations."""

from __future__ import annotations

import random
import re
from statistics import mean

import pytest

from assent.tasks import WORLDS, load_world
from assent.tasks.household import ALL_QUALITIES, Household, reference_answer
from assent.tasks.household.advice import ADVICE
from assent.tasks.household.facts import AVOID, CLASSES, INTENTS, ITEMS, QUESTIONS
from assent.tasks.household.pieces import PIECES, Role, caveat_piece, core_piece, fill, fitting
from assent.types.errors import SettingsError
from assent.types.messages import Prompt


@pytest.fixture(scope="module")
def world() -> Household:
    return Household(documents=1500, demonstrations=600)


def combination(prompt: Prompt) -> tuple[str, str]:
    return prompt.meta["item"], prompt.meta["intent"]


def test_load_world_by_name() -> None:
    assert set(WORLDS) == {"household", "reviews", "summaries", "moderation"}
    assert load_world("household").name == "household"


def test_unknown_world_names_the_nearest() -> None:
    with pytest.raises(SettingsError, match="houshold") as caught:
        load_world("houshold")
    assert "'household'" in caught.value.hint


def test_unknown_split_is_a_settings_error(world: Household) -> None:
    with pytest.raises(SettingsError, match="validation"):
        world.prompts("validation")


def test_sizes_must_be_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        Household(documents=0)


def test_splits_are_disjoint_and_cover_everything(world: Household) -> None:
    train, test = world.prompts("train"), world.prompts("test")
    train_pairs, test_pairs = {combination(p) for p in train}, {combination(p) for p in test}
    assert not train_pairs & test_pairs
    assert train_pairs | test_pairs == {(item, intent) for item in ITEMS for intent in INTENTS}
    assert len(test) == 3 * len(CLASSES) * len(INTENTS)  # of each class and intent one item, in three phrasings
    assert len(train) >= 400
    assert {p.split for p in train} == {"train"}
    assert {p.split for p in test} == {"test"}


def test_no_item_is_held_out_much_more_than_another(world: Household) -> None:
    for hazard in CLASSES:
        members = [item for item, kind in ITEMS.items() if kind == hazard]
        asked = [sum(p.meta["item"] == item for p in world.prompts("test")) for item in members]
        assert max(asked) - min(asked) <= 3  # one intent, in three phrasings


def test_every_item_and_intent_occurs_in_both_splits(world: Household) -> None:
    for split in ("train", "test"):
        pairs = {combination(p) for p in world.prompts(split)}
        assert {item for item, _ in pairs} == set(ITEMS)
        assert {intent for _, intent in pairs} == set(INTENTS)


def test_every_fact_is_learnt_from_at_least_two_items(world: Household) -> None:
    train = {combination(p) for p in world.prompts("train")}
    for hazard in CLASSES:
        for intent in INTENTS:
            assert sum((item, intent) in train for item, kind in ITEMS.items() if kind == hazard) >= 2


def test_questions_are_distinct_and_name_their_item(world: Household) -> None:
    prompts = world.prompts("train") + world.prompts("test")
    assert len({p.text for p in prompts}) == len(prompts)
    assert all(p.meta["item"] in p.text for p in prompts)
    assert all(p.text == QUESTIONS[p.meta["intent"]][int(p.meta["phrasing"])].format(**p.meta) for p in prompts)


def test_no_test_question_leaks_into_what_is_learnt_from(world: Household) -> None:
    held_out = {p.text for p in world.prompts("test")}
    asked = {q for text in world.pretraining_texts(3) for q in re.findall(r"^Question: (.*)$", text, re.MULTILINE)}
    assert len(asked) > 400
    assert not asked & held_out
    assert not {p.text for p, _ in world.demonstrations(3)} & held_out


def test_no_right_advice_for_a_test_combination_leaks(world: Household) -> None:
    # pretraining states facts about all items; the advice itself for a held-out combination must be inferred
    text = "\n".join(t for t in world.pretraining_texts(0) if not t.startswith("Question: "))
    for prompt in world.prompts("test"):
        item, intent = combination(prompt)
        for wording in core_piece(intent, ITEMS[item]).wordings:
            assert fill(wording, item) not in text


def test_the_corpus_is_a_function_of_the_seed(world: Household) -> None:
    again = Household(documents=1500, demonstrations=600)
    assert world.pretraining_texts(1) == again.pretraining_texts(1)
    assert world.demonstrations(1) == again.demonstrations(1)
    assert world.pretraining_texts(1) != world.pretraining_texts(2)
    assert world.demonstrations(1) != world.demonstrations(2)


def test_fewer_documents_are_a_prefix_of_more() -> None:
    assert Household(documents=20).pretraining_texts(0) == Household(documents=40).pretraining_texts(0)[:20]


def test_documents_have_the_textual_form(world: Household) -> None:
    for text in world.pretraining_texts(0):
        assert text.endswith("\n")
        if text.startswith("Question: "):
            assert re.fullmatch(r"(Question: [^\n]+\?[^\n]*\nAnswer: [^\n]+\n(Reply: [^\n]+\n)?){1,3}", text)


def test_every_item_is_described_in_the_pretraining_texts(world: Household) -> None:
    facts = "\n".join(t for t in world.pretraining_texts(0) if not t.startswith("Question: ")).lower()
    for item, hazard in ITEMS.items():
        reasons = [fill(w, item).lower() for p in fitting(Role.REASON, "store", hazard) for w in p.wordings]
        assert any(reason in facts for reason in reasons), item


def test_lexicon_and_lengths_suit_a_tiny_model(world: Household) -> None:
    demonstrations = world.demonstrations(0)
    texts = world.pretraining_texts(0) + [answer for _, answer in demonstrations]
    lexicon = {word.lower() for text in texts for word in re.findall(r"[A-Za-z']+", text)}
    assert len(lexicon) < 900
    lengths = [len(answer.split()) for _, answer in demonstrations]
    assert 18 <= mean(lengths) <= 40
    assert max(lengths) < 90


def test_the_default_corpus_is_read_once_in_the_demo() -> None:
    assert 600_000 <= sum(len(text.split()) for text in load_world("household").pretraining_texts(0)) <= 900_000


def test_demonstrations_are_about_train_prompts_spread_evenly(world: Household) -> None:
    prompts = [prompt for prompt, _ in Household(demonstrations=len(world.prompts("train"))).demonstrations(5)]
    assert sorted(p.text for p in prompts) == sorted(p.text for p in world.prompts("train"))


def test_answers_can_be_filled_for_every_combination() -> None:
    for item, hazard in ITEMS.items():
        for intent in INTENTS:
            text = fill(core_piece(intent, hazard).wordings[0], item)
            assert item in text.lower()
            assert "{" not in text


def test_what_must_not_meet_is_mutual_enough_to_be_safe() -> None:
    assert "ammonia" in AVOID["bleach"]
    assert "bleach" in AVOID["ammonia"]
    assert all(partner != item for item, partners in AVOID.items() for partner in partners)
    assert all(AVOID[item] for item in ITEMS)


def test_wordings_are_never_shared_between_pieces() -> None:
    wordings = [wording for piece in PIECES for wording in piece.wordings]
    assert len(set(wordings)) == len(wordings)


def test_never_induce_vomiting_is_due_for_every_hazard() -> None:
    for hazard in CLASSES:
        caveat = caveat_piece("swallowed", hazard)
        assert (caveat is None) == (hazard == "mild")
        assert caveat is None or all("vomit" in wording for wording in caveat.wordings)


def test_no_advice_is_both_right_and_fair() -> None:
    assert not [entry for entry in ADVICE if set(entry.classes) & set(entry.fair)]


def test_unknown_quality_is_named(world: Household) -> None:
    with pytest.raises(ValueError, match="brilliant"):
        reference_answer(world.prompts("train")[0], "brilliant", random.Random(0))


def test_reference_answers_repeat_with_the_random_state(world: Household) -> None:
    prompt = world.prompts("test")[0]
    for quality in ALL_QUALITIES:
        first = reference_answer(prompt, quality, random.Random(4))
        assert first == reference_answer(prompt, quality, random.Random(4))
