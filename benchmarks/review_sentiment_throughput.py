"""Training cost of review_sentiment's batches beside Hugging Face's Trainer: same model, same rows, one thread.

python benchmarks/review_sentiment_throughput.py --model MODEL_FOLDER [--data ../shared/data/womens_clothing]

Each training runs in a process of its own, on one thread; what counts is the CPU time (user and system) from
the first training step to the end of the last epoch, with validation and a checkpoint after each epoch on
both sides. The systems take turns, and each figure is the median of the turns' ratios.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

DATA = Path(__file__).parents[2] / "shared" / "data" / "womens_clothing"
SYSTEMS = ("tunebook", "hf_default", "hf_grouped")
BATCH, LR, WARMUP, DECAY, CLIP, MAX_LENGTH = 32, 5e-5, 0.1, 0.01, 1.0, 512
VALIDATION_ROWS = 32


class PaddingMeter:
    """A collate function that counts real and padded tokens of the training batches."""

    def __init__(self, collate: Any) -> None:
        self.collate = collate
        self.real = self.padded = 0

    def __call__(self, items: Any) -> Any:
        batch = self.collate(items)
        mask = batch["inputs"]["attention_mask"] if "inputs" in batch else batch["attention_mask"]
        self.real += int(mask.sum())
        self.padded += mask.numel()
        return batch

    @property
    def efficiency(self) -> float:
        return self.real / self.padded


def read_rows(data: Path, label: str, rows: int) -> dict[str, tuple[list[str], np.ndarray]]:
    """The first texts and label numbers that a seeded shuffle of the training file gives, and some to validate on."""
    with (data / "train.csv").open(encoding="utf-8", newline="") as stream:
        everything = list(csv.DictReader(stream))
    _, targets = np.unique([row[label] for row in everything], return_inverse=True)
    order = np.random.default_rng(0).permutation(len(everything))
    parts = {"train": order[:rows], "validation": order[rows : rows + VALIDATION_ROWS]}
    return {name: ([everything[i]["text"] for i in part], targets[part]) for name, part in parts.items()}


def label_count(rows: dict[str, Any]) -> int:
    return 1 + max(int(targets.max()) for _, targets in rows.values())


def load(model: str, rows: dict[str, Any]) -> tuple[Any, Any]:
    """The same model and tokenizer for both sides, with the same fresh classification layer."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.manual_seed(0)
    network = AutoModelForSequenceClassification.from_pretrained(model, num_labels=label_count(rows))
    return network, AutoTokenizer.from_pretrained(model)


def train_tunebook(model: str, rows: dict[str, Any], epochs: int, folder: Path) -> dict[str, float]:
    from torchmetrics import MetricCollection
    from torchmetrics.classification import MulticlassF1Score

    from tunebook.config.optim import OptimConfig
    from tunebook.config.schema import LoggerConfig, LoggerName, ModelConfig, TrainConfig, TrainerConfig
    from tunebook.data.module import Examples, FineTuneData
    from tunebook.models.text_batches import TextItems, pad_batch
    from tunebook.models.tokens import tokenize
    from tunebook.training.finetuner import FineTuner
    from tunebook.training.fit import fit, planned_steps
    from tunebook.training.softmax_head import SoftmaxHead

    network, tokenizer = load(model, rows)
    splits = {}
    for name, (texts, labels) in rows.items():
        tokens = tokenize(texts, tokenizer, MAX_LENGTH)
        splits[name] = Examples(TextItems(tokens, labels), tokens.lengths)
    meter = PaddingMeter(lambda items: pad_batch(items, tokenizer.pad_token_id))
    data = FineTuneData(splits, meter, batch_size=BATCH)
    steps = data.steps_per_epoch() * epochs
    config = TrainConfig(
        recipe={"name": "review_sentiment"},
        model=ModelConfig(name=model),
        optim=OptimConfig(lr=LR, warmup=WARMUP, weight_decay=DECAY),
        trainer=TrainerConfig(max_epochs=epochs, gradient_clip=CLIP, progress=False, checkpoint_every=steps),
        logger=LoggerConfig(names=[LoggerName.csv]),
    )
    metrics = MetricCollection({"macro_f1": MulticlassF1Score(label_count(rows), average="macro")})
    module = FineTuner(
        network, SoftmaxHead(label_count(rows)), metrics, config.optim, planned_steps(config, data, 1), CLIP
    )
    start = time.process_time()
    fitted = fit(module, data, config, folder, watch="macro_f1", watch_mode="max")
    return {"cpu": time.process_time() - start, "steps": fitted.steps, "efficiency": meter.efficiency}


