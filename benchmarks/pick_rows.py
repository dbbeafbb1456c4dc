"""Are the rows that `tunebook pick` picks worth more than rows drawn at random?

python benchmarks/pick_rows.py --model FOLDER [--data ../shared/data]
python benchmarks/pick_rows.py --only pneumonia [--data ../shared/data]

banking77 (77 intents): two labelled queries of each intent, then three rounds of 100 more, picked or drawn at random
from the other training queries, and macro F1 on all 3,080 test queries after each round. PneumoniaMNIST (chest X-rays,
28 pixels, seen at 64, through a MobileNetV2 with ImageNet weights): five images of each class, then three rounds of 20,
and AUROC on all 624 test images. Both begin with the same rows; five seeds. A logistic regression on the features of
the frozen backbone stands for `adapt=head`, as it is fitted in a second. Prints the means and the paired differences
with 95 % intervals (Student's t over the seeds).
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student
from sklearn.metrics import f1_score, roc_auc_score
from sklearn.preprocessing import StandardScaler

sys.path.insert(0, str(Path(__file__).parent))
from suspect_labels import DATA as BANKING77
from suspect_labels import features_of

DATA = BANKING77.parent
WEIGHTS = "weights/mobilenetv2_100_imagenet_timm_same_backbone.safetensors"
SIZE, BATCH = 64, 32
STRENGTH = 0.1


@dataclass(frozen=True)
class Task:
    """What is labelled, and how it is scored."""

    name: str
    first: int
    """Labelled rows of each class at the start."""
    each: int
    """Rows of a round."""
    metric: str
    score: Callable[[np.ndarray, np.ndarray], float]
    """Of the true classes ``[rows]`` and the probabilities ``[rows, classes]``."""
    rounds: int = 3


def macro_f1(truth: np.ndarray, probabilities: np.ndarray) -> float:
    return float(f1_score(truth, probabilities.argmax(axis=1), average="macro"))


def auroc(truth: np.ndarray, probabilities: np.ndarray) -> float:
    return float(roc_auc_score(truth, probabilities[:, 1]))


TASKS = {
    "banking77": Task("banking77", 2, 100, "macro F1", macro_f1),
    "pneumonia": Task("pneumonia", 5, 20, "AUROC", auroc),
}


def rows_of(file: Path) -> tuple[list[str], list[str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        found = list(csv.DictReader(stream))
    return [row["text"] for row in found], [row["label"] for row in found]


def fitted(features: np.ndarray, target: np.ndarray) -> tuple[Any, Any]:
    from tunebook.models.linear import fitted as regression

    scale = StandardScaler().fit(features)
    return scale, regression(scale.transform(features), target, STRENGTH)


def scores(
    task: Task, train: np.ndarray, target: np.ndarray, test: np.ndarray, truth: np.ndarray, how: str, seed: int
) -> list[float]:
    """The score before the first round and after each."""
    from tunebook.statistics.diverse import badge

    draw = np.random.default_rng(seed)
    labelled = np.concatenate(
        [draw.choice(np.flatnonzero(target == label), task.first, replace=False) for label in np.unique(target)]
    )
    found = []
    for number in range(task.rounds + 1):
        scale, model = fitted(train[labelled], target[labelled])
        found.append(task.score(truth, model.predict_proba(scale.transform(test))))
        if number == task.rounds:
            return found
        pool = np.setdiff1d(np.arange(len(train)), labelled)
        if how == "random":
            chosen = draw.choice(len(pool), task.each, replace=False)
        else:
            taken = scale.transform(train[pool])
            chosen = badge(model.predict_proba(taken).astype(np.float64), taken.astype(np.float64), task.each, seed)
        labelled = np.concatenate([labelled, pool[chosen]])
    return found


def queries(data: Path, model: str | None) -> dict[str, np.ndarray]:
    """Features and classes of banking77."""
    if model is None:
        sys.exit("banking77 needs a text encoder: --model FOLDER, or --only pneumonia.")
    (texts, names), (others, answers) = (rows_of(data / "banking77" / f"{split}.csv") for split in ("train", "test"))
    labels, target = np.unique(names, return_inverse=True)
    return {
        "train": features_of(texts, model),
        "target": target,
        "test": features_of(others, model),
        "truth": np.searchsorted(labels, answers),
    }


def radiographs(data: Path, model: str | None) -> dict[str, np.ndarray]:
    """Features and classes of PneumoniaMNIST, as `adapt=head` has them."""
    import torch

    from tunebook.config.schema import Method
    from tunebook.data.columns import Column
    from tunebook.data.reading import read_rows
    from tunebook.data.rejects import RejectLog
    from tunebook.families.image_classification.data.content import ImageContent
    from tunebook.families.image_classification.data.decoded import Decoding
    from tunebook.families.image_classification.data.sources import IMAGE_FILES
    from tunebook.families.image_classification.model.image import load_image_model, own_preprocessing
    from tunebook.families.image_classification.model.image_features import features_of as features_of_images
    from tunebook.families.image_classification.model.image_source import find_image_model
    from tunebook.families.image_classification.options import ImageModel
    from tunebook.families.image_classification.preprocessing import (
        ImageItems,
        ImagePreparation,
        square_of,
        stack_images,
    )

    config = ImageModel(name="mobilenetv2_100", weights=str(data / WEIGHTS), args={"pad_type": "same"})
    source = find_image_model(config, weights=True)
    pre = own_preprocessing(source, size=SIZE, mean=[0.5], std=[0.5])
    network, prepare = load_image_model(source, config, Method.head, 2, pre), ImagePreparation(pre)
    columns = [
        Column("image", "path", "data.image", "file", files=IMAGE_FILES),
        Column("label", "label", "data.label", "label"),
    ]
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        content = ImageContent(square_of(pre), Decoding(), Path(scratch))
        for split, answers in (("train", "target"), ("test", "truth")):
            rejects = RejectLog(Path(scratch) / "rejects.jsonl", 0)
            file = str(data / "pneumoniamnist" / "pneumoniamnist.npz")
            rows = content.inspect(read_rows([file], "data.train", columns, rejects, split=split), rejects)
            target = np.array([int(label) for label in rows.texts("label")])
            items = ImageItems.of(rows, content, target)
            starts = range(0, len(items), BATCH)
            batches = (stack_images([items[i] for i in range(at, min(at + BATCH, len(items)))]) for at in starts)
            ready = (prepare(batch) for batch in batches)
            found[split] = features_of_images(network, ready, len(items), torch.device("cpu"))
            found[answers] = target
    return found


READERS = {"banking77": queries, "pneumonia": radiographs}
FOLDERS = {"banking77": "banking77", "pneumonia": "pneumoniamnist"}


def in_words(values: np.ndarray) -> str:
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.3f} ({values.mean() - half:.3f} to {values.mean() + half:.3f})"


def compare(task: Task, found: dict[str, np.ndarray], seeds: int) -> None:
    train, target, test, truth = (found[name] for name in ("train", "target", "test", "truth"))
    made: dict[str, list[list[float]]] = {"random": [], "picked": []}
    for seed in range(seeds):
        for how, every in made.items():
            every.append(scores(task, train, target, test, truth, how, seed))
            print(f"seed {seed}, {how}: {', '.join(f'{score:.3f}' for score in every[-1])}", flush=True)
    random, picked = np.array(made["random"]), np.array(made["picked"])
    print(f"{task.name}, {task.metric}:")
    for number in range(task.rounds + 1):
        count = task.first * len(np.unique(target)) + task.each * number
        difference = in_words((picked - random)[:, number])
        print(
            f"{count} labels: random {in_words(random[:, number])}, picked {in_words(picked[:, number])}: {difference}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--model", help="folder of all-MiniLM-L6-v2, or another encoder, for banking77")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--features", type=Path, help="folder that keeps the features between calls")
    given = parser.parse_args()
    for name in given.only:
        kept = given.features / f"{name}.npz" if given.features else None
        if kept is not None and kept.is_file():
            with np.load(kept) as stored:
                found = dict(stored)
        else:
            folder = given.data / FOLDERS[name]
            if not folder.is_dir():
                sys.exit(f"There is no {folder}; give the folder of the data sets with --data.")
            found = READERS[name](given.data, given.model)
            if kept is not None:
                kept.parent.mkdir(parents=True, exist_ok=True)
                np.savez(kept, **found)
        compare(TASKS[name], found, given.seeds)


if __name__ == "__main__":
    main()
