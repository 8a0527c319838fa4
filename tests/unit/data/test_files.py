from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assent.data.files import count_copies, read_demonstrations, read_prompts, read_texts
from assent.types.errors import DataError
from assent.types.messages import Message

GOOD = '{"prompt": "How do I store bleach?"}\n{"prompt": "What is borax?"}\n'


def write(folder: Path, content: str | bytes, name: str = "prompts.jsonl") -> Path:
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    return file


def test_prompts_and_conversations_are_read_in_order(tmp_path: Path) -> None:
    conversation = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "漂白剂?"},
    ]
    lines = [{"prompt": "One", "split": "test"}, {"messages": conversation, "split": "train", "meta": {"item": "soap"}}]
    file = write(tmp_path, "\n".join(json.dumps(line) for line in lines))
    first, second = read_prompts(file, 0.2)
    assert first.messages == (Message("user", "One"),)
    assert (first.split, second.split) == ("test", "train")
    assert [message.role for message in second.messages] == ["system", "user", "assistant", "user"]
    assert second.text == "漂白剂?"
    assert second.meta == {"item": "soap", "line": "2"}


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ('{"prompt": "a"', ["line 3", "broken JSON", "column"]),
        ('["a"]', ["line 3", "JSON object", "a list"]),
        ("7", ["line 3", "a number"]),
        ("null", ["line 3", "null"]),
        ('{"question": "a"}', ["line 3", "'prompt'", "missing"]),
        ('{"prompt": 5}', ["line 3", "'prompt'", "text", "a number"]),
        ('{"prompt": null}', ["line 3", "'prompt'", "null"]),
        ('{"prompt": "  \\n "}', ["line 3", "'prompt'", "empty"]),
        ('{"prompt": "a\\u0000b"}', ["line 3", "'prompt'", "NUL"]),
        ('{"prompt": "a\\ud800b"}', ["line 3", "'prompt'", "surrogate"]),
        ('{"prompt": "a", "messages": []}', ["line 3", "both"]),
        ('{"prompt": "a", "split": "dev"}', ["line 3", "unknown split 'dev'", "'train' or 'test'"]),
        ('{"prompt": "a", "split": ["test"]}', ["line 3", "unknown split"]),
        ('{"prompt": "a", "spilt": "test"}', ["line 3", "'spilt'", "did you mean 'split'"]),
        ('{"Prompt": "a"}', ["line 3", "'Prompt'", "did you mean 'prompt'"]),
        ('{"prompt": "a", "meta": [1]}', ["line 3", "'meta'", "a list"]),
        ('{"prompt": "a", "meta": {"item": 1}}', ["line 3", "'meta.item'", "a number"]),
        ('{"messages": "a"}', ["line 3", "'messages'", "a list", "a text"]),
        ('{"messages": []}', ["line 3", "'messages'", "empty"]),
        ('{"messages": ["a"]}', ["line 3", "messages[0]", "an object"]),
        ('{"messages": [{"role": "user"}]}', ["line 3", "messages[0].content", "missing"]),
        ('{"messages": [{"content": "a"}]}', ["line 3", "messages[0].role", "missing"]),
        ('{"messages": [{"role": "human", "content": "a"}]}', ["line 3", "unknown role 'human'", "user"]),
        ('{"messages": [{"role": ["user"], "content": "a"}]}', ["line 3", "unknown role"]),
        ('{"messages": [{"role": "user", "content": ["a"]}]}', ["line 3", "messages[0].content", "a list"]),
        ('{"messages": [{"role": "assistant", "content": "a"}]}', ["line 3", "from the user", "assistant"]),
        ("[" * 100_000, ["line 3", "JSON"]),
        ('{"prompt": ' + "9" * 5000 + "}", ["line 3", "JSON"]),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, parts: list[str]) -> None:
    file = write(tmp_path, GOOD + line + "\n" + '{"prompt": "never reached"}\n')
    with pytest.raises(DataError) as caught:
        read_prompts(file, 0.2)
    for part in [str(file), *parts]:
        assert part in str(caught.value)


def test_invalid_utf8_names_the_line(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD.encode() + b'{"prompt": "caf\xe9"}\n')
    with pytest.raises(DataError, match=r"line 3: not valid UTF-8 \(byte 16"):
        read_prompts(file, 0.2)