def train_hf(model: str, rows: dict[str, Any], epochs: int, folder: Path, sampling: str) -> dict[str, float]:
    from datasets import Dataset
    from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

    network, tokenizer = load(model, rows)
    encoded = {
        name: Dataset.from_dict({**tokenizer(texts, truncation=True, max_length=MAX_LENGTH), "labels": labels})
        for name, (texts, labels) in rows.items()
    }
    meter = PaddingMeter(DataCollatorWithPadding(tokenizer))
    arguments = TrainingArguments(
        str(folder),
        num_train_epochs=epochs,
        per_device_train_batch_size=BATCH,
        per_device_eval_batch_size=BATCH,
        learning_rate=LR,
        lr_scheduler_type="linear",
        warmup_steps=WARMUP,  # below 1: a share of all steps
        weight_decay=DECAY,
        max_grad_norm=CLIP,
        optim="adamw_torch_fused",
        train_sampling_strategy=sampling,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=2,
        logging_strategy="epoch",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        seed=0,
    )
    trainer = Trainer(network, arguments, meter, encoded["train"], encoded["validation"])
    start = time.process_time()
    steps = trainer.train().global_step
    return {"cpu": time.process_time() - start, "steps": steps, "efficiency": meter.efficiency}


def measure(given: argparse.Namespace) -> dict[str, float]:
    """Train once, in this process."""
    import torch

    torch.set_num_threads(1)
    rows, epochs = read_rows(given.data, given.label, given.rows[0]), given.epochs[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.measure == "tunebook":
            return train_tunebook(given.model, rows, epochs, folder)
        sampling = "group_by_length" if given.measure == "hf_grouped" else "random"
        return train_hf(given.model, rows, epochs, folder, sampling)


def in_own_process(system: str, given: argparse.Namespace, rows: int, epochs: int) -> dict[str, float]:
    """Measure in a fresh process with one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    what = ["--measure", system, "--rows", str(rows), "--epochs", str(epochs)]
    where = ["--model", given.model, "--data", str(given.data), "--label", given.label]
    command = [sys.executable, __file__, *what, *where]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def compare(given: argparse.Namespace, rows: int, epochs: int) -> dict[str, Any]:
    """All systems in turn: medians of CPU time and padding efficiency, and of the ratios to our CPU time."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in SYSTEMS}
    for turn in range(given.turns):
        for name in SYSTEMS[turn % 3 :] + SYSTEMS[: turn % 3]:
            found[name].append(in_own_process(name, given, rows, epochs))
            print(f"{rows} rows, turn {turn + 1}, {name}: {found[name][-1]}", file=sys.stderr, flush=True)
    medians = {n: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for n, runs in found.items()}
    pairs = {n: zip(runs, found["tunebook"], strict=True) for n, runs in found.items()}
    ratios = {n: statistics.median(other["cpu"] / ours["cpu"] for other, ours in both) for n, both in pairs.items()}
    return {"rows": rows, "epochs": epochs, **medians, "ratios": ratios}


def table(results: list[dict[str, Any]]) -> str:
    lines = [
        "| rows | epochs | padding efficiency: ours / HF default / HF grouped | CPU s: ours / HF default / HF grouped "
        "| HF default / ours | HF grouped / ours |",
        "|---:|---:|---|---|---:|---:|",
    ]
    for r in results:
        padding = " / ".join(f"{r[n]['efficiency']:.2f}" for n in SYSTEMS)
        seconds = " / ".join(f"{r[n]['cpu']:.0f}" for n in SYSTEMS)
        ratios = r["ratios"]
        lines.append(
            f"| {r['rows']} | {r['epochs']} | {padding} | {seconds} | {ratios['hf_default']:.2f} "
            f"| {ratios['hf_grouped']:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="folder of all-MiniLM-L6-v2, or another encoder")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with train.csv (default: %(default)s)")
    parser.add_argument("--label", default="recommended", help="its label column (default: %(default)s)")
    parser.add_argument("--rows", type=int, nargs="+", default=[256, 1000])
    parser.add_argument("--epochs", type=int, nargs="+", default=[2, 1], help="one for each number of rows")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write the figures there as JSON too")
    parser.add_argument("--measure", choices=SYSTEMS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if not (given.data / "train.csv").is_file():
        sys.exit(f"There is no {given.data / 'train.csv'}; give the folder of the reviews with --data.")
    if given.measure:
        print(json.dumps(measure(given)))
        return
    results = [compare(given, rows, epochs) for rows, epochs in zip(given.rows, given.epochs, strict=True)]
    if given.out:
        given.out.write_text(json.dumps(results, indent=2), encoding="utf-8")
    print(table(results))


if __name__ == "__main__":
    main()
