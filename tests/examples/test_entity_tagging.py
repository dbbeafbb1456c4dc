"""A family written outside Tunebook: installed as a user would, verified, trained, asked, scored and compared."""

from __future__ import annotations

import ast
import csv
import json
import os
import random
import shutil
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest
import torch
from transformers import pipeline

from tests.conftest import Tunebook

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "entity_tagging"
SMALL = ("trainer=cpu", "trainer.threads=1", "logger=csv", "evaluation.resamples=50")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, installed into a folder of its own; the copy keeps what building leaves out of the checkout."""
    folder = tmp_path_factory.mktemp("installed")
    shutil.copytree(EXAMPLE, folder / "source", ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    plain = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check")
    target = ("--target", str(folder / "site"))
    subprocess.run([sys.executable, "-m", "pip", "install", *plain, *target, str(folder / "source")], check=True)
    return folder / "site"


@pytest.fixture
def installed(site: Path) -> dict[str, str]:
    """The environment in which the package is found."""
    return {"PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])}


@pytest.fixture
def spans(site: Path, monkeypatch: pytest.MonkeyPatch):
    """Its module of spans."""
    monkeypatch.syspath_prepend(str(site))
    from entity_tagging import spans

    return spans


def code_lines(file: Path) -> int:
    """Lines of a module that are code: neither blank nor comment nor docstring."""
    nothing = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    lines: set[int] = set()
    with file.open("rb") as stream:
        for token in tokenize.tokenize(stream.readline):
            if token.type not in (*nothing, tokenize.ENCODING):
                lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def test_the_whole_family_is_at_most_400_lines_of_code() -> None:
    assert sum(map(code_lines, EXAMPLE.rglob("*.py"))) <= 400


def test_it_imports_what_is_public_alone() -> None:
    for file in EXAMPLE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            named = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any("._" in name or name.startswith(("tunebook.cli", "tunebook.recipes")) for name in named)


def test_spans_and_scores_are_those_of_seqeval(spans) -> None:
    reference = pytest.importorskip("seqeval.metrics.sequence_labeling")
    draw = random.Random(0)
    tags = ["O", "O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    truth, answers = ([[draw.choice(tags) for _ in range(9)] for _ in range(200)] for _ in range(2))
    for row in truth:
        found = {(kind, first, last + 1) for kind, first, last in reference.get_entities(row)}
        assert spans.spans(row) == found
    measured = {name: each.value() for name, each in spans.measures(truth, answers).items()}
    for name in ("f1", "precision", "recall"):
        expected = getattr(reference, f"{name}_score")(truth, answers)
        assert measured[f"span_{name}"] == pytest.approx(expected, abs=1e-12)
    of_kinds = reference.f1_score(truth, answers, average=None)  # by name: LOC, PER
    for kind, expected in zip(("LOC", "PER"), of_kinds, strict=True):
        assert spans.measures(truth, answers, kind)["f1"].value() == pytest.approx(expected, abs=1e-12)


def test_validation_measures_what_testing_does(spans) -> None:
    head = spans.TagHead(["O", "B-PER", "I-PER"])
    target = torch.tensor([[-100, 1, -100, 2, 0, -100], [-100, 0, 1, -100, -100, -100]])
    answers = torch.tensor([[2, 1, 1, 0, 0, 2], [1, 0, 1, 2, 2, 2]])
    # PER of words 0 and 1 is found as word 0 alone; PER of word 1 is found.
    assert head.counts(answers, target).tolist() == [[0, 1, 1], [1, 1, 1]]
    logits = torch.zeros(2, 6, 3)
    assert head.units({"target": target}).tolist() == [3, 2]
    assert head.loss(logits, target).tolist() == pytest.approx([3 * 1.0986123, 2 * 1.0986123])


def test_it_passes_every_check(tunebook: Tunebook, installed: dict[str, str]) -> None:
    done = tunebook("verify", "local_news", env=installed, timeout=550)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "14 of 16 checks passed, 2 not applicable" in done.stdout


def test_a_tagger_is_trained_opened_asked_and_scored(
    tmp_path: Path, tunebook: Tunebook, installed: dict[str, str]
) -> None:
    run = tmp_path / "run"
    arguments = ("recipe=local_news", *SMALL, "trainer.max_epochs=4", f"run_dir={run}")
    done = tunebook("train", *arguments, env=installed, timeout=550)
    assert done.returncode == 0, done.stderr
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    score = metrics["test"]["span_f1"]
    assert score["low"] < score["value"] < score["high"] and score["value"] > 0.2
    assert set(metrics["per_class"]) == {"PER", "ORG", "LOC"} and set(metrics["baselines"]) == {"no names", "memorised"}
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "F1 of each kind" in page and "<svg" in page and "Worst mistakes" in page

    # A plain pipeline, which splits words itself, and what `predict` writes agree on the names.
    rows = tmp_path / "rows.csv"
    sentence = "Doctor Ines Lind works at the hospital in Sundby ."
    rows.write_text(f"text\n{sentence}\n", encoding="utf-8")
    asked = tunebook("predict", str(run), str(rows), "-o", str(tmp_path / "answers.csv"), env=installed)
    assert asked.returncode == 0, asked.stderr
    with (tmp_path / "answers.csv").open(newline="", encoding="utf-8") as stream:
        (answer,) = csv.DictReader(stream)
    tags = answer["prediction"].split()
    assert len(tags) == len(sentence.split())
    tag = pipeline("token-classification", str(run / "model"), aggregation_strategy=None, ignore_labels=[])
    pieces = {piece["start"] + (sentence[piece["start"]] == " "): piece["entity"] for piece in tag(sentence)}
    starts = [sum(len(word) + 1 for word in sentence.split()[:i]) for i in range(len(tags))]
    assert [pieces[start] for start in starts] == tags

    samples = EXAMPLE / "entity_tagging" / "samples"
    scored = tunebook(
        "evaluate", f"bundle={run}", f"data.test={samples / 'test.csv'}", "accelerator=cpu", env=installed
    )
    assert scored.returncode == 0, scored.stderr
    assert f"{score['value']:.3f}" in scored.stdout
    seen = tunebook("evaluate", f"bundle={run}", f"data.test={samples / 'train.csv'}", env=installed)
    assert seen.returncode == 2 and "100 of 100 rows" in seen.stderr
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("text,tags\nAda sings .,B-PER O\n", encoding="utf-8")
    refused = tunebook("evaluate", f"bundle={run}", f"data.test={wrong}", env=installed)
    assert refused.returncode == 2 and "has 3 words and 2 tags" in refused.stderr


def test_baselines_are_compared_with_a_tagger(tmp_path: Path, tunebook: Tunebook, installed: dict[str, str]) -> None:
    given = (
        "recipe=local_news",
        *SMALL,
        "trainer.max_steps=3",
        "compare.seeds=1",
        "compare.curve=[]",
        f"run_dir={tmp_path / 'runs'}",
    )
    done = tunebook("compare", *given, "compare.rungs=[majority,classical,full]", env=installed, timeout=550)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "names of the training rows, memorised" in done.stdout


def test_a_row_whose_tags_do_not_fit_is_refused(tmp_path: Path, tunebook: Tunebook, installed: dict[str, str]) -> None:
    (tmp_path / "rows.csv").write_text("text,tags\nAda sings .,B-PER O\nAda sings .,B-CAT O O\n", encoding="utf-8")
    done = tunebook("check", "recipe=local_news", f"data.train={tmp_path / 'rows.csv'}", env=installed)
    assert done.returncode == 2 and "has 3 words and 2 tags" in done.stderr
