"""Whether what a small run says of itself holds together: its scores, its predictions, the order of its labels."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from tunebook.cli.predict import predict_command
from tunebook.statistics.metrics import metric_input, update_metrics
from tunebook.testing.number_agreement import numbers_again
from tunebook.testing.outcome import Failed, NotApplicable
from tunebook.testing.sample_rows import is_sliced

if TYPE_CHECKING:
    from tunebook.families.prepared import Prepared

CLOSE = 1e-4
"""Largest difference between a score and the same from probabilities of nine digits."""

Rows = Sequence[Mapping[str, str]]


def metrics_agree(prepared: Prepared[Any], run: Path, predictor: Any) -> str:
    """Compute the scores again from predictions.csv, by other code than that which wrote them where there is any."""
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))["test"]
    with (run / "predictions.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    if not rows:
        raise Failed("predictions.csv has no rows")
    watch = prepared.recipe.watch
    if watch not in metrics:
        raise Failed(f"the recipe watches {watch}, and metrics.json has {', '.join(metrics)}")
    again = prepared.recipe.family.stages.scores_again(prepared, rows, predictor)
    if again is None and "answer" in rows[0]:
        again = _written_again(prepared, rows, predictor)
    elif again is None:
        again = _labelled_again(prepared, rows) if prepared.labels else numbers_again(prepared.recipe, rows)
    compared = []
    for name, value in again.items():
        said = metrics.get(name, {}).get("value")
        if name in metrics and said is None:  # undefined on so few rows, with a reason
            continue
        if said is None or not math.isclose(said, value, rel_tol=CLOSE, abs_tol=CLOSE):
            raise Failed(f"{name} is {said} in metrics.json, and {value:.6f} computed from predictions.csv")
        compared.append(name)
    if not compared:
        raise Failed(f"none of {', '.join(metrics)} can be computed again from predictions.csv")
    others = [name for name in metrics if name not in compared]
    rest = f"; not computed again: {', '.join(others)}" if others else ""
    return f"{', '.join(compared)} of {len(rows)} rows{rest}"


def _labelled_again(prepared: Prepared[Any], rows: Rows) -> dict[str, float]:
    """Scores of a classifier: the commonest by hand, all others by the recipe's own metrics, fed from the file."""
    labels = list(prepared.labels)
    unknown = {row["prediction"] for row in rows if _several(row["prediction"], labels) is None}
    if unknown:
        raise Failed(f"predictions.csv has the answer {min(unknown)!r}, which is not a label of the training rows")
    probabilities = np.array([[float(row[f"probability_{label}"]) for label in labels] for row in rows])
    target, answers = (
        np.array([_several(row[column], labels) for row in rows], dtype=np.int64) for column in ("truth", "prediction")
    )
    one_label = prepared.data.labels is not None and "label" in prepared.encoded.rows["test"].roles
    if one_label:
        target, answers = target.argmax(axis=1), answers.argmax(axis=1)
        if not np.allclose(probabilities.sum(axis=1), 1, atol=1e-3):
            raise Failed("the probabilities of a row in predictions.csv do not add up to 1")
    metrics = prepared.recipe.metrics(labels)
    update_metrics(metrics, *(torch.from_numpy(part) for part in (probabilities, answers, target)))
    again = {name: float(value) for name, value in metrics.compute().items()}
    if one_label:
        again |= {name: by_hand(target, answers) for name, by_hand in BY_HAND.items() if name in again}
        _keep_their_promise(prepared, len(labels))
    return {name: value for name, value in again.items() if not math.isnan(value)}


def _several(written: str, labels: Sequence[str]) -> list[int] | None:
    """A label, or several with a semicolon between, as a flag for each; None where one of them is unknown."""
    if written in labels:
        return [int(label == written) for label in labels]
    named = [part.strip() for part in written.split(";") if part.strip()]
    if not set(named) <= set(labels):
        return [0] * len(labels) if written in ("", "none") else None
    return [int(label in named) for label in labels]


def _accuracy(target: Any, answers: Any) -> float:
    return float((target == answers).mean())


def _macro_f1(target: Any, answers: Any) -> float:
    """Mean F1 of the labels that are true or answered anywhere."""
    values = []
    for label in {*target.tolist(), *answers.tolist()}:
        right = int(((target == label) & (answers == label)).sum())
        values.append(2 * right / int((target == label).sum() + (answers == label).sum()))
    return sum(values) / len(values)


BY_HAND: dict[str, Callable[[Any, Any], float]] = {"accuracy": _accuracy, "macro_f1": _macro_f1}
"""What these names promise, whatever the recipe computes under them; of label numbers ``[rows]`` twice."""


