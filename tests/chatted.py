"""Small conversations, small language models, and runs of customer_chat made in this process."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra

from tunebook.cli.train import train_command
from tunebook.composing.command import register_schemas
from tunebook.composing.search_path import register_search_path
from tunebook.config.schema import TrainConfig
from tunebook.models.source import STARTERS
from tunebook.pipeline.prepare import typed
from tunebook.run_folder import RunFolder

STARTER = STARTERS / "starter_text"
STORIES = Path(__file__).parents[2] / "shared/data/weights/stories260k_llama_hf"
QUICK = [
    "recipe=customer_chat",
    "trainer=cpu",
    "trainer.threads=1",
    "trainer.progress=false",
    "trainer.rehearse=false",  # which has tests of its own
    "evaluation.resamples=50",
    "logger=csv",
]

WORDS = ["parcel", "order", "refund", "kettle", "street", "tomorrow", "courier", "invoice", "late", "broken", "day"]


def sentence(draw: random.Random, longest: int = 9) -> str:
    """Some words of the trade, and a number that makes them unlike all others."""
    words = [draw.choice(WORDS) for _ in range(draw.randint(2, longest))]
    return " ".join([*words, str(draw.randrange(10**5))])


def conversation(draw: random.Random, rounds: int, system: str | None = None, longest: int = 9) -> list[dict[str, str]]:
    """Rounds of question and answer."""
    turns = [{"role": "system", "content": system}] if system else []
    for _ in range(rounds):
        turns += [{"role": role, "content": sentence(draw, longest)} for role in ("user", "assistant")]
    return turns


def write_jsonl(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """One object a line."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def write_chats(path: Path, count: int, seed: int = 0, rounds: int = 3, longest: int = 9) -> Path:
    """Conversations of one to so many rounds, all different."""
    draw = random.Random(seed)
    return write_jsonl(
        path, [{"messages": conversation(draw, draw.randint(1, rounds), longest=longest)} for _ in range(count)]
    )


def tiny_llama(folder: Path, positions: int = 256, tokenizer: Path = STARTER, **sizes: Any) -> Path:
    """A Llama of 0.15 M fresh weights with a real tokenizer, the starter's unless told."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    words = AutoTokenizer.from_pretrained(tokenizer)
    usual = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    settings: Any = {**usual, "tie_word_embeddings": True, "max_position_embeddings": positions, **sizes}
    ids = {f"{name}_token_id": getattr(words, f"{name}_token_id") for name in ("pad", "bos", "eos")}
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(vocab_size=len(words), **ids, **settings)).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def byte_gpt2(folder: Path) -> Path:
    """A GPT-2 of fresh weights with a byte-level tokenizer without any merge: no template, no padding token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    symbols = ["<|endoftext|>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    backend = Tokenizer(models.BPE({symbol: i for i, symbol in enumerate(symbols)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    end = symbols[0]
    words = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=end, eos_token=end, unk_token=end)
    words.save_pretrained(folder)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(symbols), n_embd=32, n_layer=2, n_head=2, n_positions=512, bos_token_id=0, eos_token_id=0
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


def composed(*overrides: str) -> TrainConfig:
    """The typed config of a run of customer_chat."""
    return typed(_composed(overrides))


def _composed(overrides: Sequence[str], verb: str = "train") -> Any:
    GlobalHydra.instance().clear()
    register_schemas()
    register_search_path()
    with initialize_config_module("tunebook.conf", version_base="1.3"):
        return compose(verb, overrides=list(overrides))


def chatted(folder: Path, *overrides: str) -> RunFolder:
    """Train in this process; the run lies in ``folder/run``."""
    run = RunFolder(folder / "run")
    train_command(
        _composed([*QUICK, f"data.cache_dir={folder / 'cache'}", *overrides, f"run_dir={run.path}"]), str(run.path)
    )
    return run


def chatted_briefly(folder: Path, *overrides: str) -> RunFolder:
    """A run of two steps, for tests that ask how a bundle is used and not how good it is."""
    small = ["trainer.max_epochs=1", "trainer.max_steps=2", "evaluation.max_generations=2"]
    return chatted(folder, *small, "evaluation.zero_shot=false", *overrides)


def evaluated(folder: Path, *overrides: str) -> RunFolder:
    """Evaluate a bundle in this process."""
    from tunebook.cli.evaluate import evaluate_command

    evaluate_command(_composed([*overrides, f"run_dir={folder}"], "evaluate"), str(folder))
    return RunFolder(folder)


def conversation_with_keys(number: int) -> list[dict[str, Any]]:
    """A question with a name and a time, and an answer with a time; an empty key that says nothing."""
    draw = random.Random(number)
    return [
        {"role": "user", "content": sentence(draw), "name": "Ada", "time": 1, "tags": []},
        {"role": "assistant", "content": sentence(draw), "time": 2, "name": None},
    ]
