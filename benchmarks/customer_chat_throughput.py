"""Training cost and memory of customer_chat beside Hugging Face's Trainer and TRL's SFTTrainer.

pip install trl accelerate datasets
python benchmarks/customer_chat_throughput.py [--shapes tiny smollm2_135m] [--turns 3] [--threads 1]

Every system starts from the same random weights, learns the answers of the same synthetic chats for one epoch, eight
chats to an optimizer step, in float32 with the same AdamW and clipping. Each training runs in a fresh process with
the Python that runs this script; the systems take turns, and each ratio is the median of the turns' ratios. What
counts is from the first batch to the last optimizer step: CPU time, user and system together, and the peak of resident
memory above what the process held before it, without AdamW's state, which all need alike. No system validates or
saves in that time; ours does afterwards. TRL's own defaults (bfloat16, gradient checkpointing) run once; what they
cost depends on whether the CPU has bfloat16 units (with ONEDNN_MAX_CPU_ISA=AVX2 it is used as if it had none).

A plain loop over our batches with the model's full logits runs once too: at every step our loss must be its loss.
Memory is read from /proc, so this runs on Linux only.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

PAIRED = ("tunebook", "hf", "hf_grouped", "trl", "trl_packed")
ONCE = ("full_logits", "trl_defaults")
NAMES = {
    "tunebook": "Tunebook",
    "hf": "HF Trainer, padded",
    "hf_grouped": "HF Trainer, grouped by length",
    "trl": "TRL SFTTrainer, padded",
    "trl_packed": "TRL SFTTrainer, packed",
    "full_logits": "plain loop over Tunebook's batches, full logits",
    "trl_defaults": "TRL SFTTrainer, padded, its defaults: bfloat16, gradient checkpointing",
}
BATCH, MAX_LENGTH, LR, DECAY, CLIP = 8, 512, 5e-5, 0.01, 1.0
TOLERANCE = 1e-5  # in nats, of a step's loss
HELD_OUT = 2  # chats that our own run validates on and tests on, where the clock has stopped

SHAPES: dict[str, dict[str, Any]] = {
    "tiny": {
        "chats": 64,
        "hidden_size": 256,
        "intermediate_size": 688,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "vocab_size": 32_000,
        "tie_word_embeddings": False,
    },
    "smollm2_135m": {
        "chats": 24,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "vocab_size": 49_152,
        "tie_word_embeddings": True,
    },
}


# Model and chats


def make_chats(tokenizer: Any, chats: int) -> list[list[dict[str, str]]]:
    """A question and its answer each; lengths are lognormal with medians of 60 and 35 words of one token each."""
    words = [token[1:] for token in tokenizer.get_vocab() if token[0] == "Ġ" and token[1:].isalpha() and len(token) > 3]
    words = sorted(word for word in words if word.isascii())
    draw = np.random.default_rng(0)
    sizes = draw.lognormal(np.log([60, 35]), [0.7, 0.35], size=(chats, 2)).round().clip(3, MAX_LENGTH // 2 - 8)
    texts = [[" ".join(draw.choice(words, int(size))) for size in pair] for pair in sizes]
    return [[{"role": "user", "content": q}, {"role": "assistant", "content": a}] for q, a in texts]


def make_folder(shape: str, chats: int, folder: Path) -> None:
    """Random weights, a tokenizer with a chat template, and the chats; all that any system is given."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from tunebook.models.source import STARTERS

    model = folder / "model"
    settings = {key: value for key, value in SHAPES[shape].items() if key != "chats"}
    torch.manual_seed(0)
    config = LlamaConfig(
        **settings, max_position_embeddings=1024, bos_token_id=1, eos_token_id=2, pad_token_id=0, dtype="float32"
    )
    LlamaForCausalLM(config).save_pretrained(model)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(STARTERS / "starter_text" / name, model)
    made = make_chats(AutoTokenizer.from_pretrained(model), chats + 2 * HELD_OUT)
    parts = {"train": made[:chats], "validation": made[chats:-HELD_OUT], "test": made[-HELD_OUT:]}
    for name, part in parts.items():
        lines = (json.dumps({"messages": chat}) + "\n" for chat in part)
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")


def read_chats(folder: Path) -> list[list[dict[str, str]]]:
    lines = (folder / "train.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["messages"] for line in lines]


def load(folder: Path) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)
    return model, AutoTokenizer.from_pretrained(folder / "model")


# What is measured


