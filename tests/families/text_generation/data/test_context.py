"""Documents of a row: where they stand in the prompt, that they are never learned or cut, and documents of others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from tests.chatted import write_jsonl
from tunebook.data.reading import read_rows
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import Rows
from tunebook.families.text_generation.columns import conversation_columns
from tunebook.families.text_generation.data.content import ConversationContent
from tunebook.families.text_generation.data.context import contexts_of, parse_context, with_distractors
from tunebook.families.text_generation.data.message import Context, Message, from_text, grounded, to_text
from tunebook.families.text_generation.data.rendering import Unsupervisable
from tunebook.families.text_generation.data.supervision import fit
from tunebook.families.text_generation.data.template import ChatTemplate
from tunebook.families.text_generation.data.window import fit_prompt
from tunebook.models.source import STARTERS

ASKED, ANSWER = Message("user", "What is it?"), Message("assistant", "It is £42.")
BLOCK = "<document>\nA lamp is £42.\n</document>\n<document>\nA rug is £9.\n</document>"
DOCUMENTS = ("A lamp is £42.", "A rug is £9.")


@pytest.fixture(scope="module")
def template() -> ChatTemplate:
    return ChatTemplate.of(AutoTokenizer.from_pretrained(STARTERS / "starter_text"))


def gate(path: Path, rows: list[dict[str, Any]], context: str | None = None) -> tuple[Rows, RejectLog]:
    rejects = RejectLog(path.parent / "rejects.jsonl", 0)
    file = write_jsonl(path, rows)
    columns = conversation_columns([file], None, None, None, context=context)
    return ConversationContent().inspect(read_rows(str(file), "data.train", columns, rejects), rejects), rejects


def row(context: Any, name: str = "context") -> dict[str, Any]:
    return {"prompt": "What is it?", "completion": "It is £42.", name: context}


@pytest.mark.parametrize(
    ("value", "documents"),
    [
        ("A lamp is £42.", ("A lamp is £42.",)),
        ('["A lamp is £42.", " A rug is £9. "]', DOCUMENTS),
        ("[1] A lamp", ("[1] A lamp",)),
        ("", ()),
        ("[]", ()),
        ("u\u0308", ("ü",)),
    ],
)
def test_a_context_is_a_text_or_a_list_of_texts(value: str, documents: tuple[str, ...]) -> None:
    assert parse_context(value) == documents


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ('{"a": 1}', "neither a text nor a list of texts"),
        ("[1, 2]", "neither a text nor a list of texts"),
        ('["a", " "]', "a text of the context is empty"),
        ('["\\ud800"]', "half of a surrogate pair"),
        ('["\\u0000"]', "a NUL character"),
    ],
)
def test_another_context_rejects_its_row(tmp_path: Path, value: str, reason: str) -> None:
    rows, rejects = gate(tmp_path / "a.jsonl", [row("A lamp is £42."), row(value)])
    assert len(rows) == 1 and rejects.count == 1
    rejects.write()
    (found,) = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    assert found["line"] == 2 and reason in found["reason"]


@pytest.mark.parametrize("name", ["context", "docs"])
def test_the_context_of_a_row_goes_with_all_its_turns(tmp_path: Path, name: str) -> None:
    rows, _ = gate(
        tmp_path / "a.jsonl", [row(list(DOCUMENTS), name), row("", name)], None if name == "context" else name
    )
    first, second = map(from_text, rows.texts("conversation"))
    assert first == grounded([ASKED, ANSWER], Context(DOCUMENTS)) and from_text(to_text(first)) == first
    assert second == [ASKED, ANSWER] and "context" not in rows.roles


@pytest.mark.parametrize("system", [True, False])
def test_the_system_turn_ends_with_the_context(template: ChatTemplate, system: bool) -> None:
    before = [Message("system", "Be kind.")] if system else []
    said = f"Be kind.\n\n{BLOCK}" if system else BLOCK
    turns = [*before, ASKED, ANSWER, Message("user", "And?"), ANSWER]
    made = template.supervise(grounded(turns, Context(DOCUMENTS)))
    expected = template.supervise([Message("system", said), *turns[len(before) :]])
    assert made.ids.tolist() == expected.ids.tolist() and made.supervised.tolist() == expected.supervised.tolist()
    only = template.supervise(grounded(turns, Context(DOCUMENTS)), first=len(turns) - 1)
    assert template.tokenizer.decode(only.ids[only.supervised]) == "It is £42.<|end|>"
    aside = template.supervise(grounded(turns, Context(DOCUMENTS)), context=[len(turns) - 1])
    assert aside.supervised.sum() * 2 == made.supervised.sum()


def test_the_first_question_that_is_seen_begins_with_the_context(template: ChatTemplate) -> None:
    turns = [ASKED, ANSWER, Message("user", "And the rug?"), Message("assistant", "It is £9.")]
    held = grounded(turns, Context(DOCUMENTS, "user"))
    whole = template.supervise(held)
    assert (
        whole.ids.tolist() == template.supervise([Message("user", f"{BLOCK}\n\nWhat is it?"), *turns[1:]]).ids.tolist()
    )
    rows = fit(held, template, len(whole) - 1).rows
    last = template.supervise([Message("user", f"{BLOCK}\n\nAnd the rug?"), turns[3]])
    assert [row.ids.tolist() for row in rows][1] == last.ids.tolist()
    shortened = fit_prompt(held[:3], template, len(template.prompt(held[:3])) - 1)
    assert shortened.left_out == 2 and shortened.ids.tolist() == last.ids[: len(shortened.ids)].tolist()


def test_a_context_that_does_not_fit_is_never_cut(template: ChatTemplate) -> None:
    held = grounded([ASKED, ANSWER], Context(DOCUMENTS))
    length = len(template.supervise(held))
    assert fit(held, template, length).rows
    fitted = fit(held, template, length - 1)
    assert not fitted.rows and "with its question and its context it has" in fitted.rejected[0]
    with pytest.raises(Unsupervisable, match="the last question with its context has"):
        fit_prompt(held[:1], template, len(template.prompt(held[:1])) - 1)


def test_control_tokens_in_a_context_are_text(template: ChatTemplate) -> None:
    made = template.supervise(grounded([ASKED, ANSWER], Context(("<|end|><|assistant|>",))))
    ends = template.tokenizer.convert_tokens_to_ids("<|end|>")
    assert (made.ids == ends).sum() == 3


def test_distractors_are_documents_of_other_rows_in_an_order_by_seed(tmp_path: Path) -> None:
    made = [row([f"document {i}", f"note {i}"]) for i in range(6)] + [row("")]
    rows, _ = gate(tmp_path / "a.jsonl", made)
    mixed = with_distractors(rows, 3, 0)
    for i, (before, after) in enumerate(zip(contexts_of(rows), contexts_of(mixed), strict=True)):
        if before is None:
            assert after is None and i == 6
            continue
        assert after is not None and set(before.documents) <= set(after.documents)
        assert len(after.documents) == len(set(after.documents)) == 5
    assert contexts_of(with_distractors(rows, 3, 0)) == contexts_of(mixed)
    assert contexts_of(with_distractors(rows, 3, 1)) != contexts_of(mixed)
    assert with_distractors(rows, 0, 0) is rows
    everything = contexts_of(with_distractors(rows, 100, 0))[0]
    assert everything is not None and len(everything.documents) == 12
