"""What the pre-training of the text starter is worth: the starter beside the same architecture from scratch.

python benchmarks/starter_text.py --work FOLDER [--data ../shared/data]

Sample reviews with every adaptation, clothing reviews, and the texts of E2E and SGD as language models; three seeds
each. Runs what is not yet in the work folder, then prints the tables of docs/benchmarks.md. The language models need
the recipe pretrain_text: pip install -e pretraining.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

DATA = Path(__file__).parents[2] / "shared" / "data"
SEEDS = (0, 1, 2)
ADAPTATIONS = ("full", "lora", "head", "scratch")
HELD_OUT = 3  # pre-training left out the clothing reviews whose number this divides
RESAMPLES = 2000


def tunebook(name: str, work: Path, *overrides: str) -> Path:
    """One `tunebook train` in a process of its own on one thread; done before is not done again."""
    folder = work / name
    if not (folder / "metrics.json").is_file():
        command = [sys.executable, "-m", "tunebook", "train", *overrides, "trainer=cpu", "trainer.threads=1"]
        command += ["trainer.progress=false", "logger=csv", f"run_dir='{folder}'"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TUNEBOOK_CACHE": str(work / "cache")}
        if subprocess.run(command, env=environment).returncode:
            sys.exit(f"This failed: {' '.join(command)}")
    return folder


def sample_runs(work: Path) -> dict[str, list[Path]]:
    """The sample reviews as they ship, with no setting but the adaptation."""
    runs = {
        method: [
            tunebook(f"sample_{method}_{seed}", work, "recipe=review_sentiment", f"adapt={method}", f"seed={seed}")
            for seed in SEEDS
        ]
        for method in ADAPTATIONS
    }
    return {**runs, "none": [tunebook("sample_none", work, "recipe=review_sentiment", "adapt=none")]}


def clothing_runs(data: Path, work: Path) -> dict[str, list[Path]]:
    """A thousand clothing reviews that pre-training has not read; all test reviews."""
    source, train, validation = data / "womens_clothing", work / "clothing.csv", work / "clothing_validation.csv"
    for file, original, rows in ((train, "train.csv", None), (validation, "valid.csv", 500)):
        if not file.is_file():
            with (source / original).open(encoding="utf-8", newline="") as stream:
                header, *found = csv.reader(stream)
            kept = [r for r in found if rows or int(r[0]) % HELD_OUT == 0]
            chosen = np.sort(np.random.default_rng(0).permutation(len(kept))[:rows])
            with file.open("w", encoding="utf-8", newline="") as stream:
                csv.writer(stream).writerows([header, *(kept[i] for i in chosen)])
    settings = [
        "recipe=review_sentiment",
        f"data.train='{train}'",
        f"data.validation='{validation}'",
        f"data.test='{source / 'test.csv'}'",
        "data.leaks=drop",
        "data.max_rows=1000",
        "trainer.max_epochs=5",
        "evaluation.zero_shot=false",
    ]
    return {
        method: [
            tunebook(f"clothing_{method}_{seed}", work, *settings, f"adapt={method}", f"seed={seed}") for seed in SEEDS
        ]
        for method in ("full", "scratch")
    }


def e2e_texts(file: Path) -> list[str]:
    """A restaurant's facts, and a sentence on it."""
    with file.open(encoding="utf-8", newline="") as stream:
        return [f"{row['mr']}<|end|>{row['ref']}" for row in csv.DictReader(stream)]


def sgd_texts(file: Path) -> list[str]:
    """Dialogues in the starter's chat form."""
    texts = []
    with file.open(encoding="utf-8") as stream:
        for line in stream:
            turns = json.loads(line)["messages"]
            texts.append(
                "".join(f"<|{turn['role']}|>{turn['content']}<|end|>" for turn in turns).removesuffix("<|end|>")
            )
    return texts


# Data set: files of the splits, how many texts of each are taken, and how they are read.
LANGUAGE: dict[str, tuple[dict[str, str], tuple[int, int, int], Callable[[Path], list[str]]]] = {
    "e2e": ({"train": "train_full.csv", "validation": "valid.csv", "test": "test.csv"}, (2000, 300, 1500), e2e_texts),
    "sgd": ({"train": "train.jsonl", "validation": "valid.jsonl", "test": "test.jsonl"}, (300, 50, 200), sgd_texts),
}


def language_runs(name: str, data: Path, work: Path) -> dict[str, list[Path]]:
    """Next-token loss after three epochs on a part of the training texts."""
    files, counts, read = LANGUAGE[name]
    paths = {}
    for (split, file), count in zip(files.items(), counts, strict=True):
        paths[split] = work / f"{name}_{split}.jsonl"
        if not paths[split].is_file():
            texts = read(data / name / file)
            chosen = islice(np.random.default_rng(0).permutation(len(texts)), count)
            paths[split].write_text("".join(json.dumps({"text": texts[i]}) + "\n" for i in chosen), encoding="utf-8")
    settings = [
        "recipe=pretrain_text",
        *(f"data.{split}='{path}'" for split, path in paths.items()),
        "data.leaks=allow",  # E2E gives one brief many references
        "recipe.block=256",
        "trainer.max_epochs=3",
        "trainer.validate_every=1.0",
        "optim.lr=1e-3",
    ]
    return {
        method: [
            tunebook(f"{name}_{method}_{seed}", work, *settings, f"adapt={method}", f"seed={seed}") for seed in SEEDS
        ]
        for method in ("full", "scratch")
    }


