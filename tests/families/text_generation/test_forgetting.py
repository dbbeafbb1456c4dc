"""What tuning made a model forget: losses on general questions, before and after."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.chatted import STARTER, chatted, write_chats
from tunebook.families.text_generation.forgetting import PROBES
from tunebook.run_folder import RunFolder

FEW = ("trainer.max_steps=12", "evaluation.max_generations=2", "recipe.max_new_tokens=4", "evaluation.zero_shot=false")


@pytest.fixture(scope="module")
def wrecked(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run whose learning rate is far too high."""
    folder = tmp_path_factory.mktemp("wrecked")
    return chatted(folder, f"data.train={write_chats(folder / 'rows.jsonl', 40)}", "optim.lr=0.1", *FEW)


def loss_of_answers(folder: Path) -> float:
    """Perplexity of the probes' answers, each with the mark of its end, by a plain forward pass of transformers."""
    words, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).eval()
    total, count = 0.0, 0
    for line in PROBES.read_text(encoding="utf-8").splitlines():
        turns = json.loads(line)["messages"]
        asked = words.apply_chat_template(turns[:1], add_generation_prompt=True, tokenize=False)
        whole = words.apply_chat_template(turns, tokenize=False)
        assert whole.startswith(asked)
        start = len(words(asked, add_special_tokens=False).input_ids)
        ids = torch.tensor([words(whole.rstrip("\n"), add_special_tokens=False).input_ids])
        with torch.no_grad():
            likely = model(ids).logits[0, :-1].log_softmax(-1)
        total -= likely[range(start - 1, ids.shape[1] - 1), ids[0, start:]].double().sum().item()
        count += ids.shape[1] - start
    return math.exp(total / count)


def test_a_learning_rate_that_is_far_too_high_is_caught(wrecked: RunFolder) -> None:
    metrics = json.loads(wrecked.metrics.read_text())
    found = metrics["forgetting"]
    assert found["before"] == pytest.approx(loss_of_answers(STARTER), rel=1e-4)
    assert found["after"] == pytest.approx(loss_of_answers(wrecked.bundle), rel=1e-4)
    assert found["times"] == pytest.approx(found["after"] / found["before"])
    assert found["shown"] and found["low"] > 2 and metrics["unfit"].startswith("it has forgotten: perplexity on 62")
    page = wrecked.report.read_text(encoding="utf-8")
    said = page.partition('aria-label="Verdict"')[2].partition("</section>")[0]
    assert said.count("<p>The model has forgotten much") == 1 and "<summary>Did it forget?" in page
    before = said.partition("<p>The model has forgotten much")[0]
    assert before.count("<p>") == before.count("beats the tuned model"), "only baselines that win stand before it"


def test_a_model_that_hardly_moved_has_forgotten_nothing(tmp_path: Path) -> None:
    rows = write_chats(tmp_path / "rows.jsonl", 40)
    run = chatted(tmp_path, f"data.train={rows}", "adapt=lora", "optim.lr=1e-7", *FEW)
    metrics = json.loads(run.metrics.read_text())
    found = metrics["forgetting"]
    assert not found["shown"] and found["times"] == pytest.approx(1, abs=0.01) and "unfit" not in metrics
    page = run.report.read_text(encoding="utf-8")
    assert "has forgotten" not in page.partition("<details>")[0] and "<summary>Did it forget?" in page
