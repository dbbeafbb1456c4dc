"""Baselines of the ladder beside scikit-learn used directly, and what is read back of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.sparse import hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from tests.chatted import write_chats
from tests.conftest import write_reviews
from tests.diagnosed import picture, write_table
from tests.laddered import prepared_for
from tunebook.families.prepared import Prepared
from tunebook.run_folder import RunFolder

STRENGTHS = (0.1, 1.0, 10.0, 100.0)


def answered(rung: str, prepared: Prepared, folder: Path) -> tuple[RunFolder, dict[str, Any]]:
    """The run folder of a baseline, and its test scores."""
    folder.mkdir()
    run = RunFolder(folder)
    evidence, _ = prepared.recipe.family.stages.comparison(prepared.recipe).answer(rung, prepared, run)
    evidence.write(run, evidence.report(subtitle=rung, data_facts={}, config_facts={}, notes=()))
    return run, json.loads(run.metrics.read_text())["test"]


def value_read_back(metric: str, run: RunFolder, prepared: Prepared) -> float:
    (outcome,) = prepared.recipe.family.stages.comparison(prepared.recipe).outcomes(metric, [run], prepared)
    assert outcome is not None
    return float(outcome.scores(np.ones((1, outcome.units), dtype=np.int64))[0])


@pytest.fixture(scope="module")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("reviews")
    for split, rows, seed in (("train", 40, 0), ("validation", 30, 1), ("test", 50, 2)):
        write_reviews(folder / f"{split}.csv", rows, seed)
    given = [f"data.{split}={folder / split}.csv" for split in ("train", "validation", "test")]
    usual = ["recipe=review_sentiment", "data.label=label", "evaluation.resamples=50", "data.leaks=allow"]
    return prepared_for(folder, *usual, *given)[1]


@pytest.mark.parametrize("few", [40, 39])
def test_counted_words_and_characters_score_as_scikit_learn_has_them(
    reviews: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    """The penalty of 40 rows: chosen by five folds where that is few, by the validation rows where it is many."""
    monkeypatch.setattr("tunebook.families.text_classification.baselines.FEW", few)
    run, scores = answered("classical", reviews, tmp_path / "run")
    texts = {split: reviews.encoded.rows[split].texts("text") for split in ("train", "validation", "test")}
    truth = {split: reviews.encoded.rows[split].texts("label") for split in texts}
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b").fit(texts["train"])
    pieces = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True).fit(texts["train"])
    seen = {split: hstack([words.transform(part), pieces.transform(part)]) for split, part in texts.items()}
    models = {c: LogisticRegression(C=c, max_iter=300).fit(seen["train"], truth["train"]) for c in STRENGTHS}
    folds = StratifiedKFold(5, shuffle=True, random_state=reviews.config.seed)

    def score(c: float) -> float:
        if few < 40:
            return float(f1_score(truth["validation"], models[c].predict(seen["validation"]), average="macro"))
        found = cross_val_predict(models[c], seen["train"].tocsr(), truth["train"], cv=folds)
        return float(f1_score(truth["train"], found, average="macro"))

    chosen = max(STRENGTHS, key=lambda c: (score(c), -c))
    predicted = models[chosen].predict(seen["test"])
    assert scores["accuracy"]["value"] == pytest.approx(accuracy_score(truth["test"], predicted))
    assert scores["macro_f1"]["value"] == pytest.approx(f1_score(truth["test"], predicted, average="macro"))
    assert scores["macro_f1"]["value"] > 0.6, "rows that tell nothing would make the comparison empty"
    assert value_read_back("macro_f1", run, reviews) == pytest.approx(scores["macro_f1"]["value"])
    by_class = reviews.recipe.family.stages.comparison(reviews.recipe).class_outcomes(run, reviews)
    each = f1_score(truth["test"], predicted, average=None, labels=list(reviews.labels))
    ones = np.ones((1, len(predicted)), dtype=np.int64)
    assert [float(by_class[name].scores(ones)[0]) for name in reviews.labels] == pytest.approx(each.tolist())


def test_what_answers_is_kept_without_pickle(reviews: Prepared, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    run, _ = answered("classical", reviews, tmp_path / "run")
    arrays = load_file(run.path / "baseline" / "linear.safetensors")
    vocabulary = json.loads((run.path / "baseline" / "vocabulary.json").read_text())
    assert arrays["0.coefficients"].shape == (1, sum(map(len, vocabulary)))
    assert len(arrays["0.idf"]) == len(vocabulary[0]) and len(arrays["1.idf"]) == len(vocabulary[1])


def test_the_commonest_label_answers_every_row(reviews: Prepared, tmp_path: Path) -> None:
    run, scores = answered("majority", reviews, tmp_path / "run")
    labels = reviews.encoded.rows["train"].texts("label")
    commonest = max(sorted(set(labels)), key=labels.count)
    truth = reviews.encoded.rows["test"].texts("label")
    assert scores["accuracy"]["value"] == pytest.approx(truth.count(commonest) / len(truth))
    assert value_read_back("accuracy", run, reviews) == pytest.approx(scores["accuracy"]["value"])
    page = run.report.read_text(encoding="utf-8")
    assert ">majority</th>" in page and ">tuned<" not in page


def write_pictures(folder: Path, split: str, count: int, seed: int) -> None:
    """Pictures of 32 x 32 pixels with two findings: blobs in every other, a bright corner in every third."""
    folder.mkdir(exist_ok=True)
    rows = []
    for number in range(count):
        pixels = picture(seed + number, (32, 32), blobs=number % 2).astype(np.int64)
        pixels[:8, :8] += 80 * (number % 3 == 0)
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / f"{split}{number}.png")
        label = ("normal", "ill")[number % 2]
        rows.append(
            {"path": f"{split}{number}.png", "label": label, "blob": number % 2, "corner": int(number % 3 == 0)}
        )
    write_table(folder / f"{split}.csv", rows)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for split, count, seed in (("train", 60, 0), ("validation", 40, 1000), ("test", 80, 2000)):
        write_pictures(folder, split, count, seed)
    return folder


def prepared_pictures(folder: Path, *more: str) -> Prepared:
    given = [f"data.{split}={folder / split}.csv" for split in ("train", "validation", "test")]
    usual = ["recipe=medical_diagnosis", "recipe.size=32", "evaluation.resamples=50", "data.near_duplicate=1"]
    return prepared_for(folder, *usual, *given, *more)[1]


def as_numbers(folder: Path, rows: Any) -> np.ndarray:
    """The pictures of some rows, 0 to 1, `[rows, 1024]`."""
    files = [folder / Path(name).name for name in rows.texts("image")]
    return np.stack([np.asarray(Image.open(file), dtype=np.float64).ravel() / 255 for file in files])


def regression_auroc(folder: Path, prepared: Prepared, truth: dict[str, np.ndarray]) -> float:
    seen = {split: as_numbers(folder, prepared.encoded.rows[split]) for split in truth}
    middle = seen["train"].mean(axis=0)

    def areas(c: float, split: str) -> float:
        found = []
        for column in range(truth["train"].shape[1]):
            model = LogisticRegression(C=c, max_iter=300).fit(seen["train"] - middle, truth["train"][:, column])
            believed = model.predict_proba(seen[split] - middle)[:, 1]
            found.append(roc_auc_score(truth[split][:, column], believed))
        return float(np.mean(found))

    return areas(max(STRENGTHS, key=lambda c: (areas(c, "validation"), -c)), "test")


def test_regression_on_pixels_ranks_as_scikit_learn_has_it(pictures: Path, tmp_path: Path) -> None:
    prepared = prepared_pictures(pictures)
    run, scores = answered("classical", prepared, tmp_path / "run")
    truth = {
        split: np.array([[label == "ill"] for label in rows.texts("label")]).astype(int)
        for split, rows in prepared.encoded.rows.items()
    }
    expected = regression_auroc(pictures, prepared, truth)
    assert scores["auroc"]["value"] == pytest.approx(expected, abs=2e-3)
    assert scores["auroc"]["value"] > 0.55
    assert value_read_back("auroc", run, prepared) == pytest.approx(scores["auroc"]["value"], abs=1e-3)
    assert value_read_back("accuracy", run, prepared) == pytest.approx(scores["accuracy"]["value"])


def test_each_of_several_findings_has_a_regression_of_its_own(pictures: Path, tmp_path: Path) -> None:
    prepared = prepared_pictures(pictures, "recipe.findings=[blob,corner]")
    run, scores = answered("classical", prepared, tmp_path / "run")
    truth = {split: examples.targets for split, examples in prepared.encoded.splits.items()}
    expected = regression_auroc(pictures, prepared, truth)
    assert scores["auroc"]["value"] == pytest.approx(expected, abs=2e-3)
    by_class = prepared.recipe.family.stages.comparison(prepared.recipe).class_outcomes(run, prepared)
    assert set(by_class) == {"blob", "corner"}
    _, alike = answered("majority", prepared, tmp_path / "alike")
    assert alike["auroc"]["value"] == pytest.approx(0.5)


def test_answers_without_a_model_are_the_commonest_and_the_nearest(tmp_path: Path) -> None:
    rows = write_chats(tmp_path / "chats.jsonl", 30, rounds=1)
    with rows.open("a", encoding="utf-8") as stream:
        for number in range(4):
            asked = {"role": "user", "content": f"where is parcel {number} now please"}
            said = {"role": "assistant", "content": "It is on its way."}
            stream.write(json.dumps({"messages": [asked, said]}) + "\n")
    usual = ["recipe=customer_chat", f"data.train={rows}", "evaluation.resamples=50", "data.near_duplicate=1"]
    prepared = prepared_for(tmp_path, *usual, "recipe.max_new_tokens=8", "data.leaks=allow")[1]
    run, scores = answered("majority", prepared, tmp_path / "majority")
    given = [line.split(",")[-1] for line in run.predictions.read_text().splitlines()[1:]]
    assert set(given) == {"It is on its way."}
    nearest, _ = answered("classical", prepared, tmp_path / "nearest")
    assert value_read_back("chrf", run, prepared) == pytest.approx(scores["chrf"]["value"])
    assert "perplexity" not in scores and not nearest.losses.exists()
    assert prepared.recipe.family.stages.comparison(prepared.recipe).outcomes("perplexity", [run], prepared) == [None]
