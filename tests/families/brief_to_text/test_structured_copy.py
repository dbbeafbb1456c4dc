"""marketing_copy with copy of several parts: trained, scored, opened again and used, all of it JSON."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tests.briefed import BRIEF, briefed, briefs, tiny_t5
from tests.conftest import Tunebook
from tests.user_error import user_error
from tunebook.cli.predict import predict_command
from tunebook.run_folder import RunFolder

TOKENS = 72
FEW = [*BRIEF, "trainer.max_steps=2", f"recipe.max_new_tokens={TOKENS}"]
PARTS = ["headline", "body"]
SCHEMA = {
    "type": "object",
    "properties": {"headline": {"type": "string"}, "points": {"type": "array", "items": {"type": "string"}}},
    "required": ["headline", "points"],
    "additionalProperties": False,
}


def rows(parts: bool) -> list[dict[str, Any]]:
    """Briefs whose copy is of two columns, or an object."""
    made = []
    for row in briefs(24):
        copy = row.pop("copy")[0]
        body = {"headline": f"{row['name'].capitalize()}!", "body": copy}
        whole = {"copy": {"points": [copy], "headline": f"{row['name'].capitalize()}!"}}
        made.append({**row, **(body if parts else whole)})
    return made


def trained(folder: Path, *more: str, parts: bool) -> RunFolder:
    folder.mkdir(exist_ok=True)
    file = folder / "briefs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows(parts)), encoding="utf-8")
    return briefed(folder, *FEW, f"data.train={file}", "recipe.fields=[name,features,price]", *more)


@pytest.fixture(scope="module")
def parted(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return trained(tmp_path_factory.mktemp("parted"), "recipe.target_fields=[headline,body]", parts=True)


@pytest.fixture(scope="module")
def by_schema(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("schema")
    schema = folder / "copy.schema.json"
    schema.write_text(json.dumps(SCHEMA))
    base = tiny_t5(folder / "my_t5")
    run = trained(folder, f"recipe.schema={schema}", f"model.name={base}", parts=False)
    schema.unlink()  # the bundle needs it no more
    return run


def predicted(run: RunFolder, folder: Path, parts: bool) -> list[dict[str, str]]:
    asked = folder / "new.jsonl"
    fresh = [{name: row[name] for name in ("name", "features", "price")} for row in rows(parts)[:5]]
    asked.write_text("".join(json.dumps(row) + "\n" for row in fresh), encoding="utf-8")
    out = folder / "out.csv"
    predict_command([str(run.bundle), str(asked), "-o", str(out)])
    with out.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_what_two_steps_write_can_all_be_parsed(parted: RunFolder, tmp_path: Path) -> None:
    score = json.loads(parted.metrics.read_text())["test"]["parsable"]
    assert score["value"] == 1.0
    assert score["low"] < 1.0
    for row in predicted(parted, tmp_path, parts=True):
        record = json.loads(row["copy"])
        assert list(record) == PARTS
        assert all(isinstance(text, str) and text for text in record.values())
        assert row["clean"] == "no" or not row["problems"]


def test_scores_and_the_table_are_of_what_is_said(parted: RunFolder) -> None:
    with parted.predictions.open(newline="", encoding="utf-8") as stream:
        table = list(csv.DictReader(stream))
    assert table
    said = {f"{row['headline']}\n{row['body']}" for row in rows(parts=True)}
    for row in table:
        assert row["reference"] in said
        assert not row["answer"].startswith("{")


def test_a_schema_travels_with_the_bundle(by_schema: RunFolder, tmp_path: Path) -> None:
    for row in predicted(by_schema, tmp_path, parts=False):
        record = json.loads(row["copy"])
        assert list(record) == ["headline", "points"]
        assert isinstance(record["points"], list)


@pytest.mark.parametrize(
    ("given", "code", "where"),
    [
        (["recipe.max_new_tokens=8"], "generation.no-room", "recipe.max_new_tokens"),
        (["recipe.decoding=beam"], "config.conflict", "recipe.decoding"),
        (["recipe.target_column=body"], "config.no-effect", "recipe.target_column"),
        (["recipe.target_fields=[headline,bodi]"], "data.missing-column", None),
    ],
)
def test_what_cannot_be_is_refused_before_training(tmp_path: Path, given: list[str], code: str, where: str) -> None:
    with user_error(code, where=where):
        trained(tmp_path, "recipe.target_fields=[headline,body]", *given, parts=True)


def test_a_schema_that_nothing_satisfies_ends_in_one_message(tmp_path: Path, tunebook: Tunebook) -> None:
    schema = tmp_path / "never.json"
    schema.write_text('{"type": "object", "properties": {"a": {"enum": []}}, "required": ["a"]}')
    file = tmp_path / "briefs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows(False)), encoding="utf-8")
    given = [f"data.train={file}", "recipe.fields=[name,features,price]", f"recipe.schema={schema}"]
    done = tunebook("check", "recipe=marketing_copy", *given, check=False)
    assert done.returncode == 2
    assert "Unsatisfiable" in done.stderr and str(schema) in done.stderr
    assert "Traceback" not in done.stderr
