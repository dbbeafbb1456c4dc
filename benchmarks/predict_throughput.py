"""Rows a second of `predict` on texts: torch, ONNX in float32 and in 8 bits, beside transformers' pipeline.

python benchmarks/predict_throughput.py --model MODEL_FOLDER [--data ../shared/data/womens_clothing] [--rows 20000]

A bundle is trained for two steps and exported; how good it is plays no part. The texts are the reviews, repeated up to
the number of rows. Each system answers them in a process of its own, streamed as `predict` does, with the start-up left
out; pipeline's figure is that of its best batch size. The systems take turns, and each ratio is the median of the
turns'. With one thread CPU time counts, with more the time on the clock.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

DATA = Path(__file__).parents[2] / "shared" / "data" / "womens_clothing"
ENGINES = {"torch": "", "onnx": "float32", "onnx-int8": "int8"}


def texts_of(data: Path, rows: int) -> Iterator[str]:
    with (data / "train.csv").open(encoding="utf-8", newline="") as stream:
        texts = [row["text"] for row in csv.DictReader(stream)]
    return itertools.islice(itertools.cycle(texts), rows)


def tunebook(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "tunebook", *arguments], check=True, stdout=subprocess.DEVNULL)


def make_bundle(given: argparse.Namespace, folder: Path) -> Path:
    """Train for two steps, and export."""
    bundle = folder / "run" / "model"
    train = ["train", "recipe=review_sentiment", f"model.name={given.model}", f"data.train={given.data / 'train.csv'}"]
    train += ["data.label=stars", "data.max_rows=200", "trainer.max_steps=2", "evaluation.zero_shot=false"]
    tunebook(*train, f"run_dir={folder / 'run'}", f"data.cache_dir={folder / 'cache'}", "trainer.progress=false")
    tunebook("export", str(bundle), "-o", str(bundle / "onnx"))
    return bundle


def measure(given: argparse.Namespace) -> dict[str, float]:
    """Answer all texts, in this process."""
    import torch

    torch.set_num_threads(given.threads[0])
    texts, system = texts_of(given.data, given.rows), given.measure
    if system in ENGINES:
        from tunebook.cli.write_answers import open_predictor
        from tunebook.data.columns import Column
        from tunebook.data.reading import read_rows
        from tunebook.data.rejects import RejectLog

        bundle: Path = given.bundle
        predictor = open_predictor(bundle, bundle / "onnx" if ENGINES[system] else None, ENGINES[system])
        with tempfile.TemporaryDirectory() as name:
            file = Path(name) / "texts.jsonl"
            with file.open("w", encoding="utf-8") as stream:
                stream.writelines(json.dumps({"text": text}) + "\n" for text in texts)
            start = time.process_time(), time.perf_counter()
            column = Column("text", "text", "--text", "text")
            rows = read_rows([str(file)], "files", [column], RejectLog(Path(name) / "rejects.jsonl", 0), split="rows")
            answered = sum(1 for _ in predictor.answers(rows, None, torch.device("cpu"), lambda done: None))
    else:
        from transformers import pipeline
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        size = int(system.partition(":")[2])
        classify = pipeline("text-classification", str(given.bundle), device="cpu", top_k=None)
        start = time.process_time(), time.perf_counter()
        answered = sum(1 for _ in classify((text for text in texts), batch_size=size))  # it streams generators alone
    cpu, clock = time.process_time() - start[0], time.perf_counter() - start[1]
    assert answered == given.rows
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"rate": answered / (cpu if given.threads[0] == 1 else clock), "peak_mib": peak}


def in_own_process(given: argparse.Namespace, system: str, threads: int, bundle: Path) -> dict[str, float]:
    variables = {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    what = ["--measure", system, "--rows", str(given.rows), "--threads", str(threads), "--bundle", str(bundle)]
    command = [sys.executable, __file__, "--model", given.model, "--data", str(given.data), *what]
    done = subprocess.run(command, env={**os.environ, **variables}, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def compare(given: argparse.Namespace, threads: int, bundle: Path) -> None:
    pipelines = [f"pipeline:{size}" for size in given.batch_sizes]
    systems = [*ENGINES, *pipelines]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in systems}
    for turn in range(given.turns):
        shift = turn % len(systems)
        for name in systems[shift:] + systems[:shift]:
            found[name].append(in_own_process(given, name, threads, bundle))
            print(f"threads {threads}, turn {turn + 1}, {name}: {found[name][-1]}", file=sys.stderr, flush=True)
    rates = {name: [each["rate"] for each in runs] for name, runs in found.items()}
    best = max(pipelines, key=lambda name: statistics.median(rates[name]))
    for name in (best, *ENGINES):
        others = [
            statistics.median(ours / other for ours, other in zip(rates[name], rates[base], strict=True))
            for base in (best, "torch")
        ]
        peak = max(each["peak_mib"] for each in found[name])
        median = statistics.median(rates[name])
        print(f"| {threads} | {name} | {median:.0f} | {others[0]:.2f} | {others[1]:.2f} | {peak:.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="folder of all-MiniLM-L6-v2, or another encoder")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with train.csv (default: %(default)s)")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 8, 32], help="of pipeline")
    parser.add_argument("--bundle", type=Path, help="a bundle with its export in onnx/ (default: one is made)")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if not (given.data / "train.csv").is_file():
        sys.exit(f"There is no {given.data / 'train.csv'}; give the folder of the reviews with --data.")
    if given.measure:
        print(json.dumps(measure(given)))
        return
    print("| threads | system | rows a second | beside pipeline | beside our torch | peak MiB |")
    print("|---:|---|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as name:
        bundle = given.bundle or make_bundle(given, Path(name))
        for threads in given.threads:
            compare(given, threads, bundle)


if __name__ == "__main__":
    main()
