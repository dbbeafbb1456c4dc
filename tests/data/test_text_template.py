from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import Tunebook
from tests.finished import finished
from tests.user_error import user_error
from tunebook.config.texts import TextDataConfig
from tunebook.data.columns import text_columns
from tunebook.data.load_and_validate import load_and_validate
from tunebook.data.reading import read_rows
from tunebook.data.rejects import RejectLog
from tunebook.data.text_template import TextTemplate

WITH = "data.text_with=[product,price]"
DEFAULT = "product: {product}. price: {price}.\n{text}"


def write(path: Path, rows: Sequence[Sequence[str]], header: Sequence[str] = ("text", "product", "price")) -> str:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])
    return str(path)


def texts(path: Path, **options: object) -> tuple[list[str], RejectLog]:
    log = RejectLog(path.parent / "rejects.jsonl", 0)
    columns = text_columns(TextDataConfig(text_with=["product", "price"], **options))  # type: ignore[arg-type]
    rows = read_rows(str(path), "data.train", columns, log)
    assert "product" not in log.unread.facts().get("columns not read", "")
    assert rows.roles == ("text",)
    return rows.texts("text"), log


def test_columns_are_written_before_the_text_in_every_format(tmp_path: Path) -> None:
    csv_path = Path(write(tmp_path / "rows.csv", [["It boils.", "Kettle", "20"], ["{price} too high", "", " "]]))
    jsonl = tmp_path / "rows.jsonl"
    rows = [{"text": "It boils.", "product": "Kettle", "price": 20.0}, {"text": "{price} too high", "product": None}]
    jsonl.write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = pa.table({"text": ["It boils.", "{price} too high"], "product": ["Kettle", None], "price": [20.0, None]})
    pq.write_table(table, tmp_path / "rows.parquet")
    for path in (csv_path, jsonl, tmp_path / "rows.parquet"):
        found, log = texts(path)
        assert found == [
            "product: Kettle. price: 20.\nIt boils.",
            "product: not given. price: not given.\n{price} too high",
        ]
        assert log.empty == Counter(product=1, price=1)


def test_a_template_of_ones_own(tmp_path: Path) -> None:
    path = Path(write(tmp_path / "rows.csv", [["It boils.", "Kettle", "20"]]))
    found, _ = texts(path, text_template="{text}\\n{{{product}}} for {price} ({product})")
    assert found == ["It boils.\n{Kettle} for 20 (Kettle)"]


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ({"text_with": ["a", "a"]}, "config.duplicate", "names 'a' twice"),
        ({"text_with": ["text"]}, "config.conflict", "'text', which is data.text"),
        ({"text_with": ["b"], "text_pair": "b"}, "config.conflict", "'b', which is data.text_pair"),
        ({"text_with": ["text"], "text": "review"}, "config.bad-template", "cannot be a place"),
        *(({"text_with": [name]}, "config.bad-template", "cannot be a place") for name in ("", " ", "7", "a.b", "a{")),
        ({"text_template": "{text}"}, "config.conflict", "no effect without data.text_with"),
        ({"text_with": ["a"], "text_template": "{text}"}, "config.bad-template", "no place for a"),
        ({"text_with": ["a"], "text_template": "{a}"}, "config.bad-template", "no place for text"),
        ({"text_with": ["a"], "text_template": ""}, "config.bad-template", "no place for a, text"),
        ({"text_with": ["a"], "text_template": "{a} {text} {b}"}, "config.bad-template", "the place {b}, which is no"),
        ({"text_with": ["a"], "text_template": "{a.real} {text}"}, "config.bad-template", "the place {a.real}"),
        ({"text_with": ["a"], "text_template": "{a!r} {text}"}, "config.bad-template", "the place {a}"),
        ({"text_with": ["a"], "text_template": "{a:99999999} {text}"}, "config.bad-template", "the place {a}"),
        ({"text_with": ["a"], "text_template": "{} {text}"}, "config.bad-template", "the place {}"),
        ({"text_with": ["a"], "text_template": "{a} {text"}, "config.bad-template", "cannot be read"),
    ],
)
def test_columns_and_templates_that_do_not_fit_are_refused(options: dict[str, object], code: str, said: str) -> None:
    with user_error(code, match=re.escape(said)):
        text_columns(TextDataConfig(**options))  # type: ignore[arg-type]


