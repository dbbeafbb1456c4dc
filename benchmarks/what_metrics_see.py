"""What do BLEU, chrF and ROUGE see of a text, and what do they not see?

python benchmarks/what_metrics_see.py [--data ../shared/data] [--figure docs/figures/bleu_or_rouge.svg]

One human text of each E2E test brief that has several is taken for the answer, the others are its references. Then
the answer is corrupted in one way at a time: cut, repeated, shuffled, given another restaurant's name ... Each metric
is reported over all briefs, with its 95 % interval (briefs are resampled), and relative to the untouched text.
"""

from __future__ import annotations

import argparse
import csv
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tunebook.families.text_generation.metrics.answers import GeneratedAnswers
from tunebook.families.text_generation.metrics.measures import score_answers
from tunebook.statistics.intervals import Score

DATA = Path(__file__).parents[2] / "shared" / "data"
METRICS = ("bleu", "chrf", "rouge_1", "rouge_2", "rouge_l")
TITLES = {"bleu": "BLEU", "chrf": "chrF", "rouge_1": "ROUGE-1", "rouge_2": "ROUGE-2", "rouge_l": "ROUGE-L"}
AREAS = {"riverside": "city centre", "river": "city centre", "city centre": "riverside", "city center": "riverside"}


def read_briefs(path: Path) -> dict[str, list[str]]:
    """Brief -> its texts, of briefs with at least three different ones."""
    found: dict[str, list[str]] = {}
    with path.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            found.setdefault(row["mr"], []).append(" ".join(row["ref"].split()))
    return {brief: list(dict.fromkeys(texts)) for brief, texts in found.items() if len(set(texts)) >= 3}


def name_of(brief: str) -> str:
    """The restaurant that a brief is about."""
    found = re.search(r"name\[(.*?)\]", brief)
    assert found is not None
    return found[1]


def corrupted(briefs: dict[str, list[str]]) -> dict[str, list[str]]:
    """Way of spoiling -> an answer to each brief."""
    random = np.random.default_rng(0)
    names = [name_of(brief) for brief in briefs]
    strangers = {name: next(n for n in random.permutation(names) if n != name) for name in dict.fromkeys(names)}
    texts = [each[0] for each in briefs.values()]
    area = re.compile("|".join(AREAS), re.IGNORECASE)

    def each(change: Callable[[str], str]) -> list[str]:
        return [change(text) for text in texts]

    return {
        "as a person wrote it": texts,
        "without capitals and marks": each(lambda text: re.sub(r"[^\w\s]", "", text).lower()),
        "sentences in reverse order": each(lambda text: " ".join(re.split(r"(?<=[.!?])\s+", text)[::-1])),
        "words shuffled": each(lambda text: " ".join(random.permutation(text.split()).tolist())),
        "its first half": each(lambda text: " ".join(text.split()[: (len(text.split()) + 1) // 2])),
        "said twice": each(lambda text: f"{text} {text}"),
        "another restaurant's name": [
            text.replace(name, str(strangers[name])) for text, name in zip(texts, names, strict=True)
        ],
        "moved to another area": each(lambda text: area.sub(lambda m: AREAS[m[0].lower()], text)),
        "the same text for every brief": [texts[0]] * len(texts),
    }


def scored(briefs: dict[str, list[str]], outputs: list[str]) -> dict[str, Score]:
    """The metrics of answers to all briefs."""
    answers = GeneratedAnswers(
        prompts=list(briefs),
        references=[texts[1:] for texts in briefs.values()],
        outputs=outputs,
        files=["test.csv"] * len(outputs),
        lines=list(range(len(outputs))),
    )
    return {score.name: score for score in score_answers(answers) if score.name in METRICS}


def draw(table: dict[str, dict[str, Score]], path: Path) -> None:
    """Each metric as a share of what the untouched text gets."""
    from matplotlib.figure import Figure

    whole, *ways = table
    figure = Figure(figsize=(8.6, 5.2), layout="constrained")
    axes = figure.add_subplot()
    height = 0.8 / len(METRICS)
    for i, metric in enumerate(METRICS):
        shares = [100 * table[way][metric].value / table[whole][metric].value for way in ways]
        places = np.arange(len(ways)) + (i - (len(METRICS) - 1) / 2) * height
        axes.barh(places, shares, height=0.9 * height, label=TITLES[metric], color=f"C{i}")
    axes.set_yticks(range(len(ways)), ways)
    axes.invert_yaxis()
    axes.axvline(100, color="0.5", linewidth=1)
    axes.set_xlabel("% of what the text gets as a person wrote it")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=len(METRICS))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Print the table, and draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--figure", type=Path, help="SVG to write")
    options = parser.parse_args()
    briefs = read_briefs(options.data / "e2e" / "test.csv")
    outputs = corrupted(briefs)
    table = {way: scored(briefs, texts) for way, texts in outputs.items()}
    print(f"{len(briefs)} briefs, {sum(len(texts) - 1 for texts in briefs.values())} references")
    whole = outputs["as a person wrote it"]
    for way, scores in table.items():
        changed = sum(a != b for a, b in zip(outputs[way], whole, strict=True))
        told = "; ".join(f"{name} {s.value:.4g} ({s.low:.4g} to {s.high:.4g})" for name, s in scores.items())
        print(f"{way} ({changed} changed): {told}")
    if options.figure:
        draw(table, options.figure)


if __name__ == "__main__":
    main()
