from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from assent.data.chat import ChatFormat
from assent.models.loading import load_tokenizer
from assent.types.errors import DataError, ModelError
from assent.types.messages import Message, Prompt, user_prompt
from tests.checkpoints import TEXTS, Shape, build_checkpoint, build_tokenizer

Built = Callable[[Shape], Path]
TEMPLATE = (
    "{% for message in messages %}<{{ message.role }}>{{ message.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
ASKED = user_prompt("How do I clean a window?")


@pytest.fixture
def plain(checkpoint: Built) -> ChatFormat:
    return ChatFormat(load_tokenizer(checkpoint("llama")))


@pytest.fixture
def templated(tmp_path: Path) -> ChatFormat:
    return ChatFormat(load_tokenizer(build_checkpoint(tmp_path, "llama", chat_template=TEMPLATE)))


def test_the_template_of_the_settings(plain: ChatFormat) -> None:
    assert plain.tokenizer.decode(plain.prompt_ids(ASKED)) == "Question: How do I clean a window?\nAnswer:"
    other = replace(plain, template="{prompt} => ")
    assert other.tokenizer.decode(other.prompt_ids(ASKED)) == "How do I clean a window? => "


def test_a_template_is_filled_in_once(plain: ChatFormat) -> None:
    odd = user_prompt("What do {prompt} and {0} mean?")
    assert plain.tokenizer.decode(plain.prompt_ids(odd)) == "Question: What do {prompt} and {0} mean?\nAnswer:"


def test_a_conversation_is_the_template_once_for_each_answer(plain: ChatFormat) -> None:
    talk = Prompt(
        (
            Message("system", "Be kind."),
            Message("user", "Hello"),
            Message("assistant", " Hi, what is it? "),
            Message("user", "What does {prompt} mean?"),
            Message("assistant", "A gap."),
            *ASKED.messages,
        )
    )
    assert plain.tokenizer.decode(plain.prompt_ids(talk)) == (
        "Question: Be kind.\nHello\nAnswer: Hi, what is it?\n"
        "Question: What does {prompt} mean?\nAnswer: A gap.\n"
        "Question: How do I clean a window?\nAnswer:"
    )


def test_a_completion_ends_with_the_end_token_and_begins_with_a_space(plain: ChatFormat) -> None:
    ids = plain.completion_ids("  Use warm water. ")
    assert ids[-1] == plain.end_id
    assert plain.end_id not in ids[:-1]
    assert plain.tokenizer.decode(ids[:-1]) == " Use warm water."
    assert plain.text_of(ids) == "Use warm water."
    assert plain.completion_ids("") == [*plain.tokenizer(" ")["input_ids"], plain.end_id]


def test_prompt_and_completion_together_are_the_running_text(plain: ChatFormat) -> None:
    """What is learnt from the corpus and what is asked of the policy are the same tokens."""
    text = "Question: How do I clean a window?\nAnswer: Use warm water with a drop of soap, then wipe it dry."
    parts = [*plain.prompt_ids(ASKED), *plain.completion_ids(text.partition("Answer:")[2])]
    assert parts == [*plain.tokenizer(text)["input_ids"], plain.end_id]


def test_a_tokenizers_own_template_comes_first(templated: ChatFormat) -> None:
    talk = Prompt(
        (Message("system", "Be kind."), Message("user", "Hello"), Message("assistant", "Hi"), *ASKED.messages)
    )
    assert templated.tokenizer.decode(templated.prompt_ids(talk)) == (
        "<system>Be kind.\n<user>Hello\n<assistant>Hi\n<user>How do I clean a window?\n<assistant>"
    )
    ids = templated.completion_ids("Use soap.")
    assert templated.tokenizer.decode(ids[:-1]) == "Use soap."
    assert ids[-1] == templated.end_id


def turns(chat: ChatFormat, written: list[int], last: int | None) -> str:
    """A conversation as tokens: the prompt, what the policy wrote, and what stands before its next turn."""
    after = [Message("user", "And a {prompt}?")]
    ids = [*chat.prompt_ids(ASKED), *written, *chat.between_ids(ASKED.messages, after, last)]
    return str(chat.tokenizer.decode(ids))


def test_between_two_turns_stands_what_the_conversation_has_there(plain: ChatFormat) -> None:
    written = plain.completion_ids("Use soap.")[:-1]
    talk = Prompt((*ASKED.messages, Message("assistant", "Use soap."), Message("user", "And a {prompt}?")))
    assert turns(plain, written, None) == plain.tokenizer.decode(plain.prompt_ids(talk))
    assert turns(plain, [*written, plain.end_id], plain.end_id).count("<|end|>") == 1


def test_between_two_turns_of_a_chat_template(tmp_path: Path) -> None:
    ends = TEMPLATE.replace("{{ message.content }}\n", "{{ message.content }}<|end|>\n")
    chat = ChatFormat(load_tokenizer(build_checkpoint(tmp_path, "llama", chat_template=ends)))
    written = chat.completion_ids("Use soap.")
    expected = "<user>How do I clean a window?<|end|>\n<assistant>Use soap.<|end|>\n<user>And a {prompt}?<|end|>\n"
    # The policy's own end token is not repeated; where it wrote none, the template's stands.
    assert turns(chat, written, written[-1]) == expected + "<assistant>"
    assert turns(chat, written[:-1], None) == expected + "<assistant>"


def test_a_template_that_cannot_hold_several_turns_is_refused(tmp_path: Path) -> None:
    forgets = "{{ messages[-1].content }}<assistant>"
    chat = ChatFormat(load_tokenizer(build_checkpoint(tmp_path / "a", "llama", chat_template=forgets)))
    with pytest.raises(DataError, match="leaves earlier answers out"):
        turns(chat, [1, 2], None)
    strict = "{% if messages[-1].role != 'user' %}{{ raise_exception('user or nothing') }}{% endif %}<assistant>"
    chat = ChatFormat(load_tokenizer(build_checkpoint(tmp_path / "b", "llama", chat_template=strict)))
    with pytest.raises(DataError, match="refuses a conversation of user, assistant, tool: user or nothing"):
        chat.between_ids(ASKED.messages, [Message("tool", "12")], None)


def with_bos(end_too: bool) -> ChatFormat:
    from tokenizers.processors import TemplateProcessing

    tokenizer = build_tokenizer(TEXTS, 400, 64, "<|end|>", "<|start|>")
    start, end = tokenizer.convert_tokens_to_ids(["<|start|>", "<|end|>"])
    tokenizer.bos_token = "<|start|>"
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|start|> $A <|end|>" if end_too else "<|start|> $A",
        special_tokens=[("<|start|>", start), ("<|end|>", end)],
    )
    return ChatFormat(tokenizer)