@dataclass
class Meter:
    """CPU time, wall time, and memory from the first batch to the last step; tokens and losses on the way."""

    weights: int = 0
    tokens: int = 0
    learned: int = 0
    losses: list[float] = field(default_factory=list)
    last: dict[str, float] = field(default_factory=dict)

    def start(self, model: Any) -> None:
        self.weights = sum(p.numel() for p in model.parameters())
        for parameter in model.parameters():
            parameter.detach().sum()  # no page of the weights is still to be read from the disk
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)  # what is free already must not serve anybody unseen
        Path("/proc/self/clear_refs").write_text("5")  # the peak is now what is held
        self.held, self.wall, self.cpu = memory("VmRSS"), time.perf_counter(), time.process_time()

    def lap(self) -> None:
        """After each optimizer step; the last one stays."""
        self.last = {
            "cpu": time.process_time() - self.cpu,
            "wall": time.perf_counter() - self.wall,
            "memory": memory("VmHWM") - self.held,
            "steps": self.last.get("steps", 0) + 1,
            "tokens": self.tokens,
            "learned": self.learned,
        }

    def counting(self, collate: Any) -> Any:
        """A collate function that counts tokens, and those that are learned, of the batches it makes."""

        def counted(items: Any) -> Any:
            batch = collate(items)
            labels = batch["target"] if "target" in batch else batch["labels"][..., 1:]
            self.tokens += batch.get("inputs", batch)["input_ids"].numel()
            self.learned += int((labels != -100).sum())
            return batch

        return counted

    def result(self) -> dict[str, Any]:
        state = 2 * 4 * self.weights / 2**20  # AdamW's two moments of each weight
        return {**self.last, "extra": self.last["memory"] - state, "weights": self.weights, "losses": self.losses}


