"""Models that are not what their folder says, or cannot do what a run will ask of them: refused before training."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AlbertConfig,
    AlbertModel,
    AutoTokenizer,
    FNetConfig,
    FNetModel,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
    XLNetConfig,
    XLNetModel,
)

from tests.chatted import write_chats
from tests.conftest import write_reviews
from tests.hostile.runner import Case, faults, run_cases
from tunebook.models.source import STARTERS

STARTER = STARTERS / "starter_text"
Weights = dict[str, torch.Tensor]


def changed(place: Path, weights: Callable[[Weights], Weights] = lambda w: w, **settings: object) -> Path:
    """The starter with other weights or another config."""
    shutil.copytree(STARTER, place)
    config = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps({**config, **settings}))
    made = weights(load_file(STARTER / "model.safetensors"))
    save_file({n: t.clone() for n, t in made.items()}, place / "model.safetensors", {"format": "pt"})
    return place


def beside(place: Path, **files: object) -> Path:
    """The starter with further files."""
    changed(place)
    for name, content in files.items():
        (place / name.replace("__", ".")).write_text(json.dumps(content))
    return place


def whole(place: Path, model: PreTrainedModel) -> Path:
    """Another architecture with the starter's tokenizer."""
    model.save_pretrained(place)
    AutoTokenizer.from_pretrained(STARTER).save_pretrained(place)
    return place


def models(place: Path) -> Iterator[tuple[str, Path, list[str]]]:
    """Each with what else is asked for."""
    words = len(AutoTokenizer.from_pretrained(STARTER))
    torch.manual_seed(0)
    adapter = {"peft_type": "LORA", "base_model_name_or_path": "x"}
    yield "adapters beside it", beside(place / "1", adapter_config__json=adapter), []
    alone = beside(place / "2", adapter_config__json=adapter)
    (alone / "config.json").unlink()
    yield "adapters alone", alone, []
    index = {"metadata": {}, "weight_map": {"a": "model-00001-of-00001.safetensors"}}
    twice = changed(place / "3")
    (twice / "model.safetensors.index.json").write_text(json.dumps(index))
    shutil.copy(twice / "model.safetensors", twice / "model-00001-of-00001.safetensors")
    yield "weights twice", twice, []
    yield "4 bits", changed(place / "4", quantization_config={"quant_method": "bitsandbytes"}), []
    yield "another vocabulary", changed(place / "5", vocab_size=words + 64), []
    yield "fewer words than tokens", changed(place / "6", lambda w: w, vocab_size=words - 64), []
    yield "a layer is missing", changed(place / "7", lambda w: {n: t for n, t in w.items() if ".1." not in n}), []
    yield "other names", changed(place / "8", lambda w: {f"x{i}": t for i, t in enumerate(w.values())}), []
    yield "another kind", changed(place / "9", model_type="gpt2", architectures=["GPT2LMHeadModel"]), []
    small = {"hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 64}
    fnet = FNetModel(FNetConfig(vocab_size=words, pad_token_id=0, **small))
    yield "it mixes padding in", whole(place / "10", fnet), ["recipe=review_sentiment"]
    xlnet = XLNetModel(XLNetConfig(vocab_size=words, d_model=32, n_layer=2, n_head=2, d_inner=64))
    yield "it reads from the right", whole(place / "11", xlnet), ["recipe=review_sentiment"]
    albert = AlbertModel(AlbertConfig(vocab_size=words, embedding_size=16, num_attention_heads=4, **small))
    yield "layers that are one", whole(place / "12", albert), ["recipe=review_sentiment", "optim.layer_decay=0.9"]
    ids = {"pad_token_id": 0, "eos_token_id": 0, "decoder_start_token_id": 0}
    t5 = T5Config(d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, vocab_size=words, **ids)
    yield (
        "no head on features",
        whole(place / "13", T5ForConditionalGeneration(t5)),
        [
            "recipe=review_sentiment",
            "adapt=head",
        ],
    )


def test_models_that_cannot_be_tuned_are_refused_by_check_and_train(tmp_path: Path, cache: Path) -> None:
    reviews, chats = write_reviews(tmp_path / "rows.csv", 40), write_chats(tmp_path / "chats.jsonl", 12, rounds=1)
    rows = {
        "review_sentiment": [f"data.train={reviews}", "data.label=label", "data.max_length=32"],
        "customer_chat": [f"data.train={chats}", "model.chat_template=plain"],
    }
    cases, runs = [], tmp_path / "runs"
    for name, model, more in models(tmp_path / "models"):
        for recipe, given in rows.items():
            if more and f"recipe={recipe}" not in more:
                continue
            arguments = [f"recipe={recipe}", *given, f"model.name={model}", "trainer.max_steps=1", *more[1:]]
            cases.append(Case(f"check {recipe}, {name}", ["check", *arguments]))
            run = runs / str(len(cases))
            cases.append(Case(f"train {recipe}, {name}", ["train", *arguments, f"run_dir={run}"]))
    outcomes = run_cases(cases, tmp_path / "run")
    wrong = faults(outcomes)
    assert not wrong, wrong
    taken = [each.case.name for each in outcomes if each.code != 2]
    assert not taken, taken
    assert not runs.exists() or not any(runs.iterdir())