def test_equal_texts_of_two_products_are_no_duplicates(tmp_path: Path) -> None:
    rows = [[f"works as it should {i % 3}", name, "5"] for i, name in enumerate(["Kettle", "Lamp", "Rug"] * 10)]
    path = write(tmp_path / "rows.csv", [[*row[:2], str(i)] for i, row in enumerate(rows)])
    for names, repeats in ((["product", "price"], 0), ([], 27)):
        config = TextDataConfig(train=path, text_with=names, near_duplicate=1.0)
        log = RejectLog(tmp_path / "rejects.jsonl", 0)
        checked = load_and_validate(config, text_columns(config), samples=None, invalid=None, rejects=log, seed=0)
        assert checked.notes[0].startswith(f"train: {repeats} of 30 rows repeat") is bool(repeats)


def test_the_python_of_a_card_makes_the_same_text(tmp_path: Path) -> None:
    template = TextTemplate.of(["unit price", "product"], "{{\"'{unit price}'\"}}\\n{product}: {text}", {})
    values = {"text": ["fine"], "with 0": ["3"], "with 1": [None]}
    template.write_texts(values, Counter())  # type: ignore[arg-type]
    row = {"review": "fine", "unit price": "3", "product": "", "more": "x"}
    assert [eval(template.in_python("review"), {"row": row})] == values["text"] == ["{\"'3'\"}\nnot given: fine"]


def priced(path: Path, rows: int, seed: int) -> str:
    """Reviews whose label is that of their product alone."""
    draw = np.random.default_rng(seed)
    made = []
    for i in range(rows):
        product = ["Kettle", "Lamp"][i % 2]
        words = " ".join(f"w{n}" for n in draw.integers(0, 10_000, 4))
        made.append([words, product, str(i) if i % 5 else "", ["bad", "good"][i % 2]])
    return write(path, made, ("text", "product", "price", "label"))


def test_a_bundle_reads_the_columns_as_in_training(tmp_path: Path, tunebook: Tunebook) -> None:
    more = [WITH, f"data.train={priced(tmp_path / 'a.csv', 48, 1)}", f"data.test={priced(tmp_path / 'b.csv', 40, 2)}"]
    run = finished(tmp_path, *more, "trainer.max_epochs=1")
    manifest = json.loads((run.bundle / "tunebook.json").read_text())
    assert manifest["template"] == DEFAULT
    assert manifest["columns"] == {"text": "text", "with 0": "product", "with 1": "price", "label": "label"}
    assert "price in 18 rows" in run.report.read_text()
    with run.predictions.open(newline="") as stream:
        tested = list(csv.DictReader(stream))
    with (tmp_path / "b.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    whole = [DEFAULT.format(**{k: v or "not given" for k, v in row.items()}) for row in rows]
    assert [row["text"] for row in tested] == whole
    card = (run.bundle / "README.md").read_text()
    line = next(line for line in card.splitlines() if line.startswith("text = "))
    assert [eval(line.removeprefix("text = "), {"row": row}) for row in rows] == whole

    answers = tmp_path / "answers.csv"
    done = tunebook("predict", str(run.path), str(tmp_path / "b.csv"), "-o", str(answers))
    assert done.returncode == 0, done.stderr
    assert "note: empty cells of the columns beside the text read 'not given': price in 8 rows" in done.stderr
    with answers.open(newline="") as stream:
        predicted = list(csv.DictReader(stream))
    for mine, theirs in zip(predicted, tested, strict=True):
        assert mine["text"] == theirs["text"]
        assert float(mine["probability_good"]) == pytest.approx(float(theirs["probability_good"]), abs=1e-6)

    scored = tunebook("evaluate", f"bundle={run.path}", f"data.test={tmp_path / 'b.csv'}", f"run_dir={tmp_path / 'e'}")
    assert scored.returncode == 0, scored.stderr
    values = [json.loads((folder / "metrics.json").read_text())["test"] for folder in (tmp_path / "e", run.path)]
    assert values[0] == values[1]
    seen = tunebook("evaluate", f"bundle={run.path}", f"data.test={tmp_path / 'a.csv'}", f"run_dir={tmp_path / 'f'}")
    assert seen.returncode == 2 and "48 of 48 rows were already used" in seen.stderr

    without = write(tmp_path / "without.csv", [[row["text"], row["product"]] for row in rows], ("text", "product"))
    for verb in (["predict", str(run.path), without], ["evaluate", f"bundle={run.path}", f"data.test={without}"]):
        refused = tunebook(*verb)
        assert refused.returncode == 2
        assert "without.csv has no column 'price'" in refused.stderr
    piped = tunebook("predict", str(run.path), input="one line\n")
    assert piped.returncode == 2 and "several texts (text, product, price)" in piped.stderr
    manifest["template"] = "{text.__class__} {product} {price} {text}"
    (run.bundle / "tunebook.json").write_text(json.dumps(manifest))
    damaged = tunebook("predict", str(run.path), str(tmp_path / "b.csv"))
    assert damaged.returncode == 2 and "tunebook.json is damaged" in damaged.stderr
