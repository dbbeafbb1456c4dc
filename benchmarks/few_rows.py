"""Few labelled rows: the few-shot rungs of `compare` beside SetFit, embeddings and TF-IDF with logistic regression.

All systems get the same rows of each draw and answer the same test rows; those with an encoder get the same one. Each
is a process of its own, whose CPU time counts whole, imports and all; `chosen` is a whole comparison that tries all
ways, cross-validates them and chooses one, and each way's time is that of its run. SetFit runs in an environment of its
own:

    python3 -m venv setfit && setfit/bin/pip install 'setfit>=1.2'
    python benchmarks/few_rows.py --model <all-MiniLM-L6-v2> --data <folder> --setfit setfit/bin/python

The results file remembers what is done, so that it goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import ctypes
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean

TASKS = {
    "banking77": ("banking77/train.csv", "banking77/test.csv", "label"),
    "stars": ("womens_clothing/train.csv", "womens_clothing/test.csv", "stars"),
    "recommended": ("womens_clothing/train.csv", "womens_clothing/test.csv", "recommended"),
}
VALIDATION_ROWS = 200
_CHILD_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of linux/prctl.h
Row = tuple[str, str]
Files = tuple[Path, Path, Path]

SETFIT = """
import csv, sys
from datasets import Dataset
from setfit import SetFitModel, Trainer, TrainingArguments
model, train, test, out = sys.argv[1:]
read = lambda path: [(row["text"], row["label"]) for row in csv.DictReader(open(path, newline=""))]
rows, texts = read(train), [text for text, _ in read(test)]
names = sorted({label for _, label in rows})
data = Dataset.from_dict({"text": [t for t, _ in rows], "label": [names.index(label) for _, label in rows]})
tuned = SetFitModel.from_pretrained(model)
# twenty pairs a row and one epoch, as in the paper
arguments = TrainingArguments(output_dir=out + ".dir", num_iterations=20, num_epochs=1, batch_size=16, seed=0,
    save_strategy="no", report_to="none")
Trainer(model=tuned, args=arguments, train_dataset=data).train()
csv.writer(open(out, "w")).writerows([names[int(i)]] for i in tuned.predict(texts))
"""

REGRESSION = """
import csv, sys
from sklearn.linear_model import LogisticRegression
model, train, test, out, kind = sys.argv[1:]
read = lambda path: [(row["text"], row["label"]) for row in csv.DictReader(open(path, newline=""))]
rows, texts = read(train), [text for text, _ in read(test)]
if kind == "tfidf":
    from tunebook.models.linear import text_features
    made = text_features()
    seen, new, strength = made.fit_transform([t for t, _ in rows]), made.transform(texts), 10
else:
    from sentence_transformers import SentenceTransformer
    encoder = SentenceTransformer(model, device="cpu")
    seen, new, strength = encoder.encode([t for t, _ in rows]), encoder.encode(texts), 1
