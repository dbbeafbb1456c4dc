"""A run is rehearsed with a few rows: what would fail after training is refused before it, and nothing of it stays."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertModel,
    FunnelConfig,
    FunnelModel,
    MambaConfig,
    MambaForCausalLM,
    ReformerConfig,
    ReformerModel,
    T5Config,
    T5ForConditionalGeneration,
)

from tests.chatted import write_chats
from tests.conftest import Tunebook, write_reviews
from tunebook.models.source import STARTERS

STARTER = STARTERS / "starter_text"


def saved(model: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(STARTER).save_pretrained(folder)
    return folder


def words() -> int:
    return len(AutoTokenizer.from_pretrained(STARTER))


def t5(folder: Path) -> Path:
    torch.manual_seed(0)
    small = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "vocab_size": words()}
    ids = {"pad_token_id": 0, "eos_token_id": 0, "decoder_start_token_id": 0}
    return saved(T5ForConditionalGeneration(T5Config(**small, **ids)), folder)


def few(tmp_path: Path) -> list[str]:
    rows = write_reviews(tmp_path / "rows.csv", 40)
    given = [f"data.train={rows}", "data.label=label", "data.max_length=32", "trainer.max_steps=2", "data.batch_size=8"]
    return ["recipe=review_sentiment", *given, "evaluation.resamples=20", "trainer.progress=false"]


def test_where_a_baseline_alone_fails_the_run_goes_on_and_says_so(tmp_path: Path, tunebook: Tunebook) -> None:
    torch.manual_seed(0)
    small = FunnelConfig(vocab_size=words(), block_sizes=[1, 1], d_model=32, n_head=4, d_head=8, d_inner=64)
    model = saved(FunnelModel(small), tmp_path / "funnel")  # answers fewer positions than it reads
    checked = tunebook("check", *few(tmp_path), f"model.name={model}")
    assert checked.returncode == 0, checked.stderr
    assert "zero-shot score: none: " in checked.stdout
    run = tmp_path / "run"
    done = tunebook("train", *few(tmp_path), f"model.name={model}", f"run_dir={run}")
    assert done.returncode == 0, done.stderr
    scores = json.loads((run / "metrics.json").read_text())
    assert "zero-shot" not in json.dumps(scores)
    assert "there is no zero-shot score: " in (run / "report.html").read_text()
    with (run / "predictions.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 4


def test_what_would_fail_at_the_first_step_is_refused_before(tmp_path: Path, tunebook: Tunebook) -> None:
    model = t5(tmp_path / "t5")
    run = tmp_path / "run"
    refused = tunebook("train", *few(tmp_path), f"model.name={model}", "adapt=head", f"run_dir={run}")
    assert refused.returncode == 2, refused.stdout
    assert "adapt=head" in refused.stderr
    assert "training:" not in refused.stdout
    assert not run.exists()
    assert tunebook("check", *few(tmp_path), f"model.name={model}", "adapt=head").returncode == 2


def test_a_model_that_reads_padding_writes_nothing(tmp_path: Path, tunebook: Tunebook) -> None:
    torch.manual_seed(0)
    small = MambaConfig(vocab_size=words(), hidden_size=32, state_size=4, num_hidden_layers=2, pad_token_id=0)
    model = MambaForCausalLM(small)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    saved(model, tmp_path / "mamba")
    rows = write_chats(tmp_path / "chats.jsonl", 12, rounds=1)
    given = ["recipe=customer_chat", f"data.train={rows}", "model.chat_template=plain"]
    refused = tunebook("check", *given, f"model.name={tmp_path / 'mamba'}")
    assert refused.returncode == 2, refused.stdout
    assert "Traceback" not in refused.stderr


def test_the_weights_are_those_of_a_run_without_rehearsal(tmp_path: Path, tunebook: Tunebook) -> None:
    def trained(name: str, *more: str) -> dict[str, torch.Tensor]:
        run = tmp_path / name
        given = ["model.dropout=0.1", "adapt=lora", f"run_dir={run}", *more]
        done = tunebook("train", *few(tmp_path), *given)
        assert done.returncode == 0, done.stderr
        return load_file(run / "model" / "model.safetensors")

    with_it, without = trained("with"), trained("without", "trainer.rehearse=false")
    assert with_it.keys() == without.keys()
    for name, tensor in with_it.items():
        assert torch.equal(tensor, without[name]), name


@pytest.mark.parametrize("recipe", ["review_sentiment", "customer_chat"])
def test_nothing_of_it_stays(tmp_path: Path, tunebook: Tunebook, recipe: str) -> None:
    scratch, cache = tmp_path / "scratch", tmp_path / "cache"
    scratch.mkdir()
    done = tunebook("check", f"recipe={recipe}", env={"TMPDIR": str(scratch), "TUNEBOOK_CACHE": str(cache)})
    assert done.returncode == 0, done.stderr
    assert list(scratch.iterdir()) == []


def test_rates_by_layer_are_refused_where_layers_share_their_weights(tmp_path: Path, tunebook: Tunebook) -> None:
    from transformers import AlbertConfig, AlbertModel

    torch.manual_seed(0)
    small = {"hidden_size": 32, "embedding_size": 16, "num_hidden_layers": 3, "num_attention_heads": 4}
    albert = AlbertModel(AlbertConfig(vocab_size=words(), intermediate_size=64, **small))
    bert = BertModel(BertConfig(vocab_size=words(), intermediate_size=64, **small))
    for model, code in ((saved(albert, tmp_path / "albert"), 2), (saved(bert, tmp_path / "bert"), 0)):
        done = tunebook("check", *few(tmp_path), f"model.name={model}", "optim.layer_decay=0.8")
        assert done.returncode == code, done.stderr
        assert ("The 3 layers of AlbertForSequenceClassification share their weights" in done.stderr) == (code == 2)


METHODS = {
    "review_sentiment": ("full", "lora", "head", "scratch", "none"),
    "customer_chat": ("full", "lora", "scratch", "none"),
    "marketing_copy": ("full", "lora"),
    "medical_diagnosis": ("full", "head"),
}


@pytest.mark.parametrize(("recipe", "method"), [(r, m) for r, methods in METHODS.items() for m in methods])
def test_every_recipe_is_rehearsed_by_every_adaptation(tunebook: Tunebook, recipe: str, method: str) -> None:
    done = tunebook("check", f"recipe={recipe}", f"adapt={method}", "data.max_rows=60")
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("ready to train")
    assert ("backbone: all " in done.stdout) == (method not in ("scratch", "none"))


def test_a_model_that_draws_numbers_of_its_own_is_refused(tmp_path: Path, tunebook: Tunebook) -> None:
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_attention_heads": 2, "attention_head_size": 16, "feed_forward_size": 32}
    layers = {"attn_layers": ["local", "local"], "axial_pos_embds": False, "is_decoder": True}
    own = ReformerConfig(vocab_size=words(), max_position_embeddings=128, pad_token_id=0, **sizes, **layers)
    model = saved(ReformerModel(own), tmp_path / "reformer")
    given = [*few(tmp_path), f"model.name={model}"]
    refused = tunebook("check", *given)
    assert refused.returncode == 2 and "draws random numbers of its own" in refused.stderr, refused.stderr
    allowed = tunebook("check", *given, "model.dropout=0")
    assert allowed.returncode == 0, allowed.stderr


@pytest.mark.parametrize("method", ["full", "head"])
def test_there_may_be_more_labels_than_rows_in_a_rehearsal(tmp_path: Path, tunebook: Tunebook, method: str) -> None:
    with (tmp_path / "rows.csv").open("w", newline="") as stream:
        written = csv.writer(stream)
        written.writerow(["text", "label"])
        written.writerows((f"Question {i} on matter {i % 12}, the {i // 12}th of it", f"m{i % 12}") for i in range(96))
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    model = saved(BertModel(BertConfig(vocab_size=words(), **sizes)), tmp_path / "bert")  # its final layer has a bias
    given = [f"data.train={tmp_path / 'rows.csv'}", "data.label=label", "data.max_length=32", "data.near_duplicate=1.0"]
    given += [f"model.name={model}"]
    checked = tunebook("check", "recipe=review_sentiment", f"adapt={method}", *given, "trainer.progress=false")
    assert checked.returncode == 0, checked.stderr
