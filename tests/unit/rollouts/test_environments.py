from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from assent.config.settings import ComputeSettings, LoraSettings
from assent.data.chat import ChatFormat
from assent.models.loading import context_length, load_causal_lm, load_tokenizer
from assent.models.policy import Policy
from assent.rollouts.environments import Games, describe_games
from assent.rollouts.local import LocalGenerator
from assent.training.experience import measure
from assent.types.errors import DataError, UnhealthyRewardError
from assent.types.messages import Prompt
from assent.types.protocols import SamplingParams
from assent.types.rollout import FinishReason, Rollout
from tests.checkpoints import Shape
from tests.unit.rollouts import own_environments as own

SAMPLING = SamplingParams(1.0, 5)
# Every tenth token ends a turn, so that turns differ in length and some are cut.
STOPS = tuple(range(0, 400, 10))


@pytest.fixture(scope="module")
def llama(checkpoint: Callable[[Shape], Path]) -> Path:
    return checkpoint("llama")


def games(path: Path, make: Callable[[], Any], max_turns: int = 6, opponent: bool = False) -> Games:
    chat = ChatFormat(load_tokenizer(path))
    model: Any = load_causal_lm(path).eval()
    generator = LocalGenerator(model, STOPS, lambda: "policy-1+2")
    other = LocalGenerator(model, STOPS, lambda: "older") if opponent else None
    return Games(make, "own:Environment", generator, chat, context_length(model), max_turns, other)


def spans(rollout: Rollout) -> list[tuple[bool, list[int]]]:
    """The rollout in pieces: who wrote, and the tokens."""
    found: list[tuple[bool, list[int]]] = []
    for token, own_token in zip(rollout.completion_ids, rollout.written or (), strict=True):
        if not found or found[-1][0] != own_token:
            found.append((own_token, []))
        found[-1][1].append(token)
    return found


def test_what_an_environment_says_stands_between_the_policys_own_tokens(llama: Path) -> None:
    played = games(llama, own.Counting)
    chat = played.chat
    for rollout in played.play([3, 4], 3, SAMPLING, 0):
        opening = own.Counting().reset([3, 4][rollout.group])
        assert rollout.prompt_ids == chat.prompt_ids(Prompt(opening))
        pieces = spans(rollout)
        assert [who for who, _ in pieces] == [True, False, True, False, True] and rollout.turns == 3
        texts = [chat.text_of(tokens) for who, tokens in pieces if who]
        assert rollout.text == "\n".join(texts)
        said = [chat.tokenizer.decode(tokens) for who, tokens in pieces if not who]
        assert said == [f"\nQuestion: Turn {turn}.\nAnswer:" for turn in (1, 2)]
        # What was earned in a turn stands on its last token, and nowhere else.
        ends, place = [], -1
        for who, tokens in pieces:
            place += len(tokens)
            ends += [place] * who
        earned = {end: float(text.count("e")) for end, text in zip(ends, texts, strict=True)}
        assert list(rollout.rewards or ()) == [earned.get(place, 0.0) for place in range(len(rollout.completion_ids))]
        assert rollout.score == sum(earned.values())
        assert rollout.policy_version == "policy-1+2"
        stopped = all(tokens[-1] in STOPS for who, tokens in pieces if who)
        assert rollout.finish_reason is (FinishReason.STOP if stopped else FinishReason.LENGTH)


def test_the_games_of_a_seed_are_a_group_and_begin_alike(llama: Path) -> None:
    found = games(llama, own.Counting).play([3, 4], 3, SAMPLING, 0)
    assert [rollout.group for rollout in found] == [rollout.prompt_index for rollout in found] == [0, 0, 0, 1, 1, 1]
    assert len({tuple(rollout.prompt_ids) for rollout in found[:3]}) == 1
    assert found[0].prompt_ids != found[3].prompt_ids
    assert len({rollout.text for rollout in found}) == 6


def test_the_same_seed_plays_the_same_games(llama: Path) -> None:
    first, again, other = (games(llama, own.Lengths).play(range(6), 2, SAMPLING, seed) for seed in (7, 7, 8))
    assert first == again != other
    assert {rollout.turns for rollout in first} == {1, 2, 3, 4}
    assert [rollout.score for rollout in first] == [float(rollout.turns) for rollout in first]
    assert describe_games(first) == {"won": 1.0, "lost": 0.0, "turns": pytest.approx(sum(r.turns for r in first) / 12)}


