from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from tests.conftest import Tunebook
from tests.examples.conftest import lines_of_python
from tunebook.testing import Workshop, check_recipe

Example = Callable[[str], Path]


def test_the_aspect_sentiment_keeps_the_contract_in_at_most_60_lines(example: Example, workshop: Workshop) -> None:
    assert lines_of_python(example("aspect_sentiment")) <= 60
    assert all(outcome.good for outcome in check_recipe("aspect_sentiment", workshop=workshop))


def test_a_short_run_reads_sentence_and_aspect_everywhere(example: Example, tunebook: Tunebook, tmp_path: Path) -> None:
    samples, work = example("aspect_sentiment") / "samples", tmp_path / "work"
    small = ["trainer.max_steps=4", "trainer=cpu", "evaluation.resamples=50"]
    done = tunebook("train", "recipe=aspect_sentiment", *small, "run_dir=run")
    assert done.returncode == 0, done.stderr
    assert "with more than one label" not in done.stdout  # one sentence with two aspects is no contradiction
    asked = work / "asked.csv"
    asked.write_text("sentence,aspect\nGood food and rude staff.,food\nGood food and rude staff.,staff\n")
    done = tunebook("predict", "run", str(asked))
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert [row["text_pair"] for row in rows] == ["food", "staff"]
    assert rows[0]["probability_positive"] != rows[1]["probability_positive"]
    done = tunebook("predict", "run", input="Good food.\n")
    assert done.returncode == 2 and "(sentence, aspect)" in done.stderr
    # The training pairs are known by both their texts.
    done = tunebook("evaluate", "bundle=run", f"data.test={samples / 'train.csv'}", "run_dir=again")
    assert (done.returncode == 2 and "32 of" in done.stderr + done.stdout) or "already" in done.stderr
    other = work / "other.csv"
    text = (samples / "train.csv").read_text(encoding="utf-8")
    other.write_text(text.replace(",food,", ",taste,").replace(",service,", ",waiters,").split('"Tiny room')[0])
    done = tunebook("evaluate", "bundle=run", f"data.test={other}", "run_dir=other_aspects", "evaluation.resamples=50")
    assert done.returncode == 0, done.stderr