def answers(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Truth and answers of a run's test rows, `[rows]`."""
    with (folder / "predictions.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return np.array([int(r["truth"]) for r in rows]), np.array([int(r["prediction"]) for r in rows])


def macro_f1(table: np.ndarray) -> float:
    """Mean F1 of the labels that occur, of a confusion matrix."""
    size = table.sum(0) + table.sum(1)
    return float((2 * table.diagonal()[size > 0] / size[size > 0]).mean())


def kappa(table: np.ndarray) -> float:
    """Quadratic weighted kappa of a confusion matrix."""
    rows, columns = np.indices(table.shape)
    weights = (rows - columns) ** 2
    expected = np.outer(table.sum(1), table.sum(0)) / table.sum()
    wrong = (weights * expected).sum()
    return float(1 - (weights * table).sum() / wrong) if wrong else 0.0


def confusions(runs: Sequence[tuple[np.ndarray, np.ndarray]], chosen: np.ndarray) -> list[np.ndarray]:
    """A confusion matrix of each seed on the chosen rows; stars 1 to 5."""
    return [np.bincount(5 * (y[chosen] - 1) + a[chosen] - 1, minlength=25).reshape(5, 5) for y, a in runs]


def intervals(systems: dict[str, list[Path]], metric: Callable[[np.ndarray], float]) -> dict[str, Any]:
    """By system: mean over seeds, its 95 % interval over test rows, the seeds' spread, and the lead over scratch."""
    read = {name: [answers(folder) for folder in folders] for name, folders in systems.items()}
    rows = len(next(iter(read.values()))[0][0])
    draw = np.random.default_rng(0)
    read["majority"] = [(read["scratch"][0][0], np.full(rows, 5))]
    everything = np.arange(rows)
    draws = [draw.integers(0, rows, rows) for _ in range(RESAMPLES)]

    def mean(name: str, chosen: np.ndarray) -> float:
        return float(np.mean([metric(t) for t in confusions(read[name], chosen)]))

    sampled = {name: np.array([mean(name, chosen) for chosen in draws]) for name in read}
    told = {}
    for name in read:
        seeds = [metric(t) for t in confusions(read[name], everything)]
        low, high = np.percentile(sampled[name], [2.5, 97.5])
        lead = np.percentile(sampled[name] - sampled["scratch"], [2.5, 97.5])
        told[name] = (mean(name, everything), low, high, min(seeds), max(seeds), *lead)
    return told


def print_stars(title: str, systems: dict[str, list[Path]]) -> None:
    f1, qwk = intervals(systems, macro_f1), intervals(systems, kappa)
    print(f"\n{title}\n\n| | macro F1 | seeds | lead over scratch | quadratic kappa | seeds | lead over scratch |")
    print("|---|---|---|---|---|---|---|")
    for name in f1:
        cells = []
        for value, low, high, least, most, lead_low, lead_high in (f1[name], qwk[name]):
            lead = "" if name == "scratch" else f"{lead_low:+.3f} to {lead_high:+.3f}"
            cells += [f"{value:.3f} ({low:.3f} to {high:.3f})", f"{least:.3f} to {most:.3f}", lead]
        print(f"| {name} | {' | '.join(cells)} |")


def print_language(name: str, systems: dict[str, list[Path]]) -> None:
    print(f"\n{name}\n\n| | test loss, nats a token | seeds | perplexity | n blocks |\n|---|---|---|---|---|")
    for method, folders in systems.items():
        scores = [json.loads((f / "metrics.json").read_text(encoding="utf-8"))["loss"] for f in folders]
        value, low, high = (float(np.mean([s[key] for s in scores])) for key in ("value", "low", "high"))
        spread = f"{min(s['value'] for s in scores):.3f} to {max(s['value'] for s in scores):.3f}"
        cells = f"{value:.3f} ({low:.3f} to {high:.3f}) | {spread} | {np.exp(value):.2f} | {scores[0]['n']}"
        print(f"| {method} | {cells} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the public data sets")
    parser.add_argument("--only", choices=["sample", "clothing", "e2e", "sgd"], nargs="*")
    arguments = parser.parse_args()
    only = arguments.only or ["sample", "clothing", "e2e", "sgd"]
    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    if "sample" in only:
        print_stars("Sample reviews", sample_runs(work))
    if "clothing" in only:
        print_stars("Clothing reviews", clothing_runs(arguments.data.resolve(), work))
    for name in ("e2e", "sgd"):
        if name in only:
            print_language(name, language_runs(name, arguments.data.resolve(), work))


if __name__ == "__main__":
    main()