def memory(what: str) -> float:
    """MiB, of a line in /proc/self/status."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(what))
    return int(line.split()[1]) / 1024


# Ours


def prepared(folder: Path) -> Any:
    """The run before its training, as `tunebook train recipe=customer_chat` makes it."""
    from tunebook.config.optim import OptimConfig
    from tunebook.config.schema import (
        LoggerConfig,
        LoggerName,
        Precision,
        TrainConfig,
    )
    from tunebook.families.text_generation.options import (
        ConversationData,
        GenerationAdapt,
        GenerationEvaluation,
        GenerationModel,
        GenerationTrainer,
    )
    from tunebook.pipeline.prepare import prepare

    files: dict[str, Any] = {name: str(folder / f"{name}.jsonl") for name in ("train", "validation", "test")}
    config = TrainConfig(
        recipe={"name": "customer_chat"},
        data=ConversationData(
            **files,
            cache_dir=str(folder / "cache"),
            batch_size=BATCH,
            max_length=MAX_LENGTH,
        ),
        model=GenerationModel(name=str(folder / "model")),
        optim=OptimConfig(lr=LR, weight_decay=DECAY, schedule="constant", warmup=0.0),
        adapt=GenerationAdapt(),
        evaluation=GenerationEvaluation(),
        trainer=GenerationTrainer(
            max_epochs=1, progress=False, precision=Precision.float32, gradient_clip=CLIP, checkpoint_every=10**6
        ),
        logger=LoggerConfig(names=[LoggerName.csv]),
    )
    return prepare(config, folder / "rejects.jsonl")


def built(ready: Any) -> tuple[Any, Any]:
    recipe, config = ready.recipe, ready.config
    model = recipe.family.stages.build_model(recipe, ready.source, ready.labels, config, ready.encoded)
    return recipe.family.stages.training_data(
        recipe.family.stages.adapt(model, config.adapt), ready.encoded, ready.source, config
    )


def train_tunebook(folder: Path, work: Path, meter: Meter) -> None:
    from tunebook.training.finetuner import FineTuner
    from tunebook.training.fit import fit, planned_steps

    class Watched(FineTuner):
        def on_train_start(self) -> None:
            meter.start(self.model)

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            loss = super().training_step(batch, batch_idx)
            meter.losses.append(float(loss.detach()))
            return loss

        def on_train_batch_end(self, *_: Any) -> None:
            meter.lap()

    ready = prepared(folder)
    model, data = built(ready)
    recipe, config = ready.recipe, ready.config
    data.collate = meter.counting(data.collate)
    head, metrics = (
        recipe.family.stages.training_head(recipe, ready.labels, ready.encoded),
        recipe.metrics(ready.labels),
    )
    module = Watched(model, head, metrics, config.optim, planned_steps(config, data, 1), CLIP)
    (work / "checkpoints").mkdir()
    fit(module, data, config, work, watch=recipe.watch, watch_mode=recipe.watch_mode)


def train_full_logits(folder: Path, meter: Meter) -> dict[str, float]:
    """The same batches in a plain loop; before it, the first loss with every chat in a forward pass of its own."""
    import torch
    from torch.nn import functional as F

    from tunebook.training.parameter_groups import parameter_groups

    def summed(logits: Any, target: Any) -> Any:
        return F.cross_entropy(logits.flatten(0, -2), target.flatten(), reduction="sum", ignore_index=-100)

    ready = prepared(folder)
    model, data = built(ready)
    batches = list(data.loader("train", shuffle=True))
    with torch.no_grad():
        first = batches[0]["inputs"]["input_ids"], batches[0]["target"], batches[0]["inputs"]["position_ids"]
        chats = [(i, t) for row in zip(*first, strict=True) for i, t in single(*row)]
        alone = sum(float(summed(model(ids[None]).logits, target)) for ids, target in chats) / batches[0]["normalizer"]
    optimizer = torch.optim.AdamW(parameter_groups(model, ready.config.optim), lr=LR, fused=True)
    collate = meter.counting(lambda batch: batch)
    model.train()
    meter.start(model)
    for batch in batches:
        collate(batch)
        loss = summed(model(**batch["inputs"]).logits, batch["target"]) / batch["normalizer"]
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        meter.losses.append(float(loss.detach()))
        meter.lap()
    return {"alone": float(alone)}


def single(ids: Any, target: Any, positions: Any) -> list[tuple[Any, Any]]:
    """Ids and targets of each chat in a pack, which starts where positions start anew."""
    cuts = [*(positions == 0).nonzero()[:, 0].tolist(), len(ids)]
    return [(ids[a:b], target[a:b]) for a, b in pairwise(cuts)]


# The others


def watching(meter: Meter) -> Any:
    from transformers import TrainerCallback

    class Watch(TrainerCallback):
        def on_train_begin(self, *_: Any, model: Any = None, **__: Any) -> None:
            meter.start(model)

        def on_step_end(self, *_: Any, **__: Any) -> None:
            meter.lap()

        def on_log(self, *_: Any, logs: Any = None, **__: Any) -> None:
            if "loss" in logs:
                meter.losses.append(float(logs["loss"]))

    return Watch()


def arguments(work: Path) -> dict[str, Any]:
    """As ours; the schedule and the optimizer too."""
    return {
        "output_dir": str(work),
        "num_train_epochs": 1,
        "per_device_train_batch_size": BATCH,
        "learning_rate": LR,
        "lr_scheduler_type": "constant",
        "weight_decay": DECAY,
        "max_grad_norm": CLIP,
        "optim": "adamw_torch_fused",
        "save_strategy": "no",
        "logging_first_step": True,
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        "seed": 0,
    }


def train_hf(folder: Path, work: Path, meter: Meter, sampling: str) -> None:
    from datasets import Dataset
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    model, tokenizer = load(folder)
    encoded = tokenizer.apply_chat_template(
        read_chats(folder), return_dict=True, return_assistant_tokens_mask=True, max_length=MAX_LENGTH, truncation=True
    )
    masks = encoded.pop("assistant_masks")
    encoded["labels"] = [
        [i if learned else -100 for i, learned in zip(*row, strict=True)]
        for row in zip(encoded["input_ids"], masks, strict=True)
    ]
    collate = meter.counting(DataCollatorForSeq2Seq(tokenizer))
    given = TrainingArguments(**arguments(work), bf16=False, train_sampling_strategy=sampling)
    trainer = Trainer(model, given, collate, Dataset.from_dict(dict(encoded)), callbacks=[watching(meter)])
    trainer.train()


def train_trl(folder: Path, work: Path, meter: Meter, packed: bool, defaults: bool) -> None:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    model, tokenizer = load(folder)
    chats = read_chats(folder)
    given = arguments(work)
    if packed:  # as many chats to a step as the others have
        tokens = sum(map(len, tokenizer.apply_chat_template(chats, return_dict=False)))
        given["per_device_train_batch_size"] = max(1, round(BATCH * -(-tokens // MAX_LENGTH) / len(chats)))
    if not defaults:
        given |= {"bf16": False, "gradient_checkpointing": False}
    config = SFTConfig(**given, assistant_only_loss=True, max_length=MAX_LENGTH, packing=packed)
    dataset = Dataset.from_dict({"messages": chats})
    trainer = SFTTrainer(model, config, train_dataset=dataset, processing_class=tokenizer, callbacks=[watching(meter)])
    trainer.data_collator = meter.counting(trainer.data_collator)
    trainer.train()


# Turns and tables


def measure(system: str, folder: Path, threads: int) -> dict[str, Any]:
    """Train once, in this process."""
    import torch
    from transformers.utils import logging

    torch.set_num_threads(threads)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    meter, more = Meter(), {}
    with tempfile.TemporaryDirectory(dir=folder) as name:
        work = Path(name)
        if system == "tunebook":
            train_tunebook(folder, work, meter)
        elif system == "full_logits":
            more = train_full_logits(folder, meter)
        elif system.startswith("hf"):
            train_hf(folder, work, meter, "group_by_length" if system == "hf_grouped" else "random")
        else:
            train_trl(folder, work, meter, system == "trl_packed", system == "trl_defaults")
    return {**meter.result(), **more}


def in_own_process(system: str, folder: Path, threads: int) -> dict[str, Any]:
    environment = {
        **os.environ,
        **{"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"},
        **{"HF_DATASETS_CACHE": str(folder / "datasets"), "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"},
        "PYTHONWARNINGS": "ignore",
    }
    command = [sys.executable, __file__, "--measure", system, "--work", str(folder), "--threads", str(threads)]
    load = os.getloadavg()[0]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    told = {k: round(v, 2) for k, v in found.items() if k != "losses"}
    print(f"{folder.name}, {system}: {told}, load {load:.1f}", file=sys.stderr, flush=True)
    return found


def check_losses(ours: dict[str, Any], full: dict[str, Any]) -> float:
    """The largest difference of a step's loss from that of the full logits."""
    first = abs(ours["losses"][0] - full["alone"])
    differences = [first, *(abs(a - b) for a, b in zip(ours["losses"], full["losses"], strict=True))]
    if max(differences) > TOLERANCE:
        sys.exit(f"Our loss is not that of the full logits: it differs by {differences}.")
    return max(differences)