@pytest.mark.parametrize("end_too", [False, True])
def test_a_start_token_opens_the_prompt_and_nothing_else(end_too: bool) -> None:
    chat = with_bos(end_too)
    start = chat.tokenizer.bos_token_id
    prompt, completion = chat.prompt_ids(ASKED), chat.completion_ids("Use soap.")
    assert prompt[0] == start
    assert start not in [*prompt[1:], *completion]
    # A tokenizer that closes every text would close the prompt, too: the policy could never go on from there.
    assert chat.end_id not in prompt
    assert completion.count(chat.end_id) == 1


def test_special_tokens_are_not_shown_to_people(plain: ChatFormat) -> None:
    pad = plain.tokenizer.pad_token_id
    assert plain.text_of([pad, *plain.completion_ids("Soap."), pad]) == "Soap."


def test_what_does_not_fit_names_its_line(plain: ChatFormat) -> None:
    long = user_prompt("why " * 50, line="12")
    with pytest.raises(DataError, match=r"asked\.jsonl, line 12: the prompt has \d+ tokens, but only 40 fit"):
        plain.encode_prompts([ASKED, long], 40, "asked.jsonl")
    with pytest.raises(DataError, match="task household, prompt 2: the prompt has"):
        plain.encode_prompts([ASKED, user_prompt("why " * 50)], 40, "task household")
    room = len(plain.prompt_ids(ASKED))
    assert plain.encode_prompts([ASKED], room, "asked.jsonl") == [plain.prompt_ids(ASKED)]
    with pytest.raises(DataError, match=f"has {room} tokens, but only {room - 1} fit"):
        plain.encode_prompts([ASKED], room - 1, "asked.jsonl")


def test_a_tokenizer_without_an_end_is_refused() -> None:
    with pytest.raises(ModelError, match="no end-of-sequence token"):
        ChatFormat(build_tokenizer(TEXTS, 400, 64, None, None))