@pytest.mark.parametrize("content", ["", "\n \n\r\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(tmp_path: Path, content: str | bytes) -> None:
    with pytest.raises(DataError, match="empty"):
        read_prompts(write(tmp_path, content), 0.2)


def test_what_is_no_jsonl_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_prompts(tmp_path / "absent.jsonl", 0.2)
    with pytest.raises(DataError, match="is a folder"):
        read_prompts(tmp_path, 0.2)
    with pytest.raises(DataError, match="one JSON list, not JSONL"):
        read_prompts(write(tmp_path, '[\n{"prompt": "a"}\n]\n'), 0.2)
    with pytest.raises(DataError, match="UTF-16"):
        read_prompts(write(tmp_path, GOOD.encode("utf-16")), 0.2)


def test_byte_order_mark_windows_line_ends_and_blank_lines_are_let_pass(tmp_path: Path) -> None:
    plain = read_prompts(write(tmp_path, GOOD), 0.5)
    file = write(tmp_path, b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n\r\n").encode(), "windows.jsonl")
    assert [(p.messages, p.split) for p in read_prompts(file, 0.5)] == [(p.messages, p.split) for p in plain]


def test_a_unicode_line_separator_ends_no_line(tmp_path: Path) -> None:
    file = write(tmp_path, '{"prompt": "a\u2028b"}\n{"prompt": "c\x85d"}\n')
    assert [prompt.text for prompt in read_prompts(file, 0.5)] == ["a\u2028b", "c\x85d"]


def test_other_columns_are_let_pass(tmp_path: Path) -> None:
    file = write(tmp_path, '{"prompt": "a", "id": 7, "source": null}\n{"prompt": "b", "lang": "en"}\n')
    assert len(read_prompts(file, 0.5)) == 2


def test_duplicates_are_kept_once_and_counted(tmp_path: Path) -> None:
    lines = ['{"prompt": "a"}', '{"prompt": "b"}', '{"messages": [{"role": "user", "content": "a"}], "split": "test"}']
    prompts = read_prompts(write(tmp_path, "\n".join([*lines, lines[0]])), 0.2)
    assert [prompt.text for prompt in prompts] == ["a", "b"]
    assert prompts[0].split == "test"  # the only line that says so decides
    assert prompts[0].meta == {"line": "1", "copies": "3"}
    assert count_copies(prompts) == 2


def test_a_prompt_in_both_splits_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD + '{"prompt": "a", "split": "train"}\n{"prompt": "a", "split": "test"}\n')
    with pytest.raises(DataError, match=r"line 4: this prompt is 'test' here and 'train' on line 3"):
        read_prompts(file, 0.2)


def test_a_single_prompt_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="single prompt") as caught:
        read_prompts(write(tmp_path, '{"prompt": "a"}\n{"prompt": "a"}\n'), 0.2)
    assert "at least two" in caught.value.hint


def test_an_empty_split_that_was_asked_for_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, '{"prompt": "a", "split": "train"}\n{"prompt": "b", "split": "train"}\n')
    with pytest.raises(DataError, match="every line has split 'train'"):
        read_prompts(file, 0.2)


def test_the_split_follows_the_content_not_the_company(tmp_path: Path) -> None:
    texts = [f"question {number}" for number in range(400)]
    file = write(tmp_path, "\n".join(json.dumps({"prompt": text}) for text in texts))
    whole = {prompt.text: prompt.split for prompt in read_prompts(file, 0.2)}
    # 400 draws at 0.2: mean 80, deviation 8; 50..110 is nearly four deviations either way.
    assert 50 <= sum(split == "test" for split in whole.values()) <= 110
    part = write(tmp_path, "\n".join(json.dumps({"prompt": text}) for text in reversed(texts[100:])), "part.jsonl")
    assert all(whole[prompt.text] == prompt.split for prompt in read_prompts(part, 0.2))


@given(
    texts=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1),
        min_size=2,
        max_size=12,
        unique=True,
    ),
    share=st.floats(0.01, 0.99),
)
def test_both_splits_always_hold_a_prompt(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], share: float
) -> None:
    texts = [text for text in texts if text.strip()]
    if len(texts) < 2:
        return
    file = write(tmp_path_factory.mktemp("any"), "\n".join(json.dumps({"prompt": text}) for text in texts))
    prompts = read_prompts(file, share)
    assert [prompt.text for prompt in prompts] == texts
    assert {prompt.split for prompt in prompts} == {"train", "test"}


def test_demonstrations(tmp_path: Path) -> None:
    lines = [
        {"prompt": "a", "completion": " b \n"},
        {"messages": [{"role": "user", "content": "c"}], "completion": "d", "split": "train"},
    ]
    pairs = read_demonstrations(write(tmp_path, "\n".join(json.dumps(line) for line in lines)))
    assert [(prompt.text, prompt.split, answer) for prompt, answer in pairs] == [
        ("a", "train", " b \n"),
        ("c", "train", "d"),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"prompt": "a"}', "line 2: field 'completion' is missing"),
        ('{"prompt": "a", "completion": ""}', "line 2: field 'completion' is empty"),
        ('{"prompt": "a", "completions": "b"}', "line 2: unknown field 'completions'"),
        ('{"prompt": "a", "completion": "b", "split": "test"}', "line 2: field 'split' is 'test'"),
    ],
)
def test_bad_demonstrations_are_named(tmp_path: Path, line: str, message: str) -> None:
    file = write(tmp_path, '{"prompt": "a", "completion": "b"}\n' + line)
    with pytest.raises(DataError, match=message):
        read_demonstrations(file)


def test_texts_of_a_plain_file_are_separated_by_blank_lines(tmp_path: Path) -> None:
    file = write(tmp_path, b"\xef\xbb\xbfone\r\nstill one\r\n  \r\n\r\n two\r\n", "corpus.txt")
    assert read_texts(file) == ["one\nstill one", " two"]


def test_texts_of_jsonl(tmp_path: Path) -> None:
    file = write(tmp_path, '{"text": "one\\n\\nstill one"}\n\n{"text": "two", "url": "x"}\n', "corpus.jsonl")
    assert read_texts(file) == ["one\n\nstill one", "two"]
    with pytest.raises(DataError, match="line 1: field 'text' is missing"):
        read_texts(write(tmp_path, GOOD, "corpus.jsonl"))


def test_bad_texts_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the file is empty"):
        read_texts(write(tmp_path, "\n\n", "corpus.txt"))
    with pytest.raises(DataError, match="line 2: not valid UTF-8"):
        read_texts(write(tmp_path, b"one\n\xff\n", "corpus.txt"))
    with pytest.raises(DataError, match="line 2: holds a NUL"):
        read_texts(write(tmp_path, b"one\n\x00\n", "corpus.txt"))
