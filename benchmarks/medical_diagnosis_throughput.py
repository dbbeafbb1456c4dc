"""What images cost beside a plain PyTorch loop: getting batches ready, whole runs, and a frozen backbone.

python benchmarks/medical_diagnosis_throughput.py [--only batches runs head] [--images 400] [--turns 3]

The plain loop is a Dataset that opens, converts and resizes each file with Pillow and transforms it with torchvision,
and a DataLoader; it changes images by the same ranges as the recipe. Synthetic X-rays: files of 64 pixels, and of
1024 pixels (enlarged, with noise) as PNG and as JPEG of quality 90. CPU time on one thread; the sides take turns in
one process, and each figure is the median of the turns' ratios.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import dataclass, replace
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is there

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from tunebook.config.optim import OptimConfig
from tunebook.config.schema import (
    AdaptConfig,
    Leaks,
    LoggerConfig,
    LoggerName,
    Method,
    TrainConfig,
    TrainerConfig,
)
from tunebook.data.load_and_validate import load_and_validate
from tunebook.data.rejects import RejectLog
from tunebook.families.image_classification.batches import pixel_data
from tunebook.families.image_classification.options import ImageData, ImageModel
from tunebook.families.image_classification.preprocessing import moved
from tunebook.families.prepared import Prepared
from tunebook.models.source import STARTERS
from tunebook.pipeline.prepare import make_recipe, prepare
from tunebook.recipes.medical_diagnosis.synthetic import write
from tunebook.training.finetuner import FineTuner
from tunebook.training.fit import fit, planned_steps

LABELS = ("finding", "no_finding")
BATCH, EPOCHS, HEAD_EPOCHS = 32, 10, 20
LARGE = 1024
Turn = dict[str, float]  # CPU seconds by side


def cpu(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def medians(turns: list[Turn]) -> Turn:
    return {side: statistics.median(turn[side] for turn in turns) for side in turns[0]}


def said(what: str, turn: Turn) -> None:
    told = ", ".join(f"{side} {seconds:.2f}" for side, seconds in turn.items())
    print(f"{what}: {told} CPU s", file=sys.stderr, flush=True)


# The files


@dataclass(frozen=True)
class Files:
    """A table of pictures for each split."""

    name: str
    folder: Path

    def rows(self, split: str) -> list[tuple[str, int]]:
        """Path and label number of each picture."""
        with (self.folder / f"{split}.csv").open(encoding="utf-8", newline="") as stream:
            return [(str(self.folder / r["path"]), LABELS.index(r["label"])) for r in csv.DictReader(stream)]


def small_files(folder: Path, patients: int) -> Files:
    write(folder, "xray", patients, size=64, difficulty=0.3, prevalence=0.5)
    return Files("64 px PNG", folder)


def taken(source: Files, folder: Path, name: str, images: int, change: Callable[[Path, Path], Path]) -> Files:
    """Rows with as many of each label, a tenth as many held out, each file changed into another one."""
    (folder / "pictures").mkdir(parents=True)
    for split, count in {"train": images, "validation": images // 10, "test": images // 10}.items():
        rows = source.rows(split)
        each = [[row for row in rows if row[1] == label] for label in range(2)]
        chosen = [row for pair in zip(*each, strict=False) for row in pair][:count]
        assert len(chosen) == count, f"{split} has too few rows"
        with (folder / f"{split}.csv").open("w", encoding="utf-8", newline="") as stream:
            table = csv.writer(stream)
            table.writerow(["path", "label"])
            for path, label in chosen:
                made = change(Path(path), folder / "pictures" / Path(path).name)
                table.writerow([f"pictures/{made.name}", LABELS[label]])
    return Files(name, folder)


def same(path: Path, target: Path) -> Path:
    return Path(shutil.copy(path, target))


def enlarged(ending: str) -> Callable[[Path, Path], Path]:
    """Makes a picture as large as detectors give it, with some noise: smooth ones would be packed too well."""

    def change(path: Path, target: Path) -> Path:
        grey = np.asarray(Image.open(path).resize((LARGE, LARGE), Image.Resampling.BICUBIC), np.float32)
        noisy = grey + np.random.default_rng(len(path.name)).normal(0, 3, grey.shape)
        made = target.with_suffix(ending)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(made, quality=90)
        return made

    return change


def three_kinds(drawn: Files, folder: Path, images: int) -> list[Files]:
    """So many training pictures as small PNG, large PNG and large JPEG."""
    kinds = {"64 px PNG": same, "1024 px PNG": enlarged(".png"), "1024 px JPEG": enlarged(".jpg")}
    return [taken(drawn, folder / name, name, images, change) for name, change in kinds.items()]


# The plain loop


class PlainImages(Dataset[Any]):
    """Files as most people feed them."""

    def __init__(self, rows: list[tuple[str, int]], size: int, training: bool) -> None:
        affine = v2.RandomAffine(10, (0.05, 0.05), (1 / 1.1, 1.1), interpolation=v2.InterpolationMode.BILINEAR)
        changes = [affine, v2.ColorJitter(brightness=0.1, contrast=0.1)] if training else []
        made = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True)]
        # On Pillow's images where they are small, on tensors where they are not: whatever is faster.
        steps = [*changes, *made] if size < 128 else [*made, *changes]
        self.transform = v2.Compose([*steps, v2.Normalize((0.5,) * 3, (0.5,) * 3)])
        self.rows, self.size = rows, size

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        path, label = self.rows[row]
        with Image.open(path) as image:
            square = image.convert("RGB").resize((self.size, self.size), Image.Resampling.BICUBIC)
        return self.transform(square), label


def plain_loader(files: Files, split: str, size: int) -> DataLoader[Any]:
    training = split == "train"
    return DataLoader(PlainImages(files.rows(split), size, training), batch_size=BATCH, shuffle=training)


def plain_run(files: Files, size: int, model: torch.nn.Module, folder: Path, epochs: int) -> None:
    """AdamW, clipping, and after each epoch validation and a checkpoint."""
    train, validation = (plain_loader(files, split, size) for split in ("train", "validation"))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    for epoch in range(epochs):
        model.train()
        for images, labels in train:
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        model.eval()
        with torch.no_grad():
            for images, labels in validation:
                F.cross_entropy(model(images), labels)
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, folder / f"{epoch % 2}.pt")


# Ours


def configured(files: Files, size: int, model: ImageModel, method: Method, cache: Path) -> TrainConfig:
    """A run with everything as it is by default."""
    splits: dict[str, Any] = {split: str(files.folder / f"{split}.csv") for split in ("train", "validation", "test")}
    data = ImageData(**splits, cache_dir=str(cache), batch_size=BATCH, leaks=Leaks.allow, near_duplicate=0.993)
    return TrainConfig(
        recipe={"name": "medical_diagnosis", "size": size, "mean": [0.5], "std": [0.5]},
        data=data,
        model=model,
        adapt=AdaptConfig(method=method),
        optim=OptimConfig(lr=1e-3),
        trainer=TrainerConfig(max_epochs=EPOCHS, progress=False),
        logger=LoggerConfig(names=[LoggerName.csv]),
    )


def trained(ready: Prepared, model: torch.nn.Module, folder: Path) -> None:
    """What `tunebook train` does between the data and the scores."""
    config, recipe = ready.config, ready.recipe
    network, data = recipe.family.stages.training_data(
        recipe.family.stages.adapt(model, config.adapt), ready.encoded, ready.source, config
    )
    head = recipe.family.stages.training_head(recipe, ready.labels, ready.encoded)
    steps = planned_steps(config, data, 1)
    module = FineTuner(network, head, recipe.metrics(ready.labels), config.optim, steps, 1.0)
    with redirect_stderr(StringIO()):  # a line for each validation
        fit(module, data, config, folder, watch=recipe.watch, watch_mode=recipe.watch_mode)


def gate(config: TrainConfig, folder: Path) -> Callable[[], Any]:
    """What comes before the first batch: reads and checks the rows, decodes the pictures, looks for copies."""
    recipe = make_recipe(config)
    content = recipe.family.stages.content(
        recipe, recipe.family.stages.find_model(recipe, config.model, weights=False), config
    )
    return lambda: load_and_validate(
        config.data,
        recipe.columns(config.data),
        samples=None,
        invalid=recipe.invalid,
        rejects=RejectLog(folder / "rejects.jsonl", 0),
        seed=0,
        content=content,
    )


def built(ready: Prepared) -> torch.nn.Module:
    return ready.recipe.family.stages.build_model(ready.recipe, ready.source, ready.labels, ready.config, ready.encoded)


# The three questions


def batches(files: Files, size: int, turns: int, work: Path) -> str:
    """Only getting batches ready: each side's epoch of training batches.

    Our first epoch counts the checks of all rows: a fifth more files are decoded than the plain loop reads.
    """
    config = configured(files, size, ImageModel(name="starter_image"), Method.full, work / "cache")
    ready = prepare(config, work / "rejects.jsonl")
    data, plain = pixel_data(ready.encoded, config), plain_loader(files, "train", size)
    loader, finish = data.loader("train", shuffle=True), ready.encoded.tokenizer

    def ours() -> None:
        for batch in loader:
            finish(batch, True)

    def theirs() -> None:
        for _ in plain:
            pass

    found: list[Turn] = []
    for turn in range(turns + 1):
        cold = work / f"cold_{turn}"
        fresh = replace(config, data=replace(config.data, cache_dir=str(cold)))
        checks = cpu(gate(fresh, work))
        warm = statistics.mean(cpu(ours) for _ in range(3))  # some are so short that the clock is too coarse
        found.append({"plain": cpu(theirs), "cold": checks + warm, "warm": warm})
        shutil.rmtree(cold)
        said(f"batches, {files.name} at {size}, turn {turn}", found[-1])
    found = found[1:]  # the first warms up the libraries
    middle, count = medians(found), len(files.rows("train"))
    first = statistics.median(t["plain"] / t["cold"] for t in found)
    later = statistics.median(t["plain"] / t["warm"] for t in found)
    ten = statistics.median(EPOCHS * t["plain"] / (t["cold"] + (EPOCHS - 1) * t["warm"]) for t in found)
    speeds = " | ".join(f"{count / middle[side]:.0f}" for side in ("plain", "cold", "warm"))
    return f"| {files.name} at {size} | {speeds} | {first:.2f} | {later:.1f} | {ten:.1f} |"


def runs(files: Files, size: int, model: str, turns: int, work: Path) -> str:
    """Whole runs of ten epochs, from files to the best weights; ours checks the rows first, with nothing cached."""
    found: list[Turn] = []
    method = Method.full if (STARTERS / model).is_dir() else Method.scratch
    for turn in range(turns):
        folder = work / f"run_{turn}"
        (folder / "checkpoints").mkdir(parents=True)
        config = configured(files, size, ImageModel(name=model), method, folder / "cache")
        torch.manual_seed(turn)
        start = time.process_time()
        ready = prepare(config, folder / "rejects.jsonl")
        trained(ready, built(ready), folder)
        ours = time.process_time() - start
        plain = cpu(partial(plain_run, files, size, built(ready), folder, EPOCHS))
        found.append({"plain": plain, "ours": ours})
        shutil.rmtree(folder)
        said(f"runs, {model}, {files.name} at {size}, turn {turn + 1}", found[-1])
    middle = medians(found)
    ratio = statistics.median(turn["plain"] / turn["ours"] for turn in found)
    return f"| {model}, {files.name} at {size} | {middle['plain']:.0f} | {middle['ours']:.0f} | {ratio:.2f} |"


def head(files: Files, size: int, model: str, turns: int, work: Path) -> str:
    """Features and twenty epochs on them over one forward pass over the same rows in the same batches."""
    weights = work / "weights.safetensors"
    save_file(timm.create_model(model, num_classes=0).state_dict(), weights)
    found: list[Turn] = []
    for turn in range(turns):
        folder = work / f"head_{turn}"
        (folder / "checkpoints").mkdir(parents=True)
        given = ImageModel(name=model, weights=str(weights))
        config = configured(files, size, given, Method.head, folder / "cache")
        config = replace(config, trainer=replace(config.trainer, max_epochs=HEAD_EPOCHS))
        ready = prepare(config, folder / "rejects.jsonl")
        network, other = built(ready), built(ready).eval()
        found.append({"head": cpu(partial(trained, ready, network, folder))})
        found[-1]["forward"] = cpu(partial(forward_pass, ready, other))
        shutil.rmtree(folder)
        said(f"head, {model} at {size}, turn {turn + 1}", found[-1])
    middle, count = medians(found), sum(len(files.rows(split)) for split in ("train", "validation"))
    ratio = statistics.median(turn["head"] / turn["forward"] for turn in found)
    return f"| {model} at {size} | {count} | {middle['head']:.1f} | {middle['forward']:.1f} | {ratio:.2f} |"


@torch.no_grad()
def forward_pass(ready: Prepared, model: torch.nn.Module) -> None:
    data = pixel_data(ready.encoded, ready.config)
    for split in ("train", "validation"):
        for batch in data.loader(split, shuffle=False):
            model(**ready.encoded.tokenizer(moved(batch, "cpu"))["inputs"])


def report(title: str, header: str, rows: list[str]) -> None:
    columns = header.count("|") - 1
    print(f"\n{title}\n\n{header}\n|---|{'---:|' * (columns - 1)}", *rows, sep="\n", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=["batches", "runs", "head"], default=["batches", "runs", "head"])
    parser.add_argument("--images", type=int, default=400, help="training images; whole runs take half")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--work", type=Path, help="folder for the files (default: a temporary one)")
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(dir=given.work) as temporary:
        measure(given, Path(temporary))


def measure(given: argparse.Namespace, work: Path) -> None:
    drawn = small_files(work / "drawn", max(60, given.images))
    if "batches" in given.only:
        files = three_kinds(drawn, folder_in(work, "files"), given.images)
        cases = zip(files, (64, 224, 224), strict=True)
        report(
            "Training batches, images per CPU second",
            "| files and size | plain loop | ours, first epoch with all checks | ours, later epochs "
            "| first / plain | later / plain | ten epochs / plain |",
            [batches(each, size, given.turns, folder_in(work, f"batches_{i}")) for i, (each, size) in enumerate(cases)],
        )
    if "runs" in given.only:
        small, _, jpeg = three_kinds(drawn, folder_in(work, "half_the_files"), given.images // 2)
        wanted = [(small, 64, "starter_image"), (jpeg, 64, "starter_image"), (jpeg, 96, "mobilenetv2_100")]
        report(
            f"Runs of {EPOCHS} epochs",
            "| model, files and size | plain loop, CPU s | ours, CPU s | plain / ours |",
            [runs(*case, given.turns, folder_in(work, f"runs_{i}")) for i, case in enumerate(wanted)],
        )
    if "head" in given.only:
        models = [("mobilenetv2_100", 96), ("resnet18", 96), ("mobilenetv2_100", 224)]
        report(
            f"adapt=head, {HEAD_EPOCHS} epochs",
            "| model and size | rows | head run, CPU s | forward pass, CPU s | ratio |",
            [head(drawn, size, name, given.turns, folder_in(work, f"{name}_{size}")) for name, size in models],
        )


def folder_in(work: Path, name: str) -> Path:
    folder = work / name
    folder.mkdir()
    return folder


if __name__ == "__main__":
    main()
