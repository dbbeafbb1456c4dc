"""What twenty epochs of `adapt=head` cost, in forward passes over the same rows.

python benchmarks/head_cost.py --model MODEL_FOLDER [--data ../shared/data/womens_clothing]

Both sides are measured in processes of their own, on one thread, in turn. The run is all that follows the
reading and tokenising of the rows: the features, twenty epochs of training with validation and checkpoints.
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

DATA = Path(__file__).parents[2] / "shared" / "data" / "womens_clothing"
EPOCHS = 20


def write_rows(data: Path, rows: int, folder: Path) -> dict[str, Any]:
    """Files of `rows` training rows, a tenth as many validation rows and a few test rows."""
    with (data / "train.csv").open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        chosen = [
            [row["text"], row["recommended"]] for row, _ in zip(reader, range(rows * 11 // 10 + 32), strict=False)
        ]
    parts = {
        "train": chosen[:rows],
        "validation": chosen[rows : rows * 11 // 10],
        "test": chosen[rows * 11 // 10 :],
    }
    for name, part in parts.items():
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([["text", "label"], *part])
    return {name: str(folder / f"{name}.csv") for name in parts}


def prepared(model: str, data: Path, rows: int, folder: Path) -> Any:
    """The rows of a run, checked and tokenised."""
    from tunebook.config.optim import OptimConfig
    from tunebook.config.schema import (
        AdaptConfig,
        Leaks,
        LoggerConfig,
        LoggerName,
        Method,
        ModelConfig,
        TrainConfig,
        TrainerConfig,
    )
    from tunebook.families.text_classification.options import TextData, TextEvaluation
    from tunebook.pipeline.prepare import prepare

    files = write_rows(data, rows, folder)
    config = TrainConfig(
        recipe={"name": "review_sentiment"},
        data=TextData(**files, cache_dir=str(folder / "cache"), leaks=Leaks.allow),
        model=ModelConfig(name=model),
        adapt=AdaptConfig(method=Method.head),
        evaluation=TextEvaluation(),
        optim=OptimConfig(lr=2e-3, weight_decay=0.0),
        trainer=TrainerConfig(max_epochs=EPOCHS, progress=False),
        logger=LoggerConfig(names=[LoggerName.csv]),
    )
    return prepare(config, folder / "rejects.jsonl")


def head_run(ready: Any, model: Any, folder: Path) -> float:
    from tunebook.training.finetuner import FineTuner
    from tunebook.training.fit import fit, planned_steps

    config, recipe = ready.config, ready.recipe
    (folder / "run" / "checkpoints").mkdir(parents=True)
    start = time.process_time()
    trained, data = recipe.family.stages.training_data(
        recipe.family.stages.adapt(model, config.adapt), ready.encoded, ready.source, config
    )
    head, metrics = recipe.head(ready.labels), recipe.metrics(ready.labels)
    module = FineTuner(trained, head, metrics, config.optim, planned_steps(config, data, 1), 1.0)
    fit(module, data, config, folder / "run", watch=recipe.watch, watch_mode=recipe.watch_mode)
    return time.process_time() - start


def forward_pass(ready: Any, model: Any) -> float:
    import torch

    from tunebook.models.text_batches import token_data

    data = token_data(ready.encoded, ready.config)
    model.eval()
    start = time.process_time()
    with torch.no_grad():
        for split in ("train", "validation"):
            for batch in data.loader(split, shuffle=False):
                model(**batch["inputs"])
    return time.process_time() - start


def measure(what: str, model: str, data: Path, rows: int) -> float:
    """CPU seconds of one side, in this process."""
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ready = prepared(model, data, rows, folder)
        network = ready.recipe.family.stages.build_model(
            ready.recipe, ready.source, ready.labels, ready.config, ready.encoded
        )
        return head_run(ready, network, folder) if what == "head" else forward_pass(ready, network)


def in_own_process(what: str, model: str, data: Path, rows: int) -> float:
    command = [sys.executable, __file__, "--measure", what, "--model", model, "--data", str(data)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(
        [*command, "--rows", str(rows)], env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    seconds: float = json.loads(done.stdout.splitlines()[-1])
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="folder of all-MiniLM-L6-v2, or another encoder")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with train.csv (default: %(default)s)")
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 4000])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--measure", choices=["head", "forward"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if not (given.data / "train.csv").is_file():
        sys.exit(f"There is no {given.data / 'train.csv'}; give the folder of the reviews with --data.")
    if given.measure:
        print(json.dumps(measure(given.measure, given.model, given.data, given.rows[0])))
        return
    print("| rows | head run, CPU s | forward pass, CPU s | ratio |\n|---:|---:|---:|---:|", flush=True)
    for rows in given.rows:
        turns = [
            [in_own_process(what, given.model, given.data, rows) for what in ("head", "forward")]
            for _ in range(given.turns)
        ]
        head, forward = (statistics.median(side) for side in zip(*turns, strict=True))
        ratio = statistics.median(h / f for h, f in turns)
        print(f"| {rows} | {head:.1f} | {forward:.1f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
