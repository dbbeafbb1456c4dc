"""What review_sentiment reaches on real reviews, by every adaptation, beside Hugging Face's Trainer and TF-IDF.

python benchmarks/review_sentiment_quality.py --model MODEL_FOLDER --work FOLDER [--data ../shared/data/womens_clothing]

Runs what is not yet in the work folder, then prints the tables of docs/benchmarks.md; --table only prints them.
Every system trains on the same seeded subset of the training rows and answers all test rows.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

DATA = Path(__file__).parents[2] / "shared" / "data" / "womens_clothing"
EPOCHS, LR, VALIDATION_ROWS = 3, 1e-4, 500
RECOMMENDED = ["data.label=recommended"]
DESCRIBED = (
    "recipe.descriptions={0: 'I do not recommend this. I am disappointed and returning it.', "
    "1: 'I love this and recommend it to everyone.'}"
)
# A hundred steps are few for a fresh head of five labels, so that it learns faster than the backbone.
STARS = ["data.label=stars", "adapt=full", f"optim.lr={LR}", "optim.head_lr=1e-3"]
# What each run adds to the settings that all share.
RUNS = {
    "recommended_full": [*RECOMMENDED, "adapt=full", f"optim.lr={LR}"],
    "recommended_lora": [*RECOMMENDED, "adapt=lora", "optim.lr=1e-3"],
    "recommended_head": [*RECOMMENDED, "adapt=head", "optim.lr=2e-3"],
    "recommended_scratch": [*RECOMMENDED, "adapt=scratch", "optim.lr=2e-4"],
    "recommended_none": [*RECOMMENDED, DESCRIBED, "adapt=none"],
    "stars_softmax": STARS,
    "stars_ordinal": [*STARS, "recipe.head=ordinal"],
}
OTHERS = {  # system: the run whose rows and labels it takes
    "recommended_hf": "recommended_full",
    "recommended_tfidf": "recommended_full",
    "stars_tfidf": "stars_softmax",
}
NAMES = {
    "full": "all weights (`adapt=full`)",
    "hf": "Hugging Face Trainer, all weights",
    "lora": "`adapt=lora`",
    "head": "`adapt=head`",
    "scratch": "`adapt=scratch`",
    "none": "`adapt=none` (zero-shot)",
    "tfidf": "TF-IDF + logistic regression",
    "softmax": "softmax",
    "ordinal": "ordinal (CORN)",
}


def some_validation_rows(data: Path, work: Path) -> Path:
    """A seeded subset of the validation rows: all of them after every epoch would cost more than the training."""
    file = work / "validation.csv"
    if not file.is_file():
        with (data / "valid.csv").open(encoding="utf-8", newline="") as stream:
            header, *rows = csv.reader(stream)
        chosen = np.sort(np.random.default_rng(0).permutation(len(rows))[:VALIDATION_ROWS])
        with file.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([header, *(rows[i] for i in chosen)])
    return file


def train(name: str, rows: int, model: str, data: Path, work: Path) -> None:
    """One `tunebook train`, in a process of its own on one thread."""
    validation = some_validation_rows(data, work)
    files = {"train": data / "train.csv", "validation": validation, "test": data / "test.csv"}
    settings = [
        *(f"data.{key}='{file}'" for key, file in files.items()),
        f"model.name='{model}'",
        f"data.max_rows={rows}",
        "data.leaks=drop",
        "trainer=cpu",
        "trainer.threads=1",
        "trainer.progress=false",
        "logger=csv",
        "evaluation.zero_shot=false",
    ]
    epochs = f"trainer.max_epochs={20 if name.endswith('_head') else EPOCHS}"
    command = [sys.executable, "-m", "tunebook", "train", "recipe=review_sentiment", *settings, *RUNS[name]]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TUNEBOOK_CACHE": str(work / "cache")}
    run([*command, epochs, f"run_dir='{work / name}'"], environment)


def run(command: list[str], environment: dict[str, str]) -> None:
    if subprocess.run(command, env=environment).returncode:
        sys.exit(f"This failed: {' '.join(command)}")


def answer_otherwise(system: str, like: Path, work: Path) -> None:
    """Train another system on exactly the rows of a finished run, and score it on the same test rows."""
    from tunebook.pipeline.prepare import prepare
    from tunebook.pipeline.stored import read_config
    from tunebook.run_folder import open_run_folder
    from tunebook.statistics.predictions import Predictions
    from tunebook.statistics.scores import score_predictions

    prepared = prepare(read_config(open_run_folder(str(like))), work / "rejects.jsonl")
    rows, labels = prepared.encoded.rows, list(prepared.labels)
    texts = {name: part.texts("text") for name, part in rows.items()}
    targets = {name: np.array([labels.index(each) for each in part.texts("label")]) for name, part in rows.items()}
    if system.endswith("_hf"):
        believed = hf_trainer(prepared.config.model.name, texts, targets, len(labels), work / system)
    else:
        believed = tfidf(texts, targets)
    lines = [int(line) for line in rows["test"].column("line").to_pylist()]
    answers = believed.argmax(axis=1)
    made = Predictions(
        tuple(labels), targets["test"], believed, answers, rows["test"].texts("file"), lines, texts["test"]
    )
    scores = score_predictions(prepared.recipe.metrics(labels), made, seed=0)
    content = {"test": {score.name: asdict(score) for score in scores}, "answers": answers.tolist()}
    (work / system).mkdir(exist_ok=True)
    (work / system / "metrics.json").write_text(json.dumps(content), encoding="utf-8")


def hf_trainer(model: str, texts: Any, targets: Any, labels: int, folder: Path) -> np.ndarray:
    """Hugging Face's Trainer with our epochs, batch size and learning rate: probabilities `[test, labels]`."""
    import torch
    from datasets import Dataset
    from sklearn.metrics import f1_score
    from transformers import (
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )

    def macro_f1(predicted: Any) -> dict[str, float]:
        return {"macro_f1": f1_score(predicted.label_ids, predicted.predictions.argmax(-1), average="macro")}

    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(model)
    encoded = {
        name: Dataset.from_dict({**tokenizer(texts[name], truncation=True), "labels": targets[name]}) for name in texts
    }
    arguments = TrainingArguments(
        str(folder / "trainer"),
        num_train_epochs=EPOCHS,
        per_device_train_batch_size=32,
        per_device_eval_batch_size=32,
        learning_rate=LR,
        lr_scheduler_type="linear",
        warmup_steps=0.1,  # below 1: a share of all steps
        weight_decay=0.01,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="macro_f1",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        seed=0,
    )
    trainer = Trainer(
        # A function, so that the fresh layer is drawn after the Trainer has set its seed.
        model_init=lambda: AutoModelForSequenceClassification.from_pretrained(model, num_labels=labels),
        args=arguments,
        data_collator=DataCollatorWithPadding(tokenizer),
        train_dataset=encoded["train"],
        eval_dataset=encoded["validation"],
        compute_metrics=macro_f1,
    )
    trainer.train()
    logits = torch.from_numpy(trainer.predict(encoded["test"]).predictions)
    return logits.double().softmax(dim=-1).numpy()


