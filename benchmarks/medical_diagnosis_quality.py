"""How good is each adaptation on real medical images, beside the figures published for them?

python benchmarks/medical_diagnosis_quality.py [--data ../shared/data] [--work runs/medical] [--only pneumonia breast]

PneumoniaMNIST and BreastMNIST (MedMNIST v2, 28 pixels) with their official splits as they are, three seeds each,
through `tunebook train`. ResNet-18 from scratch beside the published ResNet-18 (28); MobileNetV2 with ImageNet
weights in full, its head alone, and from scratch. A system's AUROC is the mean over the seeds, its interval from
resampled test images with all seeds kept together; systems are compared pairwise on the same images. Finished runs
are not run again.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tunebook.families.image_classification.metrics.ranking_compare import paired_ranking_difference
from tunebook.statistics.findings import FindingPredictions
from tunebook.statistics.ranking_scores import mean_ranking_scores

DATA = Path(__file__).parents[2] / "shared" / "data"
SEEDS = (0, 1, 2)
WEIGHTS = "weights/mobilenetv2_100_imagenet_timm_same_backbone.safetensors"
# MedMNIST v2, Yang et al. 2023, table 3: ResNet-18 at 28 pixels, from scratch: AUC and accuracy.
PUBLISHED = {"pneumonia": (0.944, 0.854), "breast": (0.901, 0.863)}


@dataclass(frozen=True)
class System:
    """One way to train, as overrides of `tunebook train`."""

    name: str
    overrides: tuple[str, ...]


def systems(dataset: str, data: Path) -> list[System]:
    """The systems of one data set."""
    epochs = 12 if dataset == "pneumonia" else 30
    size = 64 if dataset == "pneumonia" else 96
    mobile = ("model.name=mobilenetv2_100", "model.args={pad_type: same}", f"recipe.size={size}")
    tuned = (*mobile, f"model.weights={data / WEIGHTS}", "recipe.mean=[0.5]", "recipe.std=[0.5]")
    return [
        System(
            "ResNet-18, scratch, 28 px",
            ("model=resnet18", "adapt=scratch", "recipe.size=28", "optim.lr=1e-3", f"trainer.max_epochs={epochs}"),
        ),
        System("MobileNetV2, full", (*tuned, "adapt=full", f"trainer.max_epochs={epochs // 2}")),
        System("MobileNetV2, head", (*tuned, "adapt=head")),
        System("MobileNetV2, scratch", (*mobile, "adapt=scratch", f"trainer.max_epochs={epochs // 2}")),
    ]


def train(system: System, dataset: str, seed: int, data: Path, work: Path) -> Path:
    """The folder of a finished run."""
    folder = work / f"{dataset}_{system.name.replace(', ', '_').replace(' ', '')}_{seed}"
    if (folder / "report.html").is_file():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    rows = data / f"{dataset}mnist" / f"{dataset}mnist.npz"
    words = ["train", "recipe=medical_diagnosis", f"data.train={rows}", "data.leaks=allow", f"seed={seed}"]
    words += ["recipe.negative='1'"] if dataset == "breast" else []
    words += [*system.overrides, f"run_dir={folder}", "trainer.progress=false"]
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "tunebook", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    (folder / "seconds.json").write_text(json.dumps(time.monotonic() - began))
    return folder


def stacked(runs: Sequence[Path], finding: str) -> tuple[FindingPredictions, np.ndarray]:
    """The seeds of one system side by side, and the accuracy of each."""
    rows = [list(csv.DictReader((run / "predictions.csv").open(encoding="utf-8"))) for run in runs]
    truth = np.array([int(row["truth"] == finding) for row in rows[0]])
    believed = np.array([[float(row[f"probability_{finding}"]) for row in each] for each in rows]).T
    right = np.array([np.mean([row["truth"] == row["prediction"] for row in each]) for each in rows])
    first = rows[0]
    return (
        FindingPredictions(
            findings=tuple(f"seed {seed}" for seed in range(len(runs))),
            target=np.repeat(truth[:, None], len(runs), axis=1),
            probabilities=believed,
            files=[row["file"] for row in first],
            lines=[int(row["line"]) for row in first],
            images=[row["image"] for row in first],
        ),
        right,
    )


def main() -> None:
    """Run what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--work", type=Path, default=Path("runs/medical"))
    parser.add_argument("--only", nargs="*", default=["breast", "pneumonia"])
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    options.work.mkdir(parents=True, exist_ok=True)
    for dataset in options.only:
        finding = "0" if dataset == "breast" else "1"
        auc, accuracy = PUBLISHED[dataset]
        print(f"\n{dataset}: published ResNet-18 (28) AUC {auc}, accuracy {accuracy}")
        made: dict[str, FindingPredictions] = {}
        for system in systems(dataset, options.data.resolve()):
            runs = [train(system, dataset, seed, options.data.resolve(), options.work) for seed in SEEDS]
            made[system.name], right = stacked(runs, finding)
            score = mean_ranking_scores(made[system.name])[0]
            seconds = np.median([json.loads((run / "seconds.json").read_text()) for run in runs])
            each = [mean_ranking_scores(_one(made[system.name], i), resamples=10)[0].value for i in range(len(runs))]
            print(
                f"{system.name:28} AUROC {score.value:.3f} ({score.low:.3f}-{score.high:.3f}), seeds "
                f"{min(each):.3f}-{max(each):.3f}; accuracy {right.mean():.3f} ({right.min():.3f}-{right.max():.3f}); "
                f"{seconds:.0f} s a run",
                flush=True,
            )
        for better, other in (("full", "scratch"), ("full", "head"), ("head", "scratch")):
            a, b = made[f"MobileNetV2, {better}"], made[f"MobileNetV2, {other}"]
            found = paired_ranking_difference(a, b)
            said = "significant" if found.distinguishable else "not significant"
            print(f"MobileNetV2 {better} - {other}: {found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f}), {said}")


def _one(found: FindingPredictions, column: int) -> FindingPredictions:
    return FindingPredictions(
        findings=found.findings[column : column + 1],
        target=found.target[:, column : column + 1],
        probabilities=found.probabilities[:, column : column + 1],
        files=found.files,
        lines=found.lines,
        images=found.images,
    )


if __name__ == "__main__":
    main()
