"""What is particular to aspects of reviews: the rows that ship, and the commands from `check` to `compare`."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import f1_score

from tests.aspected import finished_aspects, write_aspects
from tests.conftest import Tunebook
from tunebook.data.load_and_validate import SAMPLES, load_and_validate
from tunebook.data.rejects import RejectLog
from tunebook.families.text_aspects.options import AspectData
from tunebook.plugins import load_recipe_class
from tunebook.plugins.options import typed_recipe_options
from tunebook.run_folder import RunFolder

VALUES = ("none", "negative", "neutral", "positive")
NAMES = ("delivery", "quality", "price")


def recipe(**options: Any) -> Any:
    """The recipe as the command line makes it: found by its entry point, with typed options."""
    found = load_recipe_class("review_aspects")
    return found(typed_recipe_options({"name": "review_aspects", **options}, found.Config, "review_aspects"))


def lines_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return finished_aspects(tmp_path_factory.mktemp("run"), "trainer.max_epochs=1", unknown=9)


def test_the_sample_rows_pass_the_gate_whole_and_hold_every_value(tmp_path: Path) -> None:
    made, rejects = recipe(), RejectLog(tmp_path / "rejects.jsonl", 0)
    data = AspectData()
    checked = load_and_validate(
        data, made.columns(data), samples=made.samples(Path()), invalid=made.invalid, rejects=rejects, seed=0
    )
    assert checked.source == SAMPLES and checked.kept == checked.read >= 300
    assert (checked.rejected, checked.dropped, checked.leaks, checked.notes) == (0, 0, (), ())
    for part, least in ((checked.train, 25), (checked.validation, 4), (checked.test, 10)):
        for number in range(len(NAMES)):
            counts = Counter(part.texts(f"aspect {number}"))
            assert set(counts) == set(VALUES) and min(counts.values()) >= least
    texts = checked.train.texts("text")
    assert len(set(texts)) == len(texts) and len({len(text.split()) for text in texts}) > 25


def test_rows_of_ones_own_are_checked_and_counted(tunebook: Tunebook, tmp_path: Path) -> None:
    rows = write_aspects(tmp_path / "rows.csv", 80, aspects=("staff", "room"), unknown=8)
    done = tunebook("check", "recipe=review_aspects", f"data.train={rows}", "recipe.aspects=[staff,room]")
    assert done.returncode == 0, done.stderr
    assert "ready to train" in done.stdout and "staff of train rows: " in done.stdout
    assert "rows without a value of room: " in done.stdout and "rows without a value of staff" not in done.stdout


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("recipe.aspects=[delivery,prize]", "did you mean recipe.aspects=[delivery,price]?"),
        ("recipe.aspects=[]", "recipe.aspects is empty"),
        ("recipe.aspects=[price,price]", "recipe.aspects names 'price' twice"),
        ("recipe.aspects=[price,text]", "recipe.aspects names 'text', which is data.text"),
        (
            "recipe.values=[none,negative,neutral,positive,mixed]",
            "No training row has the value 'mixed' in 'delivery', 'price'",
        ),
        ("recipe.values=[none,bad,neutral,positive]", "is 'negative', which is none of none, bad, neutral, positive"),
        ("data.label=price", "data.label"),
        ("adapt=none", "An untrained model knows nothing of these aspects"),
        ("adapt=contrastive", "adapt=contrastive tunes on pairs of rows of one label"),
    ],
)
def test_a_mistake_is_one_message(override: str, said: str, tunebook: Tunebook, tmp_path: Path) -> None:
    rows = write_aspects(tmp_path / "rows.csv", 60)
    given = ["recipe=review_aspects", f"data.train={rows}", "recipe.aspects=[delivery,price]", "data.max_length=24"]
    done = tunebook("check", *(each for each in given if each.split("=")[0] != override.split("=")[0]), override)
    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert done.stderr.count("error:") == 1 and "Traceback" not in done.stderr


def test_new_rows_are_scored_on_their_known_values(run: RunFolder, tunebook: Tunebook, tmp_path: Path) -> None:
    rows = write_aspects(tmp_path / "new.csv", 40, seed=9, unknown=3)
    done = tunebook("evaluate", f"bundle={run.path}", f"data.test={rows}", f"run_dir={tmp_path / 'scored'}")
    assert done.returncode == 0, done.stderr
    lines = lines_of(tmp_path / "scored" / "predictions.csv")
    metrics = json.loads((tmp_path / "scored" / "metrics.json").read_text())
    for aspect in ("delivery", "price"):
        known = [line for line in lines if line[f"truth_{aspect}"]]
        truth, said = ([line[f"{what}_{aspect}"] for line in known] for what in ("truth", "prediction"))
        value = metrics["aspects"][aspect]["macro_f1"]["value"]
        assert value == pytest.approx(f1_score(truth, said, average="macro", zero_division=0))
    assert "rows without a value of price" in (tmp_path / "scored" / "report.html").read_text(encoding="utf-8")


def test_new_rows_that_do_not_fit_are_refused(run: RunFolder, tunebook: Tunebook, tmp_path: Path) -> None:
    other = write_aspects(tmp_path / "other.csv", 20, aspects=("delivery", "cost"))
    done = tunebook("evaluate", f"bundle={run.path}", f"data.test={other}")
    assert done.returncode == 2 and "other.csv has no column 'price'" in done.stderr
    assert "recipe.aspects" not in done.stderr, "no option of evaluate"
    capitals = tmp_path / "capitals.csv"
    capitals.write_text(write_aspects(capitals, 20).read_text().replace("positive", "Positive"))
    done = tunebook("evaluate", f"bundle={run.path}", f"data.test={capitals}")
    assert done.returncode == 2 and "did you mean 'positive'?" in done.stderr and "normalize" not in done.stderr
    exported = tunebook("export", str(run.path), "-o", "model.onnx")
    assert exported.returncode == 2 and "is not exported as ONNX" in exported.stderr


def test_case_and_spaces_are_ignored_where_told(tunebook: Tunebook, tmp_path: Path) -> None:
    rows = write_aspects(tmp_path / "rows.csv", 60)
    rows.write_text(rows.read_text().replace("positive", " Positive").replace("none", "NONE"))
    given = ["check", "recipe=review_aspects", f"data.train={rows}", "recipe.aspects=[delivery,price]"]
    done = tunebook(*given)
    assert done.returncode == 2 and "recipe.normalize=true reads it so" in done.stderr
    assert "ready to train" in tunebook(*given, "recipe.normalize=true").stdout


def test_baselines_and_a_tuned_model_are_compared(tunebook: Tunebook, tmp_path: Path) -> None:
    train, test = write_aspects(tmp_path / "train.csv", 96, seed=1), write_aspects(tmp_path / "test.csv", 48, seed=2)
    done = tunebook(
        *("compare", "recipe=review_aspects", f"data.train={train}", f"data.test={test}", "data.max_length=24"),
        *("recipe.aspects=[delivery,price]", "compare.rungs=[majority,classical,head]", "compare=quick"),
        *("trainer.max_epochs=1", "trainer=cpu", "evaluation.resamples=50", f"run_dir={tmp_path / 'compared'}"),
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "compared" / "compare.json").read_text())
    scores = {each["name"]: each["score"]["value"] for each in found["rungs"]}
    assert scores["majority"] < 0.2 < 0.7 < scores["classical"], "the words give all aspects away"
    assert "TF-IDF and one logistic regression per aspect" in (tmp_path / "compared" / "report.html").read_text()