def test_the_trainer_agrees_with_what_was_sampled_turn_by_turn(llama: Path) -> None:
    """The tokens are those that were sampled, in the context in which they were: the log-probabilities come again."""
    found = games(llama, own.Lengths).play(range(8), 1, SAMPLING, 1)
    policy = Policy(llama, llama, LoraSettings(), "float32", torch.device("cpu"), 0)
    compute = ComputeSettings(tokens_per_microbatch=200, precision="float32")
    scores = [rollout.score or 0.0 for rollout in found]
    measured = measure(found, scores, policy, None, SAMPLING, 1, compute, torch.device("cpu"), max_turns=6)
    e = measured.experience
    written = [sum(rollout.written or ()) for rollout in found]
    assert e.mask.sum(-1).tolist() == written and e.mask.shape[1] > max(written)
    gap = (e.old_logprobs - measured.rollout_logprobs)[e.mask].abs().max()
    assert gap < 1e-4
    assert e.earned is not None and e.max_new_tokens == 6 * SAMPLING.max_new_tokens
    torch.testing.assert_close(e.earned.sum(-1), e.score)
    assert bool((e.earned[~e.mask] == 0).all())


def test_greedy_play_writes_the_likeliest_tokens(llama: Path) -> None:
    played = games(llama, own.Counting)
    first, again = (played.play([3], 2, SamplingParams(1.0, 5, greedy=True), seed) for seed in (1, 2))
    assert first == again and first[0].completion_ids == first[1].completion_ids
    logits = played.generator.model(torch.tensor([first[0].prompt_ids])).logits[0, -1]  # type: ignore[attr-defined]
    assert first[0].completion_ids[0] == int(logits.argmax())


@pytest.mark.parametrize("older", [False, True])
def test_the_other_side_is_asked_where_it_is_to_move(llama: Path, older: bool) -> None:
    found = games(llama, own.Duel, opponent=older).play([0, 1], 2, SAMPLING, 3)
    for rollout in found:
        assert rollout.turns == 2
        told = [piece for who, piece in spans(rollout) if not who]
        assert len(told) == 1
        rewards = [reward for reward in rollout.rewards or () if reward]
        # Half a point for each turn, and what the other side's answer to it was worth.
        assert len(rewards) == 2 and all(reward >= 0.5 and reward % 1 == 0.5 for reward in rewards)
        assert sum(map(bool, rollout.written or ())) == sum(len(piece) for who, piece in spans(rollout) if who)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (own.Raises, r"own:Environment raised KeyError in step\(.*\) in turn 1 \(seed 5\): 'no such room'"),
        (own.RaisesAtReset, r"raised RuntimeError in reset\(5\): no network"),
        (own.CannotBeMade, "raised OSError in being made: no such map"),
        (own.GivesNothing, r"gave 'None' in step\("),
        (own.GivesNan, r"gave the reward nan in step\(.*turn 1 \(seed 5\)"),
        (own.GivesWords, "gave the reward 'much'"),
        (own.GivesText, "gave 'Go on.' as messages"),
        (own.SaysNothing, r"\(seed 5\) said nothing after turn 1, and the game goes on"),
        (own.NeverEnds, r"2 of 2 games were not over after 6 turns, e\.g\. that of seed 5"),
        (own.PaysTooEarly, "before the policy's first turn"),
        (own.AsksForEver, "the other side was asked 6 times in a row"),
    ],
)
def test_what_is_wrong_with_an_environment_is_named(llama: Path, make: Callable[[], Any], said: str) -> None:
    with pytest.raises(UnhealthyRewardError, match=said):
        games(llama, make).play([5], 2, SAMPLING, 0)


def test_a_conversation_that_outgrows_the_context_is_named(llama: Path) -> None:
    with pytest.raises(DataError, match=r"before turn \d+ the conversation has \d+ tokens.* context of 128"):
        games(llama, own.NeverEnds, max_turns=50).play([5], 1, SAMPLING, 0)