fitted = LogisticRegression(C=strength, max_iter=1000).fit(seen, [label for _, label in rows])
csv.writer(open(out, "w")).writerows([label] for label in fitted.predict(new))
"""


def read(path: Path, label: str) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as stream:
        return [(row["text"], row[label]) for row in csv.DictReader(stream) if row["text"].strip()]


def write(path: Path, rows: list[Row]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("text", "label"), *rows])
    return path


def drawn(
    data: Path, task: str, shots: int, draw: int, folder: Path, test_rows: int
) -> tuple[Path, Path, Path, list[str]]:
    """Training rows of a draw, validation rows that no few-shot system looks at, test rows, and their labels."""
    train, test, label = TASKS[task]
    rows, tested = dict(read(data / train, label)), read(data / test, label)
    pool = list(rows.items())
    random.Random(draw).shuffle(pool)
    random.Random(7).shuffle(tested)
    by_label: dict[str, list[Row]] = defaultdict(list)
    for row in pool:
        by_label[row[1]].append(row)
    few = [row for name in sorted(by_label) for row in by_label[name][:shots]]
    known = {text for text, _ in few}
    rest = [row for row in pool if row[0] not in known][:VALIDATION_ROWS]
    tested = [row for row in tested if row[0] not in rows][:test_rows]
    files = [write(folder / f"{name}.csv", part) for name, part in (("t", few), ("v", rest), ("e", tested))]
    return files[0], files[1], files[2], [name for _, name in tested]


def measured(command: list[str], log: Path) -> float:
    """CPU seconds of a process and all that it started, also of what outlived it.

    Raises:
        RuntimeError: It failed.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with log.open("a") as stream:
        done = subprocess.run(command, stdout=stream, stderr=stream)
    with contextlib.suppress(ChildProcessError):  # none is left
        while True:
            os.wait()
    if done.returncode:
        raise RuntimeError(f"{command[:3]} ended with {done.returncode}: {log}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def tunebook(verb: str, model: str, files: Files, run: Path, given: Sequence[str]) -> float:
    command = [sys.executable, "-m", "tunebook", verb, "recipe=review_sentiment", f"model.name={model}", *given]
    command += [f"data.{name}={file}" for name, file in zip(("train", "validation", "test"), files, strict=True)]
    command += ["data.label=label", "data.leaks=allow", "evaluation.zero_shot=false", "evaluation.resamples=10"]
    command += ["evaluation.suspects=false", "trainer=cpu", "trainer.progress=false", f"run_dir={run}", "logger=csv"]
    return measured(command, run.parent / "log")


def answers_in(run: Path) -> list[str]:
    with (run / "predictions.csv").open(newline="") as stream:
        return [row["prediction"] for row in csv.DictReader(stream)]


def ladder(model: str, files: Files, folder: Path, shots: int) -> dict[str, tuple[list[str], float]]:
    """What each way and the chosen one answered, and their seconds."""
    run = folder / "compare"
    given = ["compare.rungs=[few_shot]", f"compare.shots=[{shots}]", "compare.draws=1", "compare.curve=[]"]
    seconds = tunebook("compare", model, files, run, given)
    found = json.loads((run / "compare.json").read_text())
    (rung,), (few,) = found["rungs"], found["few_shot"]
    ways = {way["name"].rpartition("_")[2]: way for way in few["ways"]}
    answers = {name: (answers_in(run / way["runs"][0]), way["cost"]["seconds"]) for name, way in ways.items()}
    return {**answers, "chosen": (answers_in(run / rung["runs"][0]), seconds)}


def answered(
    system: str, options: argparse.Namespace, files: Files, folder: Path, shots: int
) -> dict[str, tuple[list[str], float]]:
    """A system's answers to the test rows, and its CPU seconds."""
    if system == "chosen":
        return ladder(options.model, files, folder, shots)
    if system.startswith("adapt="):
        run = folder / "-".join(["run", *system.split()]).replace("=", "-")
        seconds = tunebook("train", options.model, files, run, system.split())
        return {system: (answers_in(run), seconds)}
    out = folder / f"{system}.csv"
    given = [options.model, str(files[0]), str(files[2]), str(out)]
    if system == "setfit":
        seconds = measured([options.setfit, "-c", SETFIT, *given], folder / "log")
    else:
        seconds = measured([sys.executable, "-c", REGRESSION, *given, system], folder / "log")
    return {system: (out.read_text().split("\n")[:-1], seconds)}


def systems(options: argparse.Namespace) -> Iterator[str]:
    yield from ("tfidf", "embeddings", "chosen", *options.also)
    if options.setfit:
        yield "setfit"


def table(results: Path) -> Iterator[str]:
    """Mean macro F1 over the draws, its range, and the median CPU seconds."""
    found: dict[tuple[str, int], dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for line in results.read_text().splitlines():
        each = json.loads(line)
        found[each["task"], each["shots"]][each["system"]].append((each["macro_f1"], each["seconds"]))
    yield "| task | rows a class | system | macro F1 (range over draws) | draws | CPU s |"
    yield "|---|---:|---|---:|---:|---:|"
    for (task, shots), each in sorted(found.items()):
        for system, values in each.items():
            scores, seconds = [f1 for f1, _ in values], sorted(s for _, s in values)
            spread = f"{mean(scores):.3f} ({min(scores):.3f} to {max(scores):.3f})"
            yield f"| {task} | {shots} | {system} | {spread} | {len(values)} | {seconds[len(seconds) // 2]:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--model", required=True, help="folder of a sentence encoder")
    parser.add_argument("--data", type=Path, required=True, help="folder with banking77 and womens_clothing")
    parser.add_argument("--setfit", help="python of an environment that has it")
    parser.add_argument("--tasks", nargs="*", default=list(TASKS), choices=TASKS)
    parser.add_argument("--shots", nargs="*", type=int, default=[4, 8, 16, 64])
    parser.add_argument("--test-rows", type=int, default=500)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--also", nargs="*", default=[], help="more of ours, such as 'adapt=full optim.lr=1e-4'")
    parser.add_argument("--results", type=Path, default=Path("runs/few_rows.jsonl"))
    options = parser.parse_args()
    adopted = ctypes.CDLL(None).prctl(_CHILD_SUBREAPER, 1)
    assert not adopted, "Linux alone tells the time of processes whose parents have ended"
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TUNEBOOK_CACHE": tempfile.mkdtemp()}
    options.results.parent.mkdir(parents=True, exist_ok=True)
    options.results.touch()
    done = {tuple(map(json.loads(line).get, ("task", "shots", "draw", "system"))) for line in options.results.open()}
    from sklearn.metrics import f1_score

    for draw in range(options.draws):
        for shots in options.shots:
            for task in options.tasks:
                with tempfile.TemporaryDirectory(prefix="few-rows-") as place:
                    *files, truth = drawn(options.data, task, shots, draw, Path(place), options.test_rows)
                    for system in systems(options):
                        if (task, shots, draw, system) in done:
                            continue
                        found = answered(system, options, (files[0], files[1], files[2]), Path(place), shots)
                        for name, (answers, seconds) in found.items():
                            score = f1_score(truth, answers, average="macro", labels=sorted(set(truth)))
                            row = {"task": task, "shots": shots, "draw": draw, "system": name, "macro_f1": score}
                            with options.results.open("a") as stream:
                                stream.write(json.dumps({**row, "seconds": seconds}) + "\n")
                            print(task, shots, draw, name, f"{score:.3f}", f"{seconds:.0f} s", flush=True)
    print("\n".join(table(options.results)))


if __name__ == "__main__":
    main()
