"""Are the rows that `tunebook pick` picks worth more than rows drawn at random?

python benchmarks/pick_rows.py --model FOLDER [--data ../shared/data/banking77]

banking77 (77 intents): two labelled queries of each intent, then three rounds of 100 more, picked or drawn at random
from the other training queries, and macro F1 on all 3,080 test queries after each round. Both begin with the same rows;
five seeds. A logistic regression on the features of the frozen backbone stands for `adapt=head`, as it is fitted in a
second. Prints the means and the paired differences with 95 % intervals (Student's t over the seeds).
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student
from sklearn.metrics import f1_score
from sklearn.preprocessing import StandardScaler

sys.path.insert(0, str(Path(__file__).parent))
from suspect_labels import DATA, features_of

FIRST, ROUND, ROUNDS, STRENGTH = 2, 100, 3, 0.1


def rows_of(file: Path) -> tuple[list[str], list[str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        found = list(csv.DictReader(stream))
    return [row["text"] for row in found], [row["label"] for row in found]


def fitted(features: np.ndarray, target: np.ndarray) -> tuple[Any, Any]:
    from tunebook.models.linear import fitted as regression

    scale = StandardScaler().fit(features)
    return scale, regression(scale.transform(features), target, STRENGTH)


def scores(
    train: np.ndarray, target: np.ndarray, test: np.ndarray, truth: np.ndarray, how: str, seed: int
) -> list[float]:
    """Macro F1 before the first round and after each."""
    from tunebook.statistics.diverse import badge

    draw = np.random.default_rng(seed)
    labelled = np.concatenate(
        [draw.choice(np.flatnonzero(target == label), FIRST, replace=False) for label in np.unique(target)]
    )
    found = []
    for number in range(ROUNDS + 1):
        scale, model = fitted(train[labelled], target[labelled])
        found.append(f1_score(truth, model.predict(scale.transform(test)), average="macro"))
        if number == ROUNDS:
            return found
        pool = np.setdiff1d(np.arange(len(train)), labelled)
        if how == "random":
            chosen = draw.choice(len(pool), ROUND, replace=False)
        else:
            taken = scale.transform(train[pool])
            chosen = badge(model.predict_proba(taken).astype(np.float64), taken.astype(np.float64), ROUND, seed)
        labelled = np.concatenate([labelled, pool[chosen]])
    return found


def in_words(values: np.ndarray) -> str:
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.3f} ({values.mean() - half:.3f} to {values.mean() + half:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="folder of all-MiniLM-L6-v2, or another encoder")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of banking77 (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--features", type=Path, help="file that keeps the features between calls (.npz)")
    given = parser.parse_args()
    if not (given.data / "train.csv").is_file():
        sys.exit(f"There is no {given.data / 'train.csv'}; give the folder of banking77 with --data.")
    (texts, names), (others, answers) = (rows_of(given.data / f"{split}.csv") for split in ("train", "test"))
    if given.features and given.features.is_file():
        stored = np.load(given.features)
        train, test = stored["train"], stored["test"]
    else:
        train, test = features_of(texts, given.model), features_of(others, given.model)
        if given.features:
            np.savez(given.features, train=train, test=test)
    labels, target = np.unique(names, return_inverse=True)
    truth = np.searchsorted(labels, answers)
    found: dict[str, list[list[float]]] = {"random": [], "picked": []}
    for seed in range(given.seeds):
        for how, made in found.items():
            made.append(scores(train, target, test, truth, how, seed))
            print(f"seed {seed}, {how}: {', '.join(f'{score:.3f}' for score in made[-1])}", flush=True)
    random, picked = np.array(found["random"]), np.array(found["picked"])
    for number in range(ROUNDS + 1):
        count = FIRST * len(labels) + ROUND * number
        difference = in_words((picked - random)[:, number])
        print(
            f"{count} labels: random {in_words(random[:, number])}, picked {in_words(picked[:, number])}: {difference}"
        )


if __name__ == "__main__":
    main()
