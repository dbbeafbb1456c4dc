from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

from tests.conftest import Tunebook
from tests.examples.conftest import lines_of_python
from tunebook.testing import Workshop, verify_recipe

Example = Callable[[str], Path]


def test_the_rating_keeps_the_contract_in_at_most_60_lines(example: Example, workshop: Workshop) -> None:
    assert lines_of_python(example("rating")) <= 60
    assert all(outcome.good for outcome in verify_recipe("rating", workshop=workshop))


def test_a_short_run_answers_on_the_scale_and_refuses_what_is_off_it(
    example: Example, tunebook: Tunebook, tmp_path: Path
) -> None:
    samples = example("rating") / "samples"
    rows = tmp_path / "rows.csv"
    rows.write_text((samples / "train.csv").read_text(encoding="utf-8") + "Six stars from me!,6\n", encoding="utf-8")
    given = [f"data.train={rows}", f"data.validation={samples / 'validation.csv'}", f"data.test={samples / 'test.csv'}"]
    steep = ["trainer.max_steps=4", "optim.lr=0.05", "trainer=cpu", "evaluation.resamples=50", "data.max_rejects=1"]
    done = tunebook("train", "recipe=rating", *given, *steep, "run_dir=run")
    assert done.returncode == 0, done.stderr
    run = tmp_path / "work/run"
    (reject,) = (json.loads(line) for line in (run / "rejects.jsonl").read_text(encoding="utf-8").splitlines())
    assert reject["reason"] == "has the rating 6, which is not from 1 to 5"
    with (run / "predictions.csv").open(newline="", encoding="utf-8") as stream:
        answers = [float(row["prediction"]) for row in csv.DictReader(stream)]
    assert len(answers) == 14 and all(1 <= answer <= 5 for answer in answers)
