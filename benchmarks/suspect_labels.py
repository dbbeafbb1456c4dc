"""Which labels does `evaluation.suspects` list, of labels of which some were turned on purpose?

python benchmarks/suspect_labels.py --model FOLDER [--data ../shared/data/banking77]

The 10,003 training queries of banking77 (77 intents), once with 10 % of the labels turned into another intent, drawn
with each seed, and once as they are. Prints the precision and recall of the list with 95 % intervals, and where
cleanlab is installed, whether it lists the same rows in the same order.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

DATA = Path(__file__).parents[2] / "shared" / "data" / "banking77"
SHARE = 0.1


def queries(data: Path, rows: int | None) -> tuple[list[str], list[str]]:
    with (data / "train.csv").open(encoding="utf-8", newline="") as stream:
        found = list(csv.DictReader(stream))
    if rows is not None:
        found = [found[i] for i in np.sort(np.random.default_rng(0).permutation(len(found))[:rows])]
    return [row["text"] for row in found], [row["label"] for row in found]


def features_of(texts: list[str], model: str) -> np.ndarray:
    """What `adapt=head` stores of the texts."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from tunebook.models.features import compute_features
    from tunebook.models.text_batches import TextItems, pad_batch
    from tunebook.models.tokens import tokenize

    tokenizer = AutoTokenizer.from_pretrained(model)
    tokens = tokenize(texts, tokenizer, 64)
    items = TextItems(tokens, np.zeros(len(texts), dtype=np.int64))
    order = np.argsort(tokens.lengths, kind="stable")
    parts = [order[start : start + 32] for start in range(0, len(order), 32)]
    batches = (pad_batch([items[int(i)] for i in part], tokenizer.pad_token_id) for part in parts)
    network = AutoModelForSequenceClassification.from_pretrained(model, num_labels=77)
    return compute_features(network, batches, len(texts), torch.device("cpu"))


def turned(target: np.ndarray, labels: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels of which a tenth are others, and which."""
    draw = np.random.default_rng(seed)
    wrong = draw.choice(len(target), round(SHARE * len(target)), replace=False)
    given = target.copy()
    given[wrong] = (given[wrong] + draw.integers(1, labels, len(wrong))) % labels
    return given, wrong


def in_words(hits: int, of: int) -> str:
    low, high = binomtest(hits, of).proportion_ci(method="wilson")
    return f"{hits / of:.3f} ({low:.3f} to {high:.3f}; {hits} of {of})"


def report(what: str, features: np.ndarray, given: np.ndarray, wrong: np.ndarray, labels: int) -> None:
    from tunebook.models.out_of_fold import out_of_fold
    from tunebook.statistics.suspects import find_suspects

    start = time.process_time()
    probabilities = out_of_fold(features, given, labels, seed=0)
    found = find_suspects(probabilities, given)
    seconds = time.process_time() - start
    hits = int(np.isin(found.rows, wrong).sum())
    print(f"{what}: {in_words(len(found), len(given))} listed, {seconds:.0f} s")
    if len(wrong):
        first = int(np.isin(found.rows[: len(wrong) // 2], wrong).sum())
        print(f"  precision {in_words(hits, len(found))}, recall {in_words(hits, len(wrong))}")
        print(f"  precision of the first {len(wrong) // 2}: {in_words(first, min(len(wrong) // 2, len(found)))}")
    if find_spec("cleanlab"):
        from cleanlab.filter import find_label_issues

        issues = find_label_issues(
            given, probabilities, filter_by="confident_learning", return_indices_ranked_by="normalized_margin", n_jobs=1
        )
        print(f"  cleanlab lists the same rows in the same order: {found.rows.tolist() == issues.tolist()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="folder of all-MiniLM-L6-v2, or another encoder")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with train.csv (default: %(default)s)")
    parser.add_argument("--rows", type=int, help="this many rows, drawn (default: all)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--features", type=Path, help="file that keeps the features between calls (.npy)")
    given = parser.parse_args()
    if not (given.data / "train.csv").is_file():
        sys.exit(f"There is no {given.data / 'train.csv'}; give the folder of banking77 with --data.")
    texts, names = queries(given.data, given.rows)
    labels, target = np.unique(names, return_inverse=True)
    if given.features and given.features.is_file():
        features = np.load(given.features)
    else:
        start = time.process_time()
        features = features_of(texts, given.model)
        print(f"features of {len(texts)} rows: {time.process_time() - start:.0f} s", flush=True)
        if given.features:
            np.save(given.features, features)
    for seed in range(given.seeds):
        report(f"a tenth turned, seed {seed}", features, *turned(target, len(labels), seed), len(labels))
    report("as they are", features, target, np.zeros(0, dtype=np.int64), len(labels))


if __name__ == "__main__":
    main()
