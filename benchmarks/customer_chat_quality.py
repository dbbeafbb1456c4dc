"""What does tuning buy a small language model that is to answer as a service's agent?

python benchmarks/customer_chat_quality.py [--data ../shared/data] [--work runs/chat] [--rows 600] [--test-rows 500]

Schema-Guided Dialogue (Rastogi et al. 2020), its own splits; 600 training conversations drawn with each seed, the first
500 test conversations for perplexity, some 200 of their turns answered. Two models as they are, tuned in full, and the
same architecture from scratch, three seeds each, through `tunebook train`. Scores are over the seeds together,
intervals from resampled conversations with all seeds of each kept together. Finished runs are not run again.
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
from pathlib import Path
from typing import Any

import numpy as np

from tunebook.bundle.read import open_bundle
from tunebook.data.reading import read_rows
from tunebook.data.rejects import RejectLog
from tunebook.families.text_generation.batches_chat import scored_rows
from tunebook.families.text_generation.data.content import ConversationContent
from tunebook.families.text_generation.data.encoded import encode_cached
from tunebook.families.text_generation.data.formats import format_columns
from tunebook.families.text_generation.data.packing import PackedItems, one_each
from tunebook.families.text_generation.metrics.answers import GeneratedAnswers
from tunebook.families.text_generation.metrics.differences import paired_differences
from tunebook.families.text_generation.metrics.measures import score_answers, signatures
from tunebook.families.text_generation.metrics.perplexity import perplexity
from tunebook.families.text_generation.options import ConversationFormat, Overlength
from tunebook.statistics.sums import RowSums, score
from tunebook.statistics.sums_difference import sums_difference

DATA = Path(__file__).parents[2] / "shared" / "data"
SEEDS = (0, 1, 2)
STORIES = "weights/stories260k_llama_hf"
SYSTEMS = {"stories260k": ("before", "full", "scratch"), "starter": ("before", "full", "scratch")}


def train(model: str, system: str, seed: int, options: argparse.Namespace) -> Path:
    """The folder of a finished run."""
    folder = Path(options.work) / f"{model}_{system}_{seed}"
    if (folder / "report.html").is_file():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    sgd = options.data.resolve() / "sgd"
    named = ["model=starter_text"]
    if model == "stories260k":
        named = [f"model.name={options.data.resolve() / STORIES}", "model.chat_template=plain"]
    words = ["train", "recipe=customer_chat", *named, f"adapt={'none' if system == 'before' else system}"]
    words += [f"data.train={sgd / 'train.jsonl'}", f"data.validation={part(sgd / 'valid.jsonl', 200, options.work)}"]
    words += [
        f"data.test={part(sgd / 'test.jsonl', options.test_rows, options.work)}",
        f"data.max_rows={options.rows}",
        "recipe.max_new_tokens=64",
    ]
    words += [f"trainer.max_epochs={options.epochs}", f"seed={seed}", "evaluation.zero_shot=false"]
    words += [f"run_dir={folder}", "trainer.progress=false"]
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "tunebook", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    (folder / "seconds.json").write_text(json.dumps(time.monotonic() - began))
    return folder


def part(file: Path, rows: int, work: Path) -> Path:
    """The first rows of a file."""
    first = work.resolve() / f"{file.stem}_{rows}.jsonl"
    if not first.is_file():
        with file.open(encoding="utf-8") as stream:
            first.write_text("".join(line for line, _ in zip(stream, range(rows), strict=False)), encoding="utf-8")
    return first


def losses(run: Path, data: Path, test_rows: int) -> np.ndarray:
    """Loss and supervised tokens of every test conversation, ``[conversations, 2]``."""
    kept = run / "test_losses.npy"
    if not kept.is_file():
        _, _, writer = open_bundle(run / "model")
        columns = format_columns(ConversationFormat.messages)
        log = RejectLog(run / "unused.jsonl", 0)
        rows = read_rows(
            str(part(data / "sgd" / "test.jsonl", test_rows, run.parent)), "data.test", columns, log, split="test"
        )
        rows = ConversationContent().inspect(rows, log)
        found = encode_cached(rows, writer.template, writer.max_length, Overlength.split_turns, run.parent / "cache")
        items = PackedItems(found.ids, found.supervised, found.offsets, one_each(len(found)), found.sources)
        np.save(kept, scored_rows(items, *writer.losses(items), len(rows)))
    found_losses: np.ndarray = np.load(kept)
    return found_losses


def answers(runs: Sequence[Path]) -> GeneratedAnswers:
    """What all seeds wrote, the turns of a conversation and all its seeds in one group."""
    rows = [row for run in runs for row in csv.DictReader((run / "predictions.csv").open(encoding="utf-8"))]
    return GeneratedAnswers(
        prompts=[row["prompt"] for row in rows],
        references=[[row["reference"]] for row in rows],
        outputs=[row["answer"] for row in rows],
        files=[row["file"] for row in rows],
        lines=[int(row["line"]) for row in rows],
        groups=np.array([row["line"] for row in rows]),
    )


def measured(runs: Sequence[Path], data: Path, test_rows: int) -> tuple[RowSums, GeneratedAnswers]:
    """Perplexity over the seeds together, and what they wrote."""
    sums = np.stack([losses(run, data, test_rows) for run in runs]).sum(axis=0)
    return perplexity(sums[:, 0], sums[:, 1]), answers(runs)


def main() -> None:
    """Run what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--work", type=Path, default=Path("runs/chat"))
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--test-rows", type=int, default=500)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=["stories260k", "starter"])
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    options.work.mkdir(parents=True, exist_ok=True)
    for model in options.only:
        table(model, options)


def table(model: str, options: argparse.Namespace) -> None:
    """Scores and differences of one model's systems."""
    made: dict[str, Any] = {}
    shown = ("bleu", "chrf", "rouge_1", "rouge_2", "rouge_l", "distinct_2", "length_ratio")
    for system in SYSTEMS[model]:
        seeds = SEEDS if system != "before" else SEEDS[:1] * len(SEEDS)  # it has no seed: the same run thrice
        runs = [train(model, system, seed, options) for seed in seeds]
        made[system] = measured(runs, options.data, options.test_rows)
        first = score(made[system][0])
        each = [json.loads((run / "metrics.json").read_text())["test"]["perplexity"]["value"] for run in runs]
        scores = {s.name: s for s in score_answers(made[system][1])}
        seconds = np.median([json.loads((run / "seconds.json").read_text()) for run in runs])
        print(
            f"{model:12} {system:8} perplexity {first.value:.2f} ({first.low:.2f}-{first.high:.2f}), seeds "
            f"{min(each):.2f}-{max(each):.2f}; {seconds:.0f} s a run"
        )
        print("   " + "; ".join(f"{n} {scores[n].value:.3f} ({scores[n].low:.3f}-{scores[n].high:.3f})" for n in shown))
        sys.stdout.flush()
    print("  ", signatures(made["full"][1]))
    pairs = (("full", "before"), ("full", "scratch"))
    for one, other in pairs:
        differences = {"perplexity": sums_difference(made[one][0], made[other][0])}
        differences |= paired_differences(made[one][1], made[other][1])
        for name in ("perplexity", "bleu", "chrf", "rouge_l"):
            found = differences[name]
            said = "significant" if found.distinguishable else "not significant"
            print(f"   {one} - {other}: {name} {found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f}), {said}")


if __name__ == "__main__":
    main()
