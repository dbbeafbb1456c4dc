"""What does each rung of the ladder buy on real rows of each kind?

python benchmarks/compare_ladders.py --model FOLDER [--data ../shared/data] [--work runs/ladders] [--only clothing]
    [--figures docs/figures]

`tunebook compare` on Women's E-Commerce Clothing Reviews (stars, with the sentence encoder in FOLDER), PneumoniaMNIST
(MobileNetV2 with ImageNet weights), E2E briefs and Schema-Guided Dialogue (the starter that ships): 600 training and
500 test rows of each (of pictures all 524 validation and 624 test rows; 200 test briefs with all their copies), two
seeds and two draws, with the learning curve. Finished runs are not run again; the reports lie in the work folder.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

DATA = Path(__file__).parents[2] / "shared" / "data"
WEIGHTS = "weights/mobilenetv2_100_imagenet_timm_same_backbone.safetensors"
TRAIN, VALIDATION, TEST = 600, 200, 500


def first_rows(file: Path, rows: int, work: Path) -> Path:
    """The first rows of a CSV or JSON Lines file."""
    made = work / f"{file.parent.name}_{file.stem}_{rows}{file.suffix}"
    if file.suffix == ".jsonl":
        with file.open(encoding="utf-8") as stream:
            made.write_text("".join(line for line, _ in zip(stream, range(rows), strict=False)), encoding="utf-8")
        return made
    with file.open(encoding="utf-8", newline="") as stream, made.open("w", encoding="utf-8", newline="") as out:
        reader, writer = csv.reader(stream), csv.writer(out)
        writer.writerows(row for row, _ in zip(reader, range(rows + 1), strict=False))
    return made


def some_briefs(file: Path, briefs: int, work: Path) -> Path:
    """The rows of some distinct briefs: of test briefs all copies, of others the first."""
    made = work / f"{file.parent.name}_{file.stem}_{briefs}.csv"
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    known = list(dict.fromkeys(row["mr"] for row in rows))
    # Equal briefs are not neighbours everywhere; a brief belongs to one file with all its copies.
    chosen = set(np.random.default_rng(0).permutation(known)[:briefs].tolist())
    kept = [row for row in rows if row["mr"] in chosen]
    if file.stem != "test":
        kept = list({row["mr"]: row for row in reversed(kept)}.values())[::-1]
    with made.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, ["mr", "ref"])
        writer.writeheader()
        writer.writerows(kept)
    return made


def clothing(options: argparse.Namespace) -> list[str]:
    """Stars of reviews."""
    folder = options.data / "womens_clothing"
    parts = _given(folder, ".csv", ("train", "valid", "test"), first_rows, options.work)
    return ["recipe=review_sentiment", *parts, "data.leaks=drop", f"model.name={options.model}", "data.max_length=128"]


def pneumonia(options: argparse.Namespace) -> list[str]:
    """Chest X-rays."""
    file = options.data / "pneumoniamnist" / "pneumoniamnist.npz"
    model = ["model.name=mobilenetv2_100", "model.args={pad_type: same}", f"model.weights={options.data / WEIGHTS}"]
    shown = ["recipe.size=64", "recipe.mean=[0.5]", "recipe.std=[0.5]"]
    return [
        "recipe=medical_diagnosis",
        f"data.train={file}",
        "data.leaks=allow",
        f"data.max_rows={TRAIN}",
        *model,
        *shown,
    ]


def briefs(options: argparse.Namespace) -> list[str]:
    """Restaurants described by people."""
    parts = _given(options.data / "e2e", ".csv", ("train_full", "valid", "test"), some_briefs, options.work, tests=200)
    shape = [
        "recipe.brief=mr",
        "recipe.target_column=ref",
        "recipe.max_new_tokens=64",
        "evaluation.max_generations=200",
    ]
    return ["recipe=marketing_copy", *parts, *shape, "data.leaks=drop", "trainer.max_epochs=3"]


def dialogues(options: argparse.Namespace) -> list[str]:
    """Customers and agents of services."""
    parts = _given(options.data / "sgd", ".jsonl", ("train", "valid", "test"), first_rows, options.work)
    shape = ["recipe.max_new_tokens=48", "evaluation.max_generations=200", "trainer.max_epochs=2"]
    return ["recipe=customer_chat", *parts, *shape, "data.leaks=drop"]


def _given(
    folder: Path,
    ending: str,
    names: Sequence[str],
    cut: Callable[[Path, int, Path], Path],
    work: Path,
    tests: int = TEST,
) -> list[str]:
    sizes = {"train": (names[0], TRAIN), "validation": (names[1], VALIDATION), "test": (names[2], tests)}
    return [f"data.{split}={cut(folder / f'{name}{ending}', rows, work)}" for split, (name, rows) in sizes.items()]


METRICS = {"dialogues": (None, "perplexity")}  # the second is of the same runs
LADDERS = {"clothing": clothing, "pneumonia": pneumonia, "briefs": briefs, "dialogues": dialogues}


def compare(name: str, metric: str | None, options: argparse.Namespace) -> Path:
    """Run one ladder, or what is missing of it; returns its folder."""
    folder: Path = options.work / name
    words = ["compare", *LADDERS[name](options), f"compare.seeds={options.seeds}", f"compare.draws={options.draws}"]
    words += [f"run_dir={folder}", "logger=csv", *([f"compare.metric={metric}"] if metric else [])]
    began = time.monotonic()
    code = subprocess.run([sys.executable, "-m", "tunebook", *words], check=False).returncode
    if code:
        raise SystemExit(f"{name}: exit code {code}")
    print(f"{name}: {(time.monotonic() - began) / 60:.1f} minutes\n")
    return folder


def save_figures(report: Path, name: str, folder: Path) -> None:
    """Save the pictures of a report as files of their own."""
    page = report.read_text(encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    for picture in re.findall(r"<svg .*?</svg>", page, re.DOTALL):
        shown = re.search(r'aria-labelledby="([\w-]+)-title"', picture)
        assert shown is not None
        (folder / f"compare_{name}_{shown[1].replace('-', '_')}.svg").write_text(picture + "\n", encoding="utf-8")


def told(found: dict[str, Any]) -> str:
    """A ladder as a table, its verdict and its other metrics."""
    lines = [
        f"{found['metric']}, n = {found['test_rows']}",
        "| rung | score | runs | time | memory | trained | saved |",
    ]
    for rung in found["rungs"]:
        score, cost, runs = rung["score"], rung["cost"], rung["by_seed"]
        spread = f"{min(runs):.3f} to {max(runs):.3f}" if len(runs) > 1 else ""
        amounts = [f"{cost['seconds']:.0f} s", f"{cost['peak_memory']:.0f} MiB", f"{cost['trained_parameters'] or 0:,}"]
        amounts.append(f"{cost['saved_bytes'] / 2**20:.1f} MiB")
        value = f"{score['value']:.3f} ({score['low']:.3f} to {score['high']:.3f})"
        lines.append(f"| {' | '.join([rung['name'], value, spread, *amounts])} |")
    for step in found["curve_runs"]:
        lines.append(f"{step['rows']} rows: {', '.join(f'{score:.3f}' for score in step['scores'])}")
    lines += [f"{left['name']}: {left['reason']}" for left in found["without_result"]]
    return "\n".join([*lines, *found["verdict"]])


def main() -> None:
    """Run the ladders and print what each rung came to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="folder of a sentence encoder, for the reviews")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--work", type=Path, default=Path("runs/ladders"))
    parser.add_argument("--only", nargs="*", choices=list(LADDERS), default=list(LADDERS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--figures", type=Path, help="folder for the pictures of the reports")
    options = parser.parse_args()
    if "clothing" in options.only and options.model is None:
        parser.error("--model is needed for the reviews")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    options.data, options.work = options.data.resolve(), options.work.resolve()
    options.work.mkdir(parents=True, exist_ok=True)
    for name in options.only:
        for metric in METRICS.get(name, (None,)):
            folder = compare(name, metric, options)
            print(f"{name}: {told(json.loads((folder / 'compare.json').read_text(encoding='utf-8')))}\n")
            if options.figures:
                save_figures(folder / "report.html", f"{name}_{metric}" if metric else name, options.figures)


if __name__ == "__main__":
    main()
