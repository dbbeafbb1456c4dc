"""Small briefs, a small model with an encoder and a decoder, and runs of marketing_copy made in this process."""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra

from tests.chatted import STARTER
from tunebook.cli.train import train_command
from tunebook.composing.command import register_schemas
from tunebook.composing.search_path import register_search_path
from tunebook.config.schema import TrainConfig
from tunebook.families.prepared import Prepared
from tunebook.pipeline.prepare import prepare, typed
from tunebook.run_folder import RunFolder

QUICK = [
    "recipe=marketing_copy",
    "trainer=cpu",
    "trainer.threads=1",
    "trainer.progress=false",
    "trainer.rehearse=false",  # which has tests of its own
    "evaluation.resamples=20",
    "logger=csv",
]
TOKENS = 12
BRIEF = ["trainer.max_steps=4", "evaluation.max_generations=10", f"recipe.max_new_tokens={TOKENS}"]
THINGS = ["kettle", "lamp", "rug", "mug", "tent", "scarf", "chair", "clock"]
PLACES = ["kitchen", "garden", "hall", "office"]


def briefs(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Briefs of three fields, all different, with one or two copies each and something to mention in every other."""
    draw = random.Random(seed)
    rows = []
    for number in range(count):
        thing, place, price = draw.choice(THINGS), draw.choice(PLACES), f"${100 + number}"
        features = draw.sample(["light", "warm", "blue", "small", "quiet"], 2)
        season = "season" if number % 2 else "Season"  # no name, as the other copies tell
        copies = [f"The {thing} for your {place}, {features[0]} and {features[1]}, costs {price} this {season}."]
        copies += [f"At {price} this {features[1]} {thing} brightens the {place} this season."] * (number % 2)
        mention = [price, thing] if number % 2 else []
        name = f"{thing} for the {place}"
        rows.append({"name": name, "features": features, "price": price, "must_mention": mention, "copy": copies})
    return rows


def write_csv(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """One row a line, values as they stand."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def in_brackets(rows: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """Rows as those of E2E: the brief in brackets, a row for each of its copies."""
    found = []
    for row in rows:
        brief = f"name[{row['name']}], features[{', '.join(row['features'])}], price[{row['price']}]"
        found += [{"mr": brief, "ref": copy} for copy in row["copy"]]
    return found


def tiny_t5(folder: Path) -> Path:
    """A T5 of fresh weights that looks at what it reads, with the starter's tokenizer."""
    from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration

    words = AutoTokenizer.from_pretrained(STARTER)
    sizes: dict[str, Any] = {"d_model": 32, "d_kv": 16, "d_ff": 48, "num_layers": 2, "num_heads": 2}
    ids = {"pad_token_id": words.pad_token_id, "eos_token_id": words.eos_token_id}  # and no bos_token_id, as on the hub
    torch.manual_seed(0)
    model = T5ForConditionalGeneration(
        T5Config(
            vocab_size=len(words),
            decoder_start_token_id=words.pad_token_id,
            tie_word_embeddings=False,
            feed_forward_proj="gated-gelu",
            dropout_rate=0.0,
            **sizes,
            **ids,
        )
    )
    with torch.no_grad():
        model.lm_head.weight.normal_()
        for name, weight in model.named_parameters():
            if "EncDecAttention" in name:
                weight *= 8
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def composed(*overrides: str, verb: str = "train") -> Any:
    """The config of a run, as composed."""
    GlobalHydra.instance().clear()
    register_schemas()
    register_search_path()
    with initialize_config_module("tunebook.conf", version_base="1.3"):
        return compose(verb, overrides=list(overrides))


def config_of(folder: Path, *overrides: str) -> TrainConfig:
    """The typed config of a run in ``folder/run``."""
    return typed(composed(*QUICK, f"data.cache_dir={folder / 'cache'}", *overrides, f"run_dir={folder / 'run'}"))


def read(folder: Path, *overrides: str) -> Prepared:
    """All rows read, checked and encoded, as far as training gets before a model is loaded."""
    return prepare(config_of(folder, *overrides), folder / "rejects.jsonl")


def briefed(folder: Path, *overrides: str) -> RunFolder:
    """Train in this process; the run lies in ``folder/run``."""
    run = RunFolder(folder / "run")
    given = [*QUICK, f"data.cache_dir={folder / 'cache'}", *overrides, f"run_dir={run.path}"]
    train_command(composed(*given), str(run.path))
    return run


def evaluated(folder: Path, *overrides: str) -> RunFolder:
    """Evaluate a bundle in this process."""
    from tunebook.cli.evaluate import evaluate_command

    evaluate_command(composed(*overrides, f"run_dir={folder}", verb="evaluate"), str(folder))
    return RunFolder(folder)