def compare(shape: str, given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All systems in turn, then those that run once."""
    make_folder(shape, given.chats or SHAPES[shape]["chats"], folder)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in (*PAIRED, *ONCE)}
    for turn in range(given.turns):
        start = turn % len(PAIRED)
        for name in PAIRED[start:] + PAIRED[:start]:
            runs[name].append(in_own_process(name, folder, given.threads))
    for name in ONCE:
        runs[name].append(in_own_process(name, folder, given.threads))
    learned = {run["learned"] for found in runs.values() for run in found}
    if len(learned) > 1:
        sys.exit(f"The systems did not learn from the same tokens: {learned}.")
    difference = max(check_losses(ours, runs["full_logits"][0]) for ours in runs["tunebook"])
    return {"shape": shape, "difference": difference, "runs": runs}


def table(result: dict[str, Any]) -> str:
    runs, ours = result["runs"], result["runs"]["tunebook"]
    lines = [
        "| system | CPU s | / ours | learned tokens per CPU s | tokens computed | extra memory, MiB | / ours |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name in (*PAIRED, *ONCE):
        found = runs[name]
        middle = {key: statistics.median(run[key] for run in found) for key in ("cpu", "tokens", "learned", "extra")}
        # What runs once is beside the median of our turns.
        beside = ours if len(found) == len(ours) else [median_run(ours)]
        slower, larger = (
            statistics.median(a[key] / b[key] for a, b in zip(found, beside, strict=True)) for key in ("cpu", "extra")
        )
        lines.append(
            f"| {NAMES[name]} | {middle['cpu']:.1f} | {slower:.2f} | {middle['learned'] / middle['cpu']:.0f} "
            f"| {middle['tokens']:,.0f} | {middle['extra']:,.0f} | {larger:.2f} |"
        )
    return "\n".join(lines)


def median_run(runs: list[dict[str, Any]]) -> dict[str, float]:
    return {key: statistics.median(run[key] for run in runs) for key in ("cpu", "extra")}


def title(result: dict[str, Any], given: argparse.Namespace) -> str:
    import torch

    ours = result["runs"]["tunebook"][0]
    cpu = f"CPU {'with' if torch.ops.mkldnn._is_mkldnn_bf16_supported() else 'without'} bfloat16 units"
    chats = given.chats or SHAPES[result["shape"]]["chats"]
    return (
        f"\n{result['shape']}: {ours['weights'] / 1e6:.1f} million weights, vocabulary of "
        f"{SHAPES[result['shape']]['vocab_size']:,}, {chats} chats, {ours['learned']:,} learned tokens, "
        f"{ours['steps']} steps of ours, {given.threads} thread(s) of a {cpu}, {given.turns} turns; "
        f"largest difference of a loss from the full logits' {result['difference']:.1e} nats\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--chats", type=int, help="of each shape (default: 64 of tiny, 24 of the other)")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write the figures there as JSON too")
    parser.add_argument("--work", type=Path, help="folder for weights and chats (default: a temporary one)")
    parser.add_argument("--measure", choices=(*PAIRED, *ONCE), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.measure, given.work, given.threads)))
        return
    missing = [name for name in ("trl", "accelerate", "datasets") if find_spec(name) is None]
    if missing:
        sys.exit(f"This needs {', '.join(missing)} beside Tunebook: pip install trl accelerate datasets")
    results = []
    with tempfile.TemporaryDirectory(dir=given.work) as temporary:
        for shape in given.shapes:
            results.append(compare(shape, given, Path(temporary) / shape))
            print(title(results[-1], given), table(results[-1]), sep="\n", flush=True)
            if given.out:
                given.out.write_text(json.dumps(results, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