def _keep_their_promise(prepared: Prepared[Any], labels: int) -> None:
    """What is called accuracy must be it on any rows: on a few, many a wrong formula gives the same number."""
    draw = np.random.default_rng(0)
    target = draw.choice(labels, 200, p=np.arange(1, labels + 1) / sum(range(labels + 1)))
    answers = np.where(draw.random(200) < 0.5, target, draw.integers(0, labels, 200))
    sure = np.eye(labels)[answers]
    for name, metric in prepared.recipe.metrics(list(prepared.labels)).items():
        if name in BY_HAND:
            metric.update(
                metric_input(metric, torch.from_numpy(sure), torch.from_numpy(answers)), torch.from_numpy(target)
            )
            value = float(metric.compute())
            if abs(value - BY_HAND[name](target, answers)) > CLOSE:
                right = BY_HAND[name](target, answers)
                raise Failed(
                    f"the recipe's metric {name} is {value:.4f} on made-up answers whose {name} is {right:.4f}"
                )


def _written_again(prepared: Prepared[Any], rows: Rows, predictor: Any) -> dict[str, float]:
    """Scores of a model that writes: counts by hand, BLEU and chrF by sacreBLEU, likelihood from the bundle."""
    options: Any = prepared.recipe.options
    answers = [row["answer"] for row in rows]
    references = [json.loads(r["reference"]) if r["reference"][:1] == "[" else [r["reference"]] for r in rows]
    streams: Any = list(zip_longest(*references))
    bleu = BLEU(lowercase=options.lowercase, tokenize=options.bleu_tokenizer, force=True)
    pairs = list(zip(answers, references, strict=True))
    again = {
        "bleu": bleu.corpus_score(answers, streams).score,
        "chrf": CHRF(lowercase=options.lowercase).corpus_score(answers, streams).score,
        "exact_match": sum(a.strip() in {r.strip() for r in refs} for a, refs in pairs) / len(rows),
        "empty": sum(not answer.strip() for answer in answers) / len(rows),
        **_likelihood(prepared, predictor),
    }
    wanted = sum(int(row["facts_required"]) for row in rows if row.get("facts_required"))
    if wanted:
        again["fact_recall"] = sum(int(row["facts_stated"]) for row in rows) / wanted
    return again


def _likelihood(prepared: Prepared[Any], predictor: Any) -> dict[str, float]:
    """Perplexity and bits per byte of the test rows, from the logits of the bundle's plain model."""
    items, total, tokens = prepared.encoded.splits["test"].items, 0.0, 0
    for number in range(len(items)):
        batch = prepared.encoded.collate([items[number]])
        with torch.no_grad():
            logits = predictor.model.eval()(**batch["inputs"]).logits[0].float()
        target = batch["target"][0]
        supervised = target >= 0
        total += float(torch.nn.functional.cross_entropy(logits[supervised], target[supervised], reduction="sum"))
        tokens += int(supervised.sum())
    said = int(items.bytes.sum())  # type: ignore[attr-defined]
    return {"perplexity": math.exp(total / tokens), "bits_per_byte": total / math.log(2) / said}


def labels_agree(prepared: Prepared[Any], run: Path, test: Any) -> str:
    """The order of the labels in training, in the bundle, in predictions.csv and in what `predict` writes."""
    labels = list(prepared.labels)
    if not labels:
        raise NotApplicable(f"the recipe is of family {prepared.recipe.family.name}, whose rows have no labels")
    orders = {
        "tunebook.json": json.loads((run / "model" / "tunebook.json").read_text(encoding="utf-8"))["labels"],
        "predictions.csv": _probabilities(run / "predictions.csv"),
    }
    config = json.loads((run / "model" / "config.json").read_text(encoding="utf-8"))
    outputs = config.get("id2label", {})
    named = config.get("label_names") or [outputs.get(str(i)) for i in range(len(outputs))]
    if len(named) == len(labels):  # an ordinal head has an output less
        orders["config.json"] = named
    answered = _answered_again(run, test)
    if answered is not None:
        orders["what `predict` writes"] = _probabilities(answered)
    for place, order in orders.items():
        if order != labels:
            raise Failed(f"training has the labels {', '.join(labels)}, and {place} {', '.join(map(str, order))}")
    if answered is not None:
        _same_answers(run / "predictions.csv", answered)
    return f"{', '.join(labels)}: the same order in training, {', '.join(orders)}"


def _probabilities(file: Path) -> list[str]:
    with file.open(newline="", encoding="utf-8") as stream:
        header = next(csv.reader(stream))
    return [name.removeprefix("probability_") for name in header if name.startswith("probability_")]


def _answered_again(run: Path, test: Any) -> Path | None:
    """The test rows through `predict`; None where they are in no file of their own."""
    output = run.parent / "answered.csv"
    if not is_sliced(test):
        return None
    predict_command([str(run), str(test), "-o", str(output), "--accelerator", "cpu", "--max-rejects", "1000"])
    return output


def _same_answers(first: Path, second: Path) -> None:
    """`predict` must answer each test row as it was answered in testing."""
    found = []
    for file in (first, second):
        with file.open(newline="", encoding="utf-8") as stream:
            found.append({(row["file"], row["line"]): row for row in csv.DictReader(stream)})
    tested, again = found
    for place, row in tested.items():
        other = again.get(place, {}).get("prediction")
        if other != row["prediction"]:
            raise Failed(
                f"{':'.join(place)} is {row['prediction']!r} in predictions.csv, and `predict` answers {other!r}"
            )
