"""The composed conversations: always the same, values and policy right, some ways of asking in the test rows alone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.user_error import user_error
from tunebook.recipes.customer_chat.compose import (  # noqa: TID251 (core may not; this is the recipe's own test)
    FEWEST,
    TOPICS,
    conversations,
    main,
    write,
)

SAMPLES = Path(__file__).parents[3] / "recipes/customer_chat/samples"
SPLITS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def shipped() -> dict[str, list[dict[str, Any]]]:
    return {
        split: [json.loads(line) for line in (SAMPLES / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()]
        for split in SPLITS
    }


def said(row: dict[str, Any], role: str) -> list[str]:
    return [message["content"] for message in row["messages"] if message["role"] == role]


def answers(rows: dict[str, list[dict[str, Any]]], topic: str) -> list[tuple[str, str]]:
    """All that the customer wrote, and the last answer, of each row about a topic."""
    chosen = [row for split in SPLITS for row in rows[split] if row["topic"] == topic]
    assert len(chosen) > 20
    return [(" ".join(said(row, "user")), said(row, "assistant")[-1]) for row in chosen]


def test_the_sample_rows_are_what_it_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "made")]) == 0
    assert capsys.readouterr().out == f"560 conversations in {tmp_path / 'made'}\n"
    for split in SPLITS:
        assert (tmp_path / "made" / f"{split}.jsonl").read_bytes() == (SAMPLES / f"{split}.jsonl").read_bytes()


def test_another_seed_writes_others_and_more_rows_are_still_different() -> None:
    first, other = conversations(1200, 0), conversations(1200, 1)
    assert [len(first[split]) for split in SPLITS] == [912, 96, 192]
    texts = [" ".join(m["content"] for m in row["messages"]) for split in SPLITS for row in first[split]]
    assert len(set(texts)) == 1200
    assert not set(texts) >= {" ".join(m["content"] for m in row["messages"]) for row in other["train"]}


def test_an_answer_repeats_the_number_that_the_customer_gave(shipped: dict[str, list[dict[str, Any]]]) -> None:
    given, asked = 0, 0
    for row in (row for split in SPLITS for row in shipped[split]):
        *before, last = said(row, "assistant")
        numbers = re.findall(r"\b\d{3}\b", re.sub("£100", "", " ".join(said(row, "user"))))
        assert re.findall(r"order (\d+)", last) == numbers, row["id"]
        assert len(before) <= len(numbers) <= 1 and all("What is the order number?" in text for text in before)
        given += len(numbers)
        asked += len(before)
    assert 0.2 < asked / 560 < 0.4 and given > asked


def test_answers_state_the_policy_for_what_the_customer_named(shipped: dict[str, list[dict[str, Any]]]) -> None:
    costs = {"france": "£9 ", "germany": "£11 ", "ireland": "£6 ", "spain": "£14 "}
    for asked, answer in answers(shipped, "abroad"):
        (country,) = (name for name in costs if name in asked.lower())
        assert country.title() in answer and costs[country] in answer
    hours = {"bath": "9.00 to 18.00", "chester": "10.00 to 17.00", "leeds": "8.30 to 19.00", "york": "9.30 to 17.30"}
    for asked, answer in answers(shipped, "hours"):
        (town,) = (name for name in hours if name in asked.lower())
        assert f"{town.title()} is open from {hours[town]}." in answer
    for asked, answer in answers(shipped, "discount"):
        (code,) = re.findall(r"\b[A-Z]+[0-9]{2}\b", asked)
        assert f"{code} takes {code[-2:]}% off" in answer
    for asked, answer in answers(shipped, "exchange"):
        (item,) = re.findall(r"send the ([A-Z][a-z]+ [a-z]+) back", answer)
        assert item.lower() in asked.lower()
    for asked, answer in answers(shipped, "gift card"):
        assert re.findall(r"£\d+", asked) == re.findall(r"£\d+", answer)


def test_before_it_asks_for_the_number_the_agent_repeats_size_and_town(
    shipped: dict[str, list[dict[str, Any]]],
) -> None:
    found = {"exchange": 0, "address": 0}
    for row in (row for split in SPLITS for row in shipped[split] if row["topic"] in found):
        asked, replies = said(row, "user")[0].lower(), said(row, "assistant")
        (value,) = re.findall("small|medium|large|bath|chester|leeds|york", asked)
        if len(replies) == 2:
            assert re.search(rf" (in|to) {value}\.", replies[0].lower()), row["id"]
            found[row["topic"]] += 1
    assert min(found.values()) > 10


def test_half_of_the_test_rows_are_asked_in_ways_that_training_never_shows(
    shipped: dict[str, list[dict[str, Any]]],
) -> None:
    def pattern(way: str) -> str:
        return re.sub(r"\\{[a-z]+\\}", r"[\\w£]+(?: \\w+){0,2}", re.escape(way.lower().rstrip(".")))

    def found(split: str, patterns: list[str]) -> list[bool]:
        return [any(re.search(each, said(row, "user")[0].lower()) for each in patterns) for row in shipped[split]]

    unseen = [pattern(way) for topic in TOPICS for way in topic.test]
    seen = [pattern(way) for topic in TOPICS for way in topic.ways]
    # Some known ways, a typo in them, are found by neither.
    assert not any(found("train", unseen)) and not any(found("validation", unseen))
    assert sum(found("train", seen)) > 0.9 * len(shipped["train"])
    assert 0.35 < sum(found("test", unseen)) / len(shipped["test"]) < 0.65
    own = found("validation", [pattern(topic.validation) for topic in TOPICS])
    assert 0.3 < sum(own) / len(own) < 0.7


def test_a_typo_only_swaps_letters(shipped: dict[str, list[dict[str, Any]]]) -> None:
    # With its letters in order, each word of the customers is one of the grammar's or of the answers'.
    texts = [*(way for topic in TOPICS for way in (*topic.ways, *topic.test, topic.validation))]
    rows = [row for split in SPLITS for row in shipped[split]]
    texts += [text for row in rows for text in said(row, "assistant")]
    texts += ["hey", "it is that would be sure yes order thank thanks"]
    known = {"".join(sorted(word)) for text in texts for word in re.findall("[a-z']+", text.lower())}
    words = [word for row in rows for text in said(row, "user") for word in re.findall("[a-z']+", text.lower())]
    assert {word for word in words if "".join(sorted(word)) not in known} == set()
    plain = {word for text in texts for word in re.findall("[a-z']+", text.lower())}
    assert 10 < sum(word not in plain for word in words) < 50


def test_no_file_of_the_user_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_text("mine")
    with user_error("file.exists", where=str(tmp_path / "test.jsonl")):
        write(tmp_path, FEWEST, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["test.jsonl"]
    assert (tmp_path / "test.jsonl").read_text() == "mine"


def test_numbers_that_cannot_be_met_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with user_error("synthetic.out-of-range", where="rows"):
        conversations(FEWEST - 1, 0)
    with user_error("synthetic.out-of-range", where="rows", match="not so many different conversations"):
        conversations(5000, 0)
    (tmp_path / "file").write_text("")
    with user_error("file.not-writable"):
        write(tmp_path / "file", FEWEST, 0)
    assert main([str(tmp_path / "new"), "--rows", "5"]) == 2
    assert "rows cannot be 5" in capsys.readouterr().err and not (tmp_path / "new").exists()
