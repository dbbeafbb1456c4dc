"""Scores by subgroup in whole runs, compared with scikit-learn and with sums of the run's own files."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score, root_mean_squared_error

from tests.briefed import BRIEF, briefed, briefs
from tests.chatted import chatted, conversation_with_keys, tiny_llama, write_jsonl
from tests.conftest import Tunebook
from tests.diagnosed import diagnosed, write_patients, write_table
from tests.finished import finished
from tests.numbered import finished_numbers, new_recipe
from tests.user_error import user_error
from tunebook.config.score import SubgroupScoreConfig
from tunebook.data.subgroups import check_scored
from tunebook.run_folder import RunFolder

LANGUAGES = ("de", "en", "")


def language(i: int) -> str:
    """Of 60 rows 24 in German, 30 in English and 6 in none."""
    return LANGUAGES[0 if i % 10 < 4 else 1 if i % 10 < 9 else 2]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def parts_of(run: RunFolder) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Value -> its line in metrics.json; and the gap."""
    found = json.loads(run.metrics.read_text())
    return {row["value"]: row for row in found["subgroups"]}, found["gap"]


ASKED = ["evaluation.subgroups=[language]", "evaluation.gap=[language,de,en]"]


@pytest.fixture(scope="module")
def classified(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("classified")
    table = folder / "reviews.csv"
    words = np.random.default_rng(0)
    rows = []
    for i in range(120):
        label = ["bad", "good"][i % 2]
        said = label if words.random() < 0.8 else ["bad", "good"][1 - i % 2]
        more = " ".join(f"w{n}" for n in words.integers(0, 9999, 6))
        rows.append({"text": f"{said} {more}", "label": label, "language": language(i // 2)})
    write_table(table, rows)
    held_out = write_table(folder / "held out.csv", [{**row, "text": f"{row['text']} then"} for row in rows])
    more = [f"data.train={table}", f"data.test={held_out}", "data.near_duplicate=1", "evaluation.zero_shot=false"]
    return finished(folder, *more, *ASKED, "trainer.max_epochs=1")


def test_each_language_of_a_classifier_is_scored_like_scikit_learn(classified: RunFolder) -> None:
    rows = rows_of(classified.predictions)
    subgroups, gap = parts_of(classified)
    assert list(subgroups) == ["de", "en", "not given"]
    expected = {}
    for value in ("de", "en"):
        inside = [row for i, row in enumerate(rows) if language(i // 2) == value]
        expected[value] = f1_score([r["truth"] for r in inside], [r["prediction"] for r in inside], average="macro")
        score = subgroups[value]["macro_f1"]
        assert subgroups[value]["n"] == score["n"] == len(inside)
        assert score["value"] == pytest.approx(expected[value])
        assert score["low"] < score["value"] < score["high"]
    few = subgroups["not given"]
    assert (few["n"], few["macro_f1"]["n"], few["macro_f1"]["value"]) == (None, None, None)
    assert gap["value"] == pytest.approx(expected["de"] - expected["en"])
    assert gap["low"] < gap["value"] < gap["high"]
    assert (gap["column"], gap["first"], gap["second"]) == ("language", "de", "en")


def test_page_and_terminal_show_them_and_hide_the_small(classified: RunFolder, tunebook: Tunebook) -> None:
    page = classified.report.read_text()
    assert "Gap between two groups" in page and "1 lines with hidden cells only are left out" in page
    rows = classified.path.parent / "held out.csv"
    scored, more = classified.path.parent / "scored", "evaluation.resamples=50"
    done = tunebook("evaluate", f"bundle={classified.path}", f"data.test={rows}", *ASKED, more, f"run_dir={scored}")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "language de: macro F1" in said and "language en: macro F1" in said and "not given" not in said
    assert "Macro F1, language de minus en:" in said and "1 subgroups are not listed here" in said
    assert parts_of(RunFolder(scored)) == parts_of(classified)


@pytest.mark.parametrize(
    ("subgroups", "gap", "code", "said"),
    [
        (["language", "language"], None, "config.duplicate", "names 'language' twice"),
        ([""], None, "config.missing-value", "names no column"),
        ([], ["language", "de"], "config.wrong-type", "must be a column and two of its values, and has 2 parts"),
        ([], ["", "de", "en"], "config.missing-value", "names no column"),
        ([], ["language", "de", "de"], "config.duplicate", "compares 'de' with itself"),
    ],
)
def test_what_names_no_groups_is_refused(subgroups: list[str], gap: list[str] | None, code: str, said: str) -> None:
    with user_error(code, match=re.escape(said)):
        check_scored(SubgroupScoreConfig(subgroups=subgroups, gap=gap))


def test_what_is_not_in_the_rows_is_refused(classified: RunFolder, tunebook: Tunebook) -> None:
    rows = classified.path.parent / "held out.csv"
    refused = tunebook("evaluate", f"bundle={classified.path}", f"data.test={rows}", "evaluation.subgroups=[tongue]")
    assert refused.returncode == 2
    assert (
        "has no column 'tongue'" in refused.stderr and "did you mean evaluation.subgroups=[language]?" in refused.stderr
    )
    gap = "evaluation.gap=[language,de,fr]"
    refused = tunebook("check", "recipe=review_sentiment", "data.label=label", f"data.train={rows}", gap)
    assert refused.returncode == 2
    assert "No test row has language 'fr'" in refused.stderr and "choose from: de, en" in refused.stderr


def test_a_gap_needs_a_family_that_has_it(tunebook: Tunebook) -> None:
    refused = tunebook("check", "recipe=medical_diagnosis", "evaluation.subgroups=[site]")
    assert refused.returncode == 2 and "evaluation.subgroups" in refused.stderr


@pytest.fixture
def job_hours(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = new_recipe()
    monkeypatch.setenv("TUNEBOOK_RECIPES", str(folder))
    yield folder


def test_numbers(job_hours: Path, tmp_path: Path) -> None:
    rows = [
        {"text": f"paint wall {i * 7919} now", "hours": str(i % 17 + 0.5), "language": language(i)} for i in range(120)
    ]
    files = [
        f"data.train={write_table(tmp_path / 'a.csv', rows[:60])}",
        f"data.test={write_table(tmp_path / 'b.csv', rows[60:])}",
    ]
    run = finished_numbers(tmp_path, *files, *ASKED, "trainer.max_steps=2", "data.near_duplicate=1")
    answers = rows_of(run.predictions)
    subgroups, gap = parts_of(run)
    errors = []
    for value in ("de", "en"):
        inside = [row for i, row in enumerate(answers) if language(i) == value]
        truth, said = ([float(row[name]) for row in inside] for name in ("truth", "prediction"))
        errors.append(root_mean_squared_error(truth, said))
        assert subgroups[value]["rmse"]["value"] == pytest.approx(errors[-1], rel=1e-5)
    assert gap["value"] == pytest.approx(errors[0] - errors[1], rel=1e-4)
    assert subgroups["not given"]["rmse"]["value"] is None


def test_conversations(tmp_path: Path) -> None:
    rows = [{"messages": conversation_with_keys(i), "language": language(i)} for i in range(120)]
    files = [f"data.train={write_jsonl(tmp_path / 'a.jsonl', rows[:60])}"]
    files += [f"data.test={write_jsonl(tmp_path / 'b.jsonl', rows[60:])}", "data.near_duplicate=1"]
    more = [f"model.name={tiny_llama(tmp_path / 'llama')}", "trainer.max_steps=2", "evaluation.max_generations=4"]
    run = chatted(tmp_path, *files, *more, *ASKED, "evaluation.zero_shot=false", "recipe.max_new_tokens=4")
    losses = rows_of(run.losses)
    subgroups, gap = parts_of(run)
    perplexities = []
    for value in ("de", "en"):
        inside = [row for i, row in enumerate(losses) if language(i) == value]
        loss, tokens = (sum(float(row[name]) for row in inside) for name in ("loss", "tokens"))
        perplexities.append(np.exp(loss / tokens))
        assert subgroups[value]["perplexity"]["value"] == pytest.approx(perplexities[-1], rel=1e-5)
    assert gap["value"] == pytest.approx(perplexities[0] - perplexities[1], abs=1e-3)
    assert "Gap between two groups" in run.report.read_text()


def test_briefs(tmp_path: Path) -> None:
    rows = [{**row, "language": language(i)} for i, row in enumerate(briefs(120))]
    files = [f"data.train={write_jsonl(tmp_path / 'a.jsonl', rows[:60])}"]
    files += [f"data.test={write_jsonl(tmp_path / 'b.jsonl', rows[60:])}", "data.leaks=allow"]
    more = ["recipe.fields=[name,features,price]", f"model.name={tiny_llama(tmp_path / 'llama')}"]
    run = briefed(tmp_path, *files, *more, *ASKED, *BRIEF, "evaluation.zero_shot=false", "trainer.max_steps=1")
    subgroups, gap = parts_of(run)
    assert list(subgroups) == ["de", "en", "not given"]
    values = [subgroups[value]["perplexity"]["value"] for value in ("de", "en")]
    assert gap["value"] == pytest.approx(values[0] - values[1])


def test_images_have_a_gap_of_their_own_subgroups(tmp_path: Path) -> None:
    made = [{**row, "site": language(i)} for i, row in enumerate(write_patients(tmp_path / "images", 130, 0))]
    files = [f"data.train={write_table(tmp_path / 'a.csv', made[:60])}"]
    files += [f"data.test={write_table(tmp_path / 'b.csv', made[60:])}"]
    run = diagnosed(tmp_path, *files, "recipe.subgroups=[site]", "evaluation.gap=[site,de,en]")
    found = json.loads(run.metrics.read_text())
    assert {row["value"] for row in found["subgroups"]} == {"de", "en", "not given"}
    rows, sites = rows_of(run.predictions), [row["site"] for row in made[60:]]
    column = next(name for name in rows[0] if name.startswith("probability_") and "normal" not in name)
    finding = column.removeprefix("probability_")
    aurocs = []
    for site in ("de", "en"):
        inside = [row for row, own in zip(rows, sites, strict=True) if own == site]
        aurocs.append(
            roc_auc_score([row["truth"] == finding for row in inside], [float(row[column]) for row in inside])
        )
    assert found["gap"]["value"] == pytest.approx(aurocs[0] - aurocs[1], abs=1e-6)