def tfidf(texts: Any, targets: Any) -> np.ndarray:
    """Words and word pairs, weighted, into a logistic regression: the floor to clear."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    vectors = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    model = make_pipeline(vectors, LogisticRegression(C=10.0, max_iter=2000))
    model.fit(texts["train"], targets["train"])
    believed: np.ndarray = model.predict_proba(texts["test"])
    return believed


def scores_of(name: str, work: Path) -> dict[str, Any] | None:
    file = work / name / "metrics.json"
    if not file.is_file():
        return None
    scores: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))["test"]
    return scores


def table(work: Path, task: str, columns: dict[str, str]) -> str:
    """A line for each system of a task, every score with its interval."""
    header = ["system", *columns.values(), "n"]
    lines = [f"| {' | '.join(header)} |", f"|---{'|---:' * (len(header) - 1)}|"]
    order = [name for name in [*RUNS, *OTHERS] if name.startswith(task)]
    for name in order:
        scores = scores_of(name, work)
        if scores is None:
            continue
        cells = [f"{s['value']:.3f} ({s['low']:.3f} to {s['high']:.3f})" for s in (scores[c] for c in columns)]
        n = next(iter(scores.values()))["n"]
        lines.append(f"| {NAMES[name.removeprefix(task + '_')]} | {' | '.join(cells)} | {n} |")
    return "\n".join(lines)


def verdict(work: Path) -> str:
    """Whether each of the two trainers lies in the other's interval."""
    ours, theirs = (scores_of(f"recommended_{name}", work) for name in ("full", "hf"))
    if ours is None or theirs is None:
        return ""
    a, b = ours["macro_f1"], theirs["macro_f1"]
    within = a["low"] <= b["value"] <= a["high"] and b["low"] <= a["value"] <= b["high"]
    which = "within" if within else "NOT within"
    return f"With all weights, our macro F1 and the Trainer's lie {which} each other's 95 % interval."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="folder of all-MiniLM-L6-v2, or another encoder")
    parser.add_argument("--work", type=Path, required=True, help="folder for runs and results")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with train, valid and test.csv")
    parser.add_argument("--rows", type=int, default=1000, help="training rows (default: %(default)s)")
    parser.add_argument("--only", nargs="+", default=[*RUNS, *OTHERS], choices=[*RUNS, *OTHERS])
    parser.add_argument("--table", action="store_true", help="only print the tables of finished runs")
    parser.add_argument("--answer", choices=OTHERS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    work: Path = given.work.resolve()
    if given.answer:
        answer_otherwise(given.answer, work / OTHERS[given.answer], work)
        return
    if not given.table:
        run_all(given.only, given.rows, given.model, given.data.resolve(), work)
    print(table(work, "recommended", {"macro_f1": "macro F1", "accuracy": "accuracy"}))
    print(verdict(work))
    stars = {
        "accuracy": "accuracy",
        "macro_f1": "macro F1",
        "mean_absolute_error": "MAE",
        "quadratic_kappa": "QWK",
    }
    print("\n" + table(work, "stars", stars))


def run_all(names: list[str], rows: int, model: str | None, data: Path, work: Path) -> None:
    if not (data / "train.csv").is_file():
        sys.exit(f"There is no {data / 'train.csv'}; give the folder of the reviews with --data.")
    if model is None:
        sys.exit("Give the folder of the backbone with --model.")
    work.mkdir(parents=True, exist_ok=True)
    for name in names:
        if scores_of(name, work) is not None:
            continue
        if name in RUNS:
            train(name, rows, str(Path(model).resolve()), data, work)
        else:
            environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
            command = [sys.executable, __file__, "--work", str(work), "--answer", name]
            run(command, environment)


if __name__ == "__main__":
    main()
