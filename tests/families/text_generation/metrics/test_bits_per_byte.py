"""Bits per byte against plain transformers, by hand, and for two tokenizers on the same rows."""

from __future__ import annotations

import csv
import json
import math
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.chatted import byte_gpt2, chatted, conversation, tiny_llama, write_jsonl
from tunebook.compare.statistics.points import best_of, point_of
from tunebook.families.text_generation.data.supervision import fit
from tunebook.families.text_generation.data.template import TEMPLATES, ChatTemplate
from tunebook.families.text_generation.metrics.perplexity import bits_per_byte, perplexity
from tunebook.statistics.sums import score

WRITING = ["model.chat_template=plain", "evaluation.max_generations=2", "recipe.max_new_tokens=2"]


def chats(folder: Path) -> tuple[list[str], list[list[dict[str, str]]]]:
    """Overrides for three files of conversations with characters of one to four bytes, and those of the test rows."""
    draw, rows = random.Random(0), []
    for number in range(24):
        turns = conversation(draw, 1 + number % 2)
        turns[-1]["content"] += f" schön für {number} 円 🎈"
        rows.append({"messages": turns})
    parts = {"train": rows[:14], "validation": rows[14:18], "test": rows[18:]}
    given = [f"data.{name}={write_jsonl(folder / f'{name}.jsonl', part)}" for name, part in parts.items()]
    return given, [row["messages"] for row in parts["test"]]


def answers_of(conversations: list[list[dict[str, str]]]) -> list[str]:
    return [turn["content"] for turns in conversations for turn in turns if turn["role"] == "assistant"]


