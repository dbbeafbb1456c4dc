"""What the pre-training of the image starter is worth: the starter beside the same network from scratch.

python benchmarks/starter_image.py [--data ../shared/data] [--only breastmnist xray smear]

BreastMNIST with its official splits, and synthetic X-rays and smears split by patient; three seeds each. The training
loop is FineTuner's, on pictures of 64 pixels; the learning rate of each system is the better of two on validation.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from sklearn.metrics import roc_auc_score
from torch.nn import functional as F
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAUROC

from tunebook import FineTuneData, FineTuner, SoftmaxHead
from tunebook.config.optim import OptimConfig
from tunebook.config.schema import LoggerConfig, LoggerName, TrainConfig, TrainerConfig
from tunebook.data.module import Examples
from tunebook.models.source import STARTERS
from tunebook.recipes.medical_diagnosis.synthetic import pictures
from tunebook.training.fit import fit
from tunebook.training.seeding import seed_of, seed_torch

DATA = Path(__file__).parents[2] / "shared" / "data"
STARTER = STARTERS / "starter_image"
SIZE, EPOCHS, BATCH = 64, 12, 32
SEEDS, RATES = (0, 1, 2), (1e-3, 3e-3)
PATIENTS, DIFFICULTY = 300, 0.3

Split = tuple[torch.Tensor, torch.Tensor, np.ndarray]  # pixels [rows, 3, size, size], labels [rows], patients [rows]


class PictureHead(SoftmaxHead):
    """Softmax over a timm network."""

    def forward(self, model: Any, batch: Any) -> torch.Tensor:
        return model(batch["inputs"])  # type: ignore[no-any-return]


def normal(pixels: torch.Tensor) -> torch.Tensor:
    """Grey or colour `[rows, 1 or 3, size, size]` of 0 to 1 as the starter takes it."""
    return ((pixels - 0.5) / 0.5).expand(-1, 3, -1, -1).contiguous()


def breastmnist(data: Path) -> dict[str, Split]:
    """The official splits; each picture is taken for a patient of its own, as the file names none."""
    file = np.load(data / "breastmnist" / "breastmnist.npz")
    made = {}
    for split, name in (("train", "train"), ("validation", "val"), ("test", "test")):
        grey = torch.from_numpy(file[f"{name}_images"]).float()[:, None] / 255
        labels = torch.from_numpy(file[f"{name}_labels"].ravel().astype(np.int64))
        large = F.interpolate(grey, size=(SIZE, SIZE), mode="bilinear", antialias=True)
        made[split] = (normal(large), labels, np.arange(len(labels)))
    return made


def synthetic(kind: str) -> dict[str, Split]:
    """Pictures with and without a finding, split by patient 60 / 15 / 25."""
    drawn = list(pictures(kind, PATIENTS, size=SIZE, difficulty=DIFFICULTY, seed=0))
    patients = np.array([p.patient for p in drawn])
    pixels = torch.from_numpy(np.stack([p.pixels for p in drawn])).float() / 255
    pixels = pixels[:, None] if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)
    labels = torch.tensor([int(bool(p.findings)) for p in drawn])
    names = np.unique(patients)
    place = dict(zip(np.random.default_rng(0).permutation(names), np.arange(len(names)) / len(names), strict=True))
    at = np.array([place[p] for p in patients])
    parts = {"train": at < 0.6, "validation": (at >= 0.6) & (at < 0.75), "test": at >= 0.75}
    return {s: (normal(pixels[m]), labels[m], patients[m]) for s, m in parts.items()}


class Items:
    """Rows for the loader."""

    def __init__(self, split: Split) -> None:
        self.split = split

    def __len__(self) -> int:
        return len(self.split[1])

    def __getitem__(self, row: Any) -> tuple[torch.Tensor, torch.Tensor, int]:
        return self.split[0][row], self.split[1][row], int(row)


def stack(items: Any) -> dict[str, Any]:
    """A batch."""
    pixels, labels, rows = zip(*items, strict=True)
    return {"inputs": torch.stack(pixels), "target": torch.stack(labels), "row": torch.tensor(rows)}


def tuned(splits: dict[str, Split], method: str, seed: int, lr: float) -> tuple[float, np.ndarray]:
    """Train; best validation AUROC and the test scores `[rows]` of the weights that had it."""
    seed_torch(seed_of(seed, 0))
    if method == "scratch":
        architecture = json.loads((STARTER / "config.json").read_text(encoding="utf-8"))["architecture"]
        model = timm.create_model(architecture, num_classes=2)
    else:
        model = timm.create_model(f"local-dir:{STARTER}", pretrained=True, num_classes=2)
    if method == "head":
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        for parameter in model.get_classifier().parameters():
            parameter.requires_grad_(True)
    data = FineTuneData(
        {n: Examples(Items(s), np.ones(len(s[1]), dtype=np.int64)) for n, s in splits.items()},  # type: ignore[arg-type]
        stack,
        batch_size=BATCH,
        seed=seed,
    )
    trainer = TrainerConfig(max_epochs=EPOCHS, threads=1, progress=False)
    logger = LoggerConfig(names=[LoggerName.csv])
    config = replace(TrainConfig(recipe={}), seed=seed, trainer=trainer, logger=logger)
    module = FineTuner(
        model,
        PictureHead(2),
        MetricCollection({"auroc": MulticlassAUROC(2)}),
        OptimConfig(lr=lr),
        EPOCHS * data.steps_per_epoch(),
        gradient_clip=1.0,
    )
    with tempfile.TemporaryDirectory() as folder:
        fitted = fit(module, data, config, Path(folder), watch="auroc", watch_mode="max")
    model.eval()
    with torch.no_grad():
        scores = model(splits["test"][0]).softmax(1)[:, 1].numpy()
    return fitted.best or 0.0, scores


def resampled(patients: np.ndarray, resamples: int = 2000) -> Iterator[np.ndarray]:
    """Rows of patients drawn with replacement."""
    rows = [np.flatnonzero(patients == p) for p in np.unique(patients)]
    draw = np.random.default_rng(0)
    for _ in range(resamples):
        yield np.concatenate([rows[i] for i in draw.integers(0, len(rows), len(rows))])


def table(name: str, splits: dict[str, Split]) -> None:
    """All systems on one data set: AUROC, mean over seeds, with intervals over patients."""
    truth, patients = splits["test"][1].numpy(), splits["test"][2]
    scores = {}
    for method in ("full", "head", "scratch"):
        tried = {
            lr: [tuned(splits, method, seed, lr * (3 if method == "head" else 1)) for seed in SEEDS] for lr in RATES
        }
        best = max(tried, key=lambda lr: np.mean([v for v, _ in tried[lr]]))
        scores[method] = [s for _, s in tried[best]]
        print(f"  {name} {method}: learning rate {best * (3 if method == 'head' else 1):g}", flush=True)

    def mean(method: str, rows: np.ndarray) -> float:
        return float(np.mean([roc_auc_score(truth[rows], s[rows]) for s in scores[method]]))

    draws = [rows for rows in resampled(patients) if 0 < truth[rows].mean() < 1]
    sampled = {m: np.array([mean(m, rows) for rows in draws]) for m in scores}
    counts = ", ".join(f"{len(s[1])} {n}" for n, s in splits.items())
    print(f"\n{name} ({counts})\n\n| | AUROC | seeds | lead over scratch |\n|---|---|---|---|")
    everything = np.arange(len(truth))
    for method in scores:
        seeds = [roc_auc_score(truth, s) for s in scores[method]]
        low, high = np.percentile(sampled[method], [2.5, 97.5])
        lead = np.percentile(sampled[method] - sampled["scratch"], [2.5, 97.5])
        told = "" if method == "scratch" else f"{lead[0]:+.3f} to {lead[1]:+.3f}"
        value = f"{mean(method, everything):.3f} ({low:.3f} to {high:.3f})"
        print(f"| {method} | {value} | {min(seeds):.3f} to {max(seeds):.3f} | {told} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the public data sets")
    parser.add_argument("--only", choices=["breastmnist", "xray", "smear"], nargs="*")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.only or ["xray", "smear", "breastmnist"]:
        table(name, breastmnist(arguments.data) if name == "breastmnist" else synthetic(name))


if __name__ == "__main__":
    main()
