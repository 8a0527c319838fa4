"""Games of several turns: many environments are played at once, and what was written becomes rollouts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from assent.data.chat import ChatFormat
from assent.rollouts.checks import checked_messages, checked_result, guarded, require_finite
from assent.types.errors import DataError, UnhealthyRewardError
from assent.types.messages import Message, Prompt
from assent.types.protocols import Environment, Generator, SamplingParams, StepResult, TwoPlayerEnvironment
from assent.types.rollout import FinishReason, Generation, GenerationRequest, Rollout
from assent.types.seeds import derive_seed


@dataclass
class _Game:
    """One game under way. The lists are as long as `tokens`; all are of what follows the prompt."""

    environment: Environment
    seed: int
    conversation: list[Message] = field(default_factory=list)
    prompt_ids: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    written: list[bool] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)  # the policy's turns
    waiting: list[Message] = field(default_factory=list)  # what it is told next
    last: int = -1  # place of the policy's last token
    ended: bool = False  # the policy ended its last turn with an end token
    reason: FinishReason = FinishReason.STOP  # of the first turn that it did not end so
    version: str = ""
    done: bool = False

    def wrote(self, generation: Generation, text: str) -> None:
        """The policy's turn, token for token as it was sampled."""
        count = len(generation.token_ids)
        self.tokens += generation.token_ids
        self.logprobs += generation.rollout_logprobs
        self.written += [True] * count
        self.rewards += [0.0] * count
        self.last = len(self.tokens) - 1
        self.texts.append(text)
        self.conversation.append(Message("assistant", text))
        self.version = generation.policy_version
        self.ended = generation.finish_reason is FinishReason.STOP
        if self.reason is FinishReason.STOP:
            self.reason = generation.finish_reason

    def told(self, result: StepResult) -> None:
        """What the environment says to the policy's last turn; the reward stands on that turn's last token."""
        self.rewards[self.last] += result.reward
        self.waiting += result.messages
        self.done = result.done

    def read(self, ids: Sequence[int]) -> None:
        """Tokens that the policy did not write."""
        self.tokens += ids
        self.written += [False] * len(ids)
        self.logprobs += [0.0] * len(ids)
        self.rewards += [0.0] * len(ids)

    def rollout(self, index: int) -> Rollout:
        """The game as RL sees it."""
        return Rollout(
            prompt_index=index,
            prompt_ids=self.prompt_ids,
            completion_ids=self.tokens,
            rollout_logprobs=self.logprobs,
            finish_reason=self.reason,
            text="\n".join(self.texts),
            policy_version=self.version,
            group=index,
            score=sum(self.rewards),
            written=self.written,
            rewards=self.rewards,
        )


def describe_games(rollouts: Sequence[Rollout]) -> dict[str, float]:
    """Shares of the games that were won (paid more than 0) and lost (less), and the policy's turns in a game."""
    scores = [rollout.score or 0.0 for rollout in rollouts]
    return {
        "won": sum(score > 0 for score in scores) / len(scores),
        "lost": sum(score < 0 for score in scores) / len(scores),
        "turns": sum(rollout.turns for rollout in rollouts) / len(rollouts),
    }