def by_hand(folder: Path, known: Path, conversations: list[list[dict[str, str]]]) -> tuple[float, int, int]:
    """Bits, tokens and bytes of all answers, from transformers' full logits and its own mask of the answers."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    words = AutoTokenizer.from_pretrained(known)
    bits, tokens = 0.0, 0
    for turns in conversations:
        found: Any = words.apply_chat_template(turns, return_assistant_tokens_mask=True, return_dict=True)
        ids, mask = torch.tensor(found["input_ids"]), torch.tensor(found["assistant_masks"]).bool()
        with torch.no_grad():
            shares = model(ids[None]).logits[0].double().log_softmax(-1)
        for place in range(1, len(ids)):
            if mask[place]:
                bits -= float(shares[place - 1, ids[place]]) / math.log(2)
                tokens += 1
    return bits, tokens, sum(len(answer.encode()) for answer in answers_of(conversations))


def metrics(run: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run.path / "metrics.json").read_text())
    return found


def test_it_is_the_loss_in_bits_over_the_bytes() -> None:
    # Answers of probability 1/8 (3 bits) and 1/32 (5 bits), of 4 and of 12 bytes.
    found = bits_per_byte([3 * math.log(2), 5 * math.log(2)], [4, 12])
    assert found.value() == pytest.approx(8 / 16)
    assert (found.name, found.higher_is_better) == ("bits_per_byte", False)
    scored = score(found, resamples=100)
    assert best_of(scored) == 0.0 and point_of(scored) == pytest.approx(0.005)  # 1 % of it, as of perplexity
    with pytest.raises(ValueError, match="2 losses do not belong to 1 rows"):
        bits_per_byte([1.0, 2.0], [3])
    assert math.isnan(score(bits_per_byte([math.nan], [1]), resamples=50).value)


def test_its_interval_is_that_of_perplexitys_bootstrap() -> None:
    draw = np.random.default_rng(0)
    tokens = draw.integers(5, 30, 40)
    losses = tokens * draw.exponential(3.0, 40)
    settings = {"resamples": 500, "seed": 3}
    bits = score(bits_per_byte(losses, 4 * tokens), **settings)  # type: ignore[arg-type]
    words = score(perplexity(losses, tokens), **settings)  # type: ignore[arg-type]
    for end in ("value", "low", "high"):
        # Quantiles lie between two resamples.
        assert getattr(bits, end) == pytest.approx(math.log2(getattr(words, end)) / 4, rel=1e-4)


def test_a_run_reports_what_a_plain_loop_over_the_rows_gives(tmp_path: Path, cache: Path) -> None:
    given, test = chats(tmp_path)
    llama = tiny_llama(tmp_path / "llama")
    run = chatted(tmp_path, f"model.name={llama}", *given, "trainer.max_steps=2", *WRITING)
    told = metrics(run)
    bits, tokens, said = by_hand(run.bundle, run.bundle, test)
    found, words = told["test"]["bits_per_byte"], told["test"]["perplexity"]
    assert found["value"] == pytest.approx(bits / said, rel=1e-5) and found["n"] == len(test)
    assert found["low"] < found["value"] < found["high"] and found["method"] == words["method"]
    before = by_hand(llama, run.bundle, test)[0] / said
    assert told["baselines"]["before tuning"]["bits_per_byte"]["value"] == pytest.approx(before, rel=1e-5)
    assert "bits_per_byte" in told["differences"]["before tuning"]
    with run.losses.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["bytes"]) for row in rows] == [sum(len(a.encode()) for a in answers_of([turns])) for turns in test]
    assert sum(int(row["tokens"]) for row in rows) == tokens
    page, card = run.report.read_text(encoding="utf-8"), (run.bundle / "README.md").read_text(encoding="utf-8")
    assert "bits per byte" in page and "for models of any tokenizer" in page
    # The card has those of the validation rows, as of perplexity.
    rows = [json.loads(line)["messages"] for line in (tmp_path / "validation.jsonl").read_text().splitlines()]
    _, tokens, said = by_hand(run.bundle, run.bundle, rows)
    best, byte = (float(re.findall(rf"{name}: ([0-9.]+)", card)[0]) for name in ("perplexity", "bits_per_byte"))
    assert byte == pytest.approx(math.log2(best) * tokens / said, abs=2e-4)


def uniform(folder: Path) -> Path:
    """The model with a final layer of next to nothing: every token is as likely as any other."""
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(1e-3)
    model.save_pretrained(folder)
    return folder


def test_two_tokenizers_are_divided_by_the_same_bytes(tmp_path: Path, cache: Path) -> None:
    given, test = chats(tmp_path)
    found, counted = {}, {}
    for name, make in (("words", tiny_llama), ("bytes", byte_gpt2)):
        folder = uniform(make(tmp_path / name))
        (tmp_path / f"of_{name}").mkdir()
        run = chatted(tmp_path / f"of_{name}", f"model.name={folder}", *given, "adapt=none", *WRITING)
        _, tokens, said = by_hand(run.bundle, run.bundle, test)
        size = AutoModelForCausalLM.from_pretrained(run.bundle).config.vocab_size
        # All tokens are equally likely, so that each has log2 of their number bits.
        assert metrics(run)["test"]["perplexity"]["value"] == pytest.approx(size, rel=1e-4)
        found[name] = metrics(run)["test"]["bits_per_byte"]["value"]
        assert found[name] == pytest.approx(tokens * math.log2(size) / said, rel=1e-4)
        counted[name] = (tokens, said)
    (words, said), (single, same) = counted["words"], counted["bytes"]
    assert said == same and single > 1.5 * words
    # Of single bytes there is one token a byte; the built-in template adds the space before an answer, and its end.
    around = 2 * len(answers_of(test))
    assert single == said + around
    assert found["bytes"] == pytest.approx(math.log2(size) * (1 + around / said), rel=1e-4)


def test_bytes_are_those_of_the_answers_that_are_scored(tmp_path: Path) -> None:
    template = ChatTemplate.of(AutoTokenizer.from_pretrained(tiny_llama(tmp_path / "m")), TEMPLATES["plain"])
    turns = [
        ("system", "Ü"),
        ("user", "hi?"),
        ("assistant", "  naïve 🎈 "),
        ("user", "and"),
        ("assistant", "<|im_end|>!"),
    ]
    rows = fit([{"role": role, "content": content} for role, content in turns], template, 200).rows
    # White space around an answer and the end of turn are no bytes; a control token that is said has its own.
    assert [row.bytes for row in rows] == [len("naïve 🎈".encode()) + len(b"<|im_end|>!")]
