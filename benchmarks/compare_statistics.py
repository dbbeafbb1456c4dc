"""Are the statistics of `tunebook compare` as honest as they say? Simulated ladders of known value tell.

- intervals: how often the 95 % interval of a score holds the true value, for the report's interval of one run, the
  ladder's of the mean of three seeds, and the ladder's of a difference; and on how many ladders of four equal systems
  with two seeds each any difference is called one (6 comparisons).
- hard: the same for nearly perfect systems and small test sets, of one run.
- apart: the same for the difference of two systems of which one is better, near the ends and on few rows.
- power: how often a difference of the smallest detectable size is shown.
- labels: how often the interval for "labels to one more point" holds the truth, with the answers to the test rows and
  with the scores alone.

    python benchmarks/compare_statistics.py intervals            all kinds; or name some: auroc bleu
    python benchmarks/compare_statistics.py hard apart power labels
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

import numpy as np
import simulated_rungs as simulated
from simulated_rungs import CONFUSIONS, KINDS, RANKINGS, Kind

from tunebook.compare.statistics.comparison import compare_rungs
from tunebook.compare.statistics.label_budget import label_budget
from tunebook.compare.statistics.results import Cost, RungResult
from tunebook.compare.statistics.rung_score import score_of_rung
from tunebook.statistics import confusion
from tunebook.statistics.findings import FindingPredictions
from tunebook.statistics.intervals import bootstrap_units, wilson
from tunebook.statistics.outcomes import Outcome
from tunebook.statistics.paired import observed
from tunebook.statistics.ranking_scores import ranking_scores
from tunebook.statistics.resampling import units_of_confusion
from tunebook.statistics.sums import RowSums, score

RESAMPLES = 1000
LOWER = ("perplexity", "mean_absolute_error")


def rungs_of(systems: list[list[Outcome]], kind: Kind, resamples: int = RESAMPLES) -> list[RungResult]:
    return [
        RungResult(
            f"system_{i}",
            f"system {i}",
            score_of_rung(runs, kind.name, kind.n, higher_is_better=kind.name not in LOWER, resamples=resamples),
            tuple(observed([run]) for run in runs),
            Cost(1.0 + i, 1.0, None, 0),
            tuple(runs),
        )
        for i, runs in enumerate(systems)
    ]


def report_interval(kind: Kind, run: Outcome, seed: int) -> tuple[float, float]:
    """What the report of one run would say."""
    if kind.name in CONFUSIONS:
        counts = run._confusions(np.ones((1, kind.n), dtype=np.int64))[0].astype(np.int64)
        if kind.name == "accuracy":
            return wilson(int(np.trace(counts)), kind.n)
        return bootstrap_units(units_of_confusion(counts), confusion.STATISTICS[kind.name], RESAMPLES, seed=seed)
    if kind.name in RANKINGS:
        rows = [""] * kind.n
        given = FindingPredictions(("finding",), run.target, run.scores_of_rows, rows, list(range(kind.n)), rows)
        found = {s.name: s for s in ranking_scores(given, resamples=RESAMPLES, seed=seed)["finding"]}[kind.name]
        return found.low, found.high
    share = kind.name == "fact_recall"
    found = score(RowSums(kind.name, run.sums, run.formula, share=share), resamples=RESAMPLES, seed=seed)
    return found.low, found.high


def percent(hits: list[bool]) -> str:
    return f"{100 * np.mean(hits):.1f} %"


def intervals(kinds: list[Kind], draws: int, ladders: int) -> None:
    print("| metric | rows | report, one run | ladder, three seeds | ladder, difference | any false difference |")
    print("|---|---:|---:|---:|---:|---:|", flush=True)
    for kind in kinds:
        true, rng = simulated.truth(kind), np.random.default_rng(11)
        report, three, difference, false = [], [], [], []
        for seed in range(draws):
            runs = simulated.ladder(kind, rng, 1, 3)[0]
            low, high = report_interval(kind, runs[0], seed)
            report.append(low <= true <= high)
            found = score_of_rung(runs, kind.name, kind.n, higher_is_better=True, resamples=RESAMPLES, seed=seed)
            three.append(found.low <= true <= found.high)
        for seed in range(ladders):
            rungs = rungs_of(simulated.ladder(kind, rng, 4, 2), kind, 200)
            found = compare_rungs(rungs, resamples=RESAMPLES, seed=seed)
            false.append(any(pair.shown for pair in found.pairs))
            pair = found.between("system_0", "system_1").difference  # fixed beforehand, whichever is the better
            difference.append(pair.low <= 0 <= pair.high)
        print(
            f"| {kind.name} | {kind.n} | {percent(report)} | {percent(three)} | {percent(difference)} "
            f"({len(difference)}) | {percent(false)} ({len(false)}) |",
            flush=True,
        )


def hard(draws: int) -> None:
    """Accuracy of 0.97 on 200 rows; AUROC of 0.97 with 15 rows of 150; 0.6 on 40 rows."""
    print("| case | ladder, one run |\n|---|---:|")
    for share, n in ((0.97, 200), (0.995, 200), (0.6, 40)):
        rng, held = np.random.default_rng(4), []
        for seed in range(draws):
            run = simulated.right_or_wrong(rng.random(n) < share)
            found = score_of_rung([run], "accuracy", n, higher_is_better=True, resamples=RESAMPLES, seed=seed)
            held.append(found.low <= share <= found.high)
        print(f"| accuracy {share}, {n} rows | {percent(held)} |", flush=True)
    for name, shift in (("auroc", 2.66), ("average_precision", 2.66)):
        true, rng, held = simulated.ranking_truth(name, 0.1, shift), np.random.default_rng(4), []
        for seed in range(draws):
            run = simulated.ranking_run(name, rng, 150, 0.1, shift)
            found = score_of_rung([run], name, 150, higher_is_better=True, resamples=RESAMPLES, seed=seed)
            held.append(found.low <= true <= found.high)
        print(f"| {name} {true:.3f}, about 15 of 150 rows | {percent(held)} |", flush=True)


def apart(draws: int) -> None:
    """Pairs of systems of known difference, on the same rows."""
    print("| case | held |\n|---|---:|")
    cases: list[tuple[str, str, int, float, Callable[[np.random.Generator], list[Outcome]]]] = []
    for n, shares in ((40, (0.8, 0.7)), (100, (0.8, 0.7)), (40, (0.99, 0.95)), (100, (0.99, 0.95)), (300, (0.99, 0.9))):
        told = f"accuracy {shares[0]} and {shares[1]}, {n} rows"
        make = partial(simulated.two_rights, n=n, shares=shares)
        cases.append((told, "accuracy", n, shares[0] - shares[1], make))
    for name in RANKINGS:
        for positives in (5, 10, 30):
            for shifts in ((1.81, 1.19), (2.66, 1.81)):
                n = 200 + positives
                true = [simulated.ranking_truth(name, positives / n, shift) for shift in shifts]
                told = f"{name} {true[0]:.3f} and {true[1]:.3f}, {positives} of {n} rows"
                make = partial(simulated.two_rankings, name, positives=positives, n=n, shifts=shifts)
                cases.append((told, name, n, true[0] - true[1], make))
    for told, name, n, true, make in cases:
        rng, held = np.random.default_rng(7), []
        for seed in range(draws):
            rungs = rungs_of([[run] for run in make(rng)], Kind(name, n))
            pair = compare_rungs(rungs, resamples=RESAMPLES, seed=seed).pairs[0]
            low, high = pair.difference.low, pair.difference.high
            held.append(low <= true <= high if pair.first == "system_0" else -high <= true <= -low)
        print(f"| {told} | {percent(held)} |", flush=True)


def power(draws: int) -> None:
    """Two systems, of which the second is better by what the first pair of draws calls detectable."""
    print("| rows | true difference | shown |\n|---:|---:|---:|")
    for n in (200, 500, 1000):
        rng = np.random.default_rng(5)

        def drawn(gain: float, n: int = n, rng: np.random.Generator = rng) -> list[list[Outcome]]:
            return [[run] for run in simulated.two_rights(rng, n, (0.7, 0.7 + gain))]

        kind = Kind("accuracy", n)
        found = [compare_rungs(rungs_of(drawn(0.0), kind, 200), resamples=RESAMPLES, seed=i) for i in range(30)]
        gain = float(np.median([each.pairs[0].smallest for each in found]))
        shown = [
            compare_rungs(rungs_of(drawn(gain), kind, 200), resamples=RESAMPLES, seed=i).pairs[0].shown
            for i in range(draws)
        ]
        print(f"| {n} | {gain:.3f} | {percent(shown)} |", flush=True)


def labels(draws: int) -> None:
    print(
        "| curve, rows, draws a step, test rows | true | held, with answers | held, scores alone | finite | no answer |"
    )
    print("|---|---:|---:|---:|---:|---:|")
    for a, b, c, largest, runs, tested in simulated.CURVES:
        gap, rng = b * largest**-c, np.random.default_rng(6)
        true = largest * ((1 - 0.01 / gap) ** (-1 / c) - 1) if gap > 0.01 else float("inf")
        held: dict[bool, list[bool]] = {True: [], False: []}
        finite, silent = [], []
        for seed in range(draws):
            rows, steps = simulated.learning_curve(rng, a, b, c, largest, runs, tested)
            values = [[observed([run]) for run in step] for step in steps]
            last = score_of_rung(steps[-1], "accuracy", tested, higher_is_better=True, resamples=RESAMPLES, seed=seed)
            for answers in (True, False):
                found = label_budget(
                    rows,
                    values,
                    score=last,
                    point=0.01,
                    higher_is_better=True,
                    outcomes=steps if answers else None,
                    resamples=RESAMPLES,
                    seed=seed,
                )
                value, low, high = found.more_labels
                # without a low end nothing is claimed, and nothing can be wrong
                held[answers].append(bool(np.isnan(low) or low <= true <= high))
            finite.append(bool(np.isfinite(high)))
            silent.append(bool(np.isnan(value)))
        curve = f"{a} - {b} n^-{c}, {largest}, {runs}, {tested}"
        print(
            f"| {curve} | {true:.0f} | {percent(held[True])} | {percent(held[False])} | {percent(finite)} "
            f"| {percent(silent)} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", help="intervals, hard, apart, power, labels; or kinds of metrics")
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--ladders", type=int, default=400, help="of four systems")
    given = parser.parse_args()
    named = [kind for kind in KINDS if kind.name in given.what]
    others: dict[str, Callable[[int], None]] = {"hard": hard, "apart": apart, "power": power, "labels": labels}
    if "intervals" in given.what or named:
        intervals(named or KINDS, given.draws, given.ladders)
    for name, check in others.items():
        if name in given.what:
            check(given.draws)


if __name__ == "__main__":
    main()