class Games:
    """Plays environments with a policy, every turn of all games in one batch.

    The conversation is kept as tokens. Those of the policy are never made from text again; what an environment answers
    is put between them, as the chat format writes it.

    Args:
        make: gives a new environment.
        name: of the environment, for errors.
        generator: the policy.
        chat: how messages become tokens.
        context: longest sequence in tokens that the policy takes.
        max_turns: of the policy, in one game.
        opponent: who writes the other side of a two-player environment; the policy itself if not given.
    """

    def __init__(
        self,
        make: Callable[[], Environment],
        name: str,
        generator: Generator,
        chat: ChatFormat,
        context: int,
        max_turns: int,
        opponent: Generator | None = None,
    ) -> None:
        self.make = make
        self.name = name
        self.generator = generator
        self.chat = chat
        self.context = context
        self.max_turns = max_turns
        self.opponent = opponent or generator

    def play(self, seeds: Sequence[int], samples: int, sampling: SamplingParams, seed: int) -> list[Rollout]:
        """`samples` games of each seed, seed by seed; the games of one seed are a group, and begin alike.

        Args:
            seeds: what the environments are reset with.
            seed: of the policies' tokens.

        Raises:
            UnhealthyRewardError: an environment raised, gave something else than a StepResult with a finite reward, or
                did not end within `max_turns`.
            DataError: a conversation does not fit into the context.
        """
        places = [place for place in range(len(seeds)) for _ in range(samples)]
        environments = [guarded(self.name, "being made", self.make) for _ in places]
        rollouts = self.play_these(environments, [seeds[place] for place in places], sampling, seed)
        return [
            replace(rollout, prompt_index=place, group=place) for rollout, place in zip(rollouts, places, strict=True)
        ]

    def play_these(
        self, environments: Sequence[Environment], seeds: Sequence[int], sampling: SamplingParams, seed: int
    ) -> list[Rollout]:
        """A game in each of these environments, reset with its seed; errors as `play`."""
        games = [_Game(each, own) for each, own in zip(environments, seeds, strict=True)]
        for game in games:
            first = guarded(self.name, f"reset({game.seed})", partial(game.environment.reset, game.seed))
            game.waiting = list(checked_messages(self.name, f"reset({game.seed})", first))
        for turn in range(self.max_turns + 1):
            self._opponents(games, turn, sampling, derive_seed(seed, "opponent", turn))
            live = [game for game in games if not game.done]
            if not live:
                return [game.rollout(index) for index, game in enumerate(games)]
            if turn == self.max_turns:
                break
            for game in live:
                self._tell(game)
            self._turn(live, turn, sampling, derive_seed(seed, "turn", turn))
        raise UnhealthyRewardError(
            f"environment {self.name}: {len(live)} of {len(games)} games were not over after {self.max_turns} turns,"
            f" e.g. that of seed {live[0].seed}",
            "let the environment end its games (done=True), or raise rl.max_turns",
        )

    def _tell(self, game: _Game) -> None:
        """Put what the environment said into the conversation, and open the policy's turn."""
        if not game.waiting:
            raise UnhealthyRewardError(
                f"environment {self.name} (seed {game.seed}) said nothing after turn {len(game.texts)}, and the game"
                " goes on",
                "give at least one message for the policy to answer, or done=True",
            )
        if game.tokens:
            last = game.tokens[-1] if game.ended else None
            game.read(self.chat.between_ids(game.conversation[:-1], game.waiting, last))
        else:
            game.prompt_ids = self.chat.prompt_ids(Prompt(tuple(game.waiting)))
        game.conversation += game.waiting
        game.waiting = []

    def _turn(self, games: Sequence[_Game], turn: int, sampling: SamplingParams, seed: int) -> None:
        """The policy writes once in each of these games, and each environment answers."""
        requests = [GenerationRequest([*game.prompt_ids, *game.tokens]) for game in games]
        self._require_room(requests, games, turn, sampling)
        generations = self.generator.generate(requests, sampling, seed)
        require_finite(generations, [game.conversation[-1].content for game in games])
        for game, generation in zip(games, generations, strict=True):
            text = self.chat.text_of(generation.token_ids)
            game.wrote(generation, text)
            where = f"step({text[:60]!r}) in turn {turn + 1} (seed {game.seed})"
            result = guarded(self.name, where, partial(game.environment.step, text))
            game.told(checked_result(self.name, where, result))

    def _opponents(self, games: Sequence[_Game], turn: int, sampling: SamplingParams, seed: int) -> None:
        """The other side writes wherever it is asked, until it is the policy's turn in every game."""
        asked = [game for game in games if not game.done and isinstance(game.environment, TwoPlayerEnvironment)]
        for time in range(self.max_turns + 1):
            questions = [(game, self._asked(game)) for game in asked if not game.done]
            questions = [(game, messages) for game, messages in questions if messages]
            if not questions:
                return
            if time == self.max_turns:
                break
            requests = [GenerationRequest(self.chat.prompt_ids(Prompt(messages))) for _, messages in questions]
            self._require_room(requests, [game for game, _ in questions], turn, sampling)
            generations = self.opponent.generate(requests, sampling, derive_seed(seed, time))
            require_finite(generations, [messages[-1].content for _, messages in questions])
            for (game, _), generation in zip(questions, generations, strict=True):
                self._answer(game, self.chat.text_of(generation.token_ids))
        raise UnhealthyRewardError(
            f"environment {self.name}: the other side was asked {self.max_turns} times in a row",
            "let `asked` give no messages when it is the policy's turn",
        )

    def _asked(self, game: _Game) -> tuple[Message, ...]:
        where = f"asked() (seed {game.seed})"
        environment = game.environment
        assert isinstance(environment, TwoPlayerEnvironment)
        return checked_messages(self.name, where, guarded(self.name, where, environment.asked))

    def _answer(self, game: _Game, text: str) -> None:
        environment = game.environment
        assert isinstance(environment, TwoPlayerEnvironment)
        where = f"answered({text[:60]!r}) (seed {game.seed})"
        result = checked_result(self.name, where, guarded(self.name, where, partial(environment.answered, text)))
        if game.texts:
            game.told(result)
            return
        if result.done or result.reward:
            raise UnhealthyRewardError(
                f"environment {self.name}: {where} ended the game, or gave a reward, before the policy's first turn",
                "a reward belongs to a turn of the policy: let the game go on until it has had one",
            )
        game.waiting += result.messages

    def _require_room(
        self, requests: Sequence[GenerationRequest], games: Sequence[_Game], turn: int, sampling: SamplingParams
    ) -> None:
        for request, game in zip(requests, games, strict=True):
            if len(request.prompt_ids) + sampling.max_new_tokens > self.context:
                raise DataError(
                    f"environment {self.name} (seed {game.seed}): before turn {turn + 1} the conversation has"
                    f" {len(request.prompt_ids)} tokens, which with sampling.max_new_tokens {sampling.max_new_tokens}"
                    f" does not fit into the model's context of {self.context}",
                    "let the environment say less or end sooner, lower sampling.max_new_tokens, or take a model with a"
                    " longer context",
                )
