from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.user_error import user_error
from tunebook.data.reading import read_rows
from tunebook.data.rejects import RejectLog
from tunebook.errors import UserError
from tunebook.families.brief_to_text.data.forms import BriefForm, Constraints, brief_columns, brief_form


def jsonl(path: Path, *rows: dict[str, object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def csv_file(path: Path, header: str) -> Path:
    path.write_text(f"{header}\n{','.join('x' for _ in header.split(','))}\n")
    return path


def test_the_config_names_the_columns() -> None:
    assert brief_form(["name", "features"], None) == BriefForm(("name", "features"))
    assert brief_form(None, "product", "text") == BriefForm(brief="product", copy="text")


@pytest.mark.parametrize("name", ["mr", "meaning_representation", "brief"])
def test_a_column_that_holds_briefs_whole_is_known_by_its_name(tmp_path: Path, name: str) -> None:
    paths = [csv_file(tmp_path / "train.csv", f"{name},ref"), jsonl(tmp_path / "test.jsonl", {"id": 1, name: "a[b]"})]
    assert brief_form(None, None, "ref", paths=paths) == BriefForm(brief=name, copy="ref")


def test_without_such_a_column_the_columns_there_are_are_told(tmp_path: Path) -> None:
    paths = [csv_file(tmp_path / "train.csv", "mr,ref"), jsonl(tmp_path / "test.jsonl", {"name": "a", "copy": "b"})]
    with user_error("brief.unknown-columns", where="recipe.fields") as caught:
        brief_form(None, None, paths=paths)
    assert caught.value.where == "recipe.fields"
    assert "the columns of train.csv: mr, ref; the columns of test.jsonl: name, copy" in str(caught.value.fix)
    with user_error("brief.unknown-columns", where="recipe.fields"):
        brief_form([], None)


@pytest.mark.parametrize(
    ("fields", "brief", "copy", "constraints", "message"),
    [
        (["name"], "mr", "copy", None, "recipe.brief names the column 'mr', and recipe.fields the columns name too"),
        (["name", "name"], None, "copy", None, "the column 'name' is named twice"),
        (["name", "copy"], None, "copy", None, "the column 'copy' is both a field of the brief and the copy"),
        (None, "mr", "mr", None, "the column 'mr' is both the brief and the copy"),
        (
            ["name", "channel"],
            None,
            "copy",
            None,
            "the column 'channel' is both a field of the brief and recipe.channel",
        ),
        (
            ["name"],
            None,
            "copy",
            Constraints(must_avoid="copy"),
            "the column 'copy' is both the copy and recipe.must_avoid",
        ),
    ],
)
def test_a_column_is_one_thing(
    fields: list[str] | None, brief: str | None, copy: str, constraints: Constraints | None, message: str
) -> None:
    with pytest.raises(UserError) as caught:
        brief_form(fields, brief, copy, constraints)
    assert (caught.value.what, caught.value.where) == (message, "recipe.fields")


def test_a_constraint_that_is_switched_off_is_a_field_like_others() -> None:
    form = brief_form(["name", "channel"], None, constraints=Constraints(channel=None))
    assert [column.name for column in brief_columns(form)][:2] == ["name", "channel"]
    assert "channel" not in [column.role for column in brief_columns(form)]


def test_what_keeps_its_name_may_be_absent_and_what_is_named_must_be_there(tmp_path: Path) -> None:
    path = str(
        jsonl(tmp_path / "rows.jsonl", {"name": "a", "copy": "b", "channel": "tweet"}, {"price": 5, "copy": "c"})
    )
    rejects = RejectLog(tmp_path / "rejects.jsonl", 0)
    rows = read_rows(path, "data.train", brief_columns(BriefForm(("name", "price")), group="name"), rejects)
    assert (len(rows), rejects.count) == (1, 1)  # the second row is in no group
    rows = read_rows(path, "data.train", brief_columns(BriefForm(("name", "price"))), rejects)
    assert rows.texts("field:name") == ["a", ""]
    assert rows.texts("field:price") == ["", "5"]
    assert rows.texts("channel") == ["tweet", ""]
    assert rows.texts("must_avoid") == ["", ""]
    for form in (BriefForm(("name", "size")), BriefForm(("name",), constraints=Constraints(must_avoid="banned"))):
        with user_error("data.missing-column"):
            read_rows(path, "data.train", brief_columns(form), rejects)


def test_rows_without_copy_are_read_where_it_is_still_to_be_written(tmp_path: Path) -> None:
    path = str(jsonl(tmp_path / "rows.jsonl", {"name": "a"}))
    rejects = RejectLog(tmp_path / "rejects.jsonl", 0)
    assert len(read_rows(path, "data", brief_columns(BriefForm(("name",)), answered=False), rejects)) == 1
    with user_error("data.missing-column", where="recipe.target_column"):
        read_rows(path, "data", brief_columns(BriefForm(("name",))), rejects)


def missing(path: Path, form: BriefForm, answered: bool = True) -> UserError:
    with user_error("data.missing-column") as caught:
        list(read_rows(str(path), "files", brief_columns(form, answered=answered), RejectLog(path, 0)).texts("file"))
    return caught.value


def test_a_field_that_is_missing_is_renamed_among_the_others(tmp_path: Path) -> None:
    path = csv_file(tmp_path / "rows.csv", "name,features,copy")
    told = missing(path, BriefForm(("nam", "features")))
    assert told.where == "recipe.fields"
    assert str(told.fix).startswith("did you mean recipe.fields=[name,features]? its columns: name, features, copy")


def test_rows_to_be_answered_are_told_what_the_verb_takes(tmp_path: Path) -> None:
    path = csv_file(tmp_path / "rows.csv", "briefs,titles")
    whole = missing(path, BriefForm(brief="brief"), answered=False)
    assert (whole.where, str(whole.fix).partition("? ")[0]) == ("--text", "did you mean --text=briefs")
    fields = missing(path, BriefForm(("title", "price")), answered=False)
    assert fields.where == str(path) and str(fields.fix).startswith("rename 'titles' to 'title'; its columns:")
    named = missing(path, BriefForm(("titles",), constraints=Constraints(must_avoid="zzz")), answered=False)
    assert str(named.fix).startswith("call a column 'zzz'; its columns:")
