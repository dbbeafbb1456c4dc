from __future__ import annotations

import csv
import glob
import gzip
import json
import random
import shlex
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from tests.user_error import user_error
from tunebook.data.columns import Column
from tunebook.data.formats import read_batches
from tunebook.data.paths import resolve_paths, short_names
from tunebook.errors import UserError

COLUMNS = (Column("text", "text", "data.text", "text"), Column("label", "label", "data.label", "label"))
Row = tuple[int, str | None, str | None]


def read(path: Path, columns: Sequence[Column] = COLUMNS, rows: int = 4096) -> tuple[list[Row], list[tuple]]:
    rejects: list[tuple] = []
    found: list[Row] = []
    for chunk in read_batches(path, columns, lambda *reject: rejects.append(reject), rows):
        found += zip(chunk.lines, chunk.values["text"], chunk.values["label"], strict=True)
    return found, rejects


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_csv_keeps_every_value_as_text_with_the_line_its_row_starts_on(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", '\ufefftext,id,label\n"two\nlines",1,NA\n\n"say ""hi""",007,null\nno,3,"1,5"\n')
    assert read(path) == ([(2, "two\nlines", "NA"), (5, 'say "hi"', "null"), (6, "no", "1,5")], [])


def test_tsv_and_windows_line_ends(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", "text\tlabel\r\na, b\tx\r\n\r\nc\ty\r\n")
    assert read(path)[0] == [(2, "a, b", "x"), (4, "c", "y")]


def test_csv_lines_agree_with_the_file_for_random_content(tmp_path: Path) -> None:
    rng = random.Random(0)
    alphabet = ["a", " ", '"', ",", "\n", "\r\n", "é", "5' 8\"", ";"]
    rows = [["".join(rng.choices(alphabet, k=rng.randrange(1, 9))), str(i)] for i in range(500)]
    path, starts = tmp_path / "a.csv", []
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["text", "label"])
        for row in rows:
            file.flush()
            starts.append(path.read_bytes().count(b"\n") + 1)
            writer.writerow(row)
    found, rejects = read(path, rows=7)
    assert found == [(start, *row) for start, row in zip(starts, rows, strict=True)]
    assert rejects == []


def test_csv_rows_that_cannot_be_read_are_rejected_and_the_others_kept(tmp_path: Path) -> None:
    lines = [
        b"text,label",
        b"ok,x",
        b"caf\xe9 au lait,x",
        b"a,b,c",
        b'"bad"quote,x',
        b"fine,y",
        b'"a stray quote' + 120 * b"\nan innocent row,x" + b'",x',
        b"last,y",
    ]
    found, rejects = read(write(tmp_path / "a.csv", b"\n".join(lines)))
    assert found == [(2, "ok", "x"), (6, "fine", "y"), (128, "last", "y")]
    assert [(line, field) for line, field, _, _ in rejects] == [(3, "text"), (4, ""), (5, ""), (7, "")]
    reasons = [reason for _, _, reason, _ in rejects]
    assert reasons[0].startswith("is not UTF-8: byte 0xe9 at offset 3")
    assert reasons[1] == "has 3 fields where the header has 2"
    assert "closing quote" in reasons[2]
    assert reasons[3] == "spans 121 lines: is a quote in it stray?"


def test_a_quote_that_is_never_closed_stops_everything_because_nobody_knows_how_many_rows_it_takes(tmp_path: Path):
    path = write(tmp_path / "a.csv", b'text,label\nok,x\n"open,x\nz,z\ny,z\n')
    with user_error("data.unclosed-quote", where="a.csv:3", match="a quote is opened and never closed: lines 3 to 5"):
        read(path)


def test_bytes_that_are_not_utf8_in_a_column_nobody_reads_do_no_harm(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", b"text,note,label\nok,\xff,x\n")
    assert read(path) == ([(2, "ok", "x")], [])


def test_a_field_of_several_megabytes_is_read_whole(tmp_path: Path) -> None:
    long = ("word, " * 10_000 + "\n") * 50
    path = write(tmp_path / "a.csv", f'text,label\n"{long}",x\nshort,y\n')
    assert read(path) == ([(2, long, "x"), (53, "short", "y")], [])


def test_gzipped_text_reads_as_plain_text_does(tmp_path: Path) -> None:
    content = b"text,label\ngood,1\nbad,0\n"
    plain = write(tmp_path / "a.csv", content)
    packed = write(tmp_path / "b.csv.gz", gzip.compress(content))
    assert read(plain) == read(packed)


def test_chunks_never_hold_more_rows_than_asked(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label\n" + "t,l\n" * 10)
    sizes = [len(chunk.lines) for chunk in read_batches(path, COLUMNS, lambda *_: None, 4)]
    assert sizes == [4, 4, 2]


def test_jsonl_values_become_text_and_broken_lines_rejects(tmp_path: Path) -> None:
    lines = [
        '{"text": "a", "label": 5}',
        '{"text": "b", "label": 5.0}',
        "",
        '{"text": "c", "label": 2.5}',
        '{"text": "d", "label": true}',
        '{"text": "e", "label": null}',
        '{"text": "f"}',
        '{"text": "g", "label": NaN}',
        '{"text": "h", "label": 1, "label": 2}',
        '["i", 1]',
        '{"text": "j", ',
        '{"text": ["k"], "label": 1}',
        '{"text": "\\ud800", "label": 1}',
    ]
    found, rejects = read(write(tmp_path / "a.jsonl", "\n".join(lines)))
    assert found == [
        (1, "a", "5"),
        (2, "b", "5"),
        (4, "c", "2.5"),
        (5, "d", "true"),
        (6, "e", None),
        (7, "f", None),
    ]
    expected = [
        "holds NaN",
        "'label' more than once",
        "not a JSON object",
        "is not JSON",
        "is a list",
        "surrogate",
    ]
    assert [line for line, *_ in rejects] == [8, 9, 10, 11, 12, 13]
    assert all(part in reason for part, (_, _, reason, _) in zip(expected, rejects, strict=True))


def test_a_json_array_is_refused_with_the_command_that_converts_it(tmp_path: Path) -> None:
    with user_error("data.json-array", match="one JSON array"):
        read(write(tmp_path / "a.json", '[{"text": "a", "label": 1}]'))


def test_columns_of_kind_any_keep_nested_values_as_json(tmp_path: Path) -> None:
    column = Column("messages", "messages", "data.messages", "any")
    path = write(tmp_path / "a.jsonl", '{"messages": [{"role": "user", "content": "é"}]}\n')
    (chunk,) = read_batches(path, [column], lambda *_: None)
    assert chunk.values["messages"] == ['[{"role": "user", "content": "é"}]']


@pytest.mark.parametrize("packed", [False, True])
def test_parquet_values_become_text_by_the_same_rules(tmp_path: Path, packed: bool) -> None:
    table = pa.table({"text": pa.array(["a", "b", "c"]).dictionary_encode(), "label": [5.0, None, 2.5]})
    path = tmp_path / "a.parquet"
    pq.write_table(table, path)
    if packed:
        path = write(tmp_path / "b.parquet.gz", gzip.compress(path.read_bytes()))
    assert read(path, rows=2) == ([(1, "a", "5"), (2, "b", None), (3, "c", "2.5")], [])


def saved_dataset(folder: Path) -> Path:
    """What `datasets.Dataset.save_to_disk` writes."""
    folder.mkdir(parents=True)
    table = pa.table({"text": ["a", "b", "c"], "label": [1, 0, -1]})
    for i, part in enumerate((table.slice(0, 2), table.slice(2))):
        with pa.ipc.new_stream(str(folder / f"data-{i}.arrow"), table.schema) as stream:
            stream.write_table(part)
    files = [{"filename": f"data-{i}.arrow"} for i in range(2)]
    (folder / "state.json").write_text(json.dumps({"_data_files": files}))
    features = {"label": {"_type": "ClassLabel", "names": ["bad", "good"]}, "text": {"_type": "Value"}}
    (folder / "dataset_info.json").write_text(json.dumps({"features": features}))
    return folder


def test_a_saved_datasets_folder_names_its_classes(tmp_path: Path) -> None:
    folder = saved_dataset(tmp_path / "set")
    assert resolve_paths(str(folder), "data.train") == [folder]
    assert read(folder) == ([(1, "a", "good"), (2, "b", "bad"), (3, "c", None)], [])


def test_a_folder_of_several_splits_says_which_to_choose_from(tmp_path: Path) -> None:
    saved_dataset(tmp_path / "all" / "train")
    (tmp_path / "all" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    with user_error(
        "data.several-splits",
        where="data.train",
        match=r"several splits: train, test\n.*data.train\n.*data.train=.*all/train",
    ):
        resolve_paths(str(tmp_path / "all"), "data.train")


def test_a_wrong_column_names_the_key_the_nearest_column_and_all(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "texts,label\na,b\n")
    with user_error("data.missing-column", where="data.text") as caught:
        read(path)
    assert str(caught.value) == (
        "a.csv has no column 'text'\n"
        "  where: data.text\n"
        "  fix:   did you mean data.text=texts? its columns: texts, label"
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "a.csv is empty"),
        ("a.csv", b"text,label\n\n", "has a header and no rows"),
        ("a.csv", b"text,label,text\na,b,c\n", "names the column 'text' more than once"),
        ("a.csv", "text,label\na,b\n".encode("utf-16"), "looks like UTF-16"),
        ("a.csv", "text,label\na,b\n".encode("utf-16-le"), "looks like UTF-16"),
        ("a.csv", b"PK\x03\x04 sheet", "binary file"),
        ("a.csv", gzip.compress(b"text,label\na,b\n", mtime=0), "gzipped but not named so"),
        ("a.csv.gz", gzip.compress(b"text,label\na,b\n", mtime=0)[:-9], "damaged gzip"),
        ("a.csv.gz", b"text,label\na,b\n", "damaged gzip"),
        ("a.csv", b"text;label\na;b\n", "another character"),
        ("a.jsonl", b"", "a.jsonl is empty"),
        ("a.parquet", b"nonsense", "not a readable Parquet file"),
        ("a.xlsx", b"PK", r"unknown file format(.|\n)*\.csv, \.tsv"),
    ],
)
def test_a_file_that_cannot_be_used_says_so(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(write(tmp_path / name, content))


def test_paths_come_from_globs_and_lists_each_once_in_order(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    files = [write(tmp_path / name, "") for name in ("b.csv", "a.csv", "deep/er/c.csv")]
    pattern = str(tmp_path / "**" / "*.csv")
    assert resolve_paths([pattern, str(files[0])], "data.train") == sorted(files)
    with user_error("data.missing-file", where="data.train", match=r"no file matches .*\*\.tsv"):
        resolve_paths(str(tmp_path / "*.tsv"), "data.train")


@pytest.mark.parametrize(
    "pattern", ["**", "**/*.csv", "a/**/*.csv", "a/**", "**/b/**/*.csv", "**/b/*.csv", "*/**/[cd].*"]
)
def test_patterns_find_what_pythons_do(tmp_path: Path, pattern: str) -> None:
    for name in (
        "c.csv",
        "a/c.csv",
        "a/b/d.csv",
        "a/b/x/c.csv",
        "b/y/z/d.csv",
        ".hidden/c.csv",
        "a/.h/b/c.csv",
        "a/.c.csv",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write(tmp_path / name, "")
    (tmp_path / "a" / "link").symlink_to(tmp_path / "b" / "y")
    wanted = {Path(match).resolve() for match in glob.glob(str(tmp_path / pattern), recursive=True)}
    found = resolve_paths(str(tmp_path / pattern), "data.train")
    assert {path.resolve() for path in found} == {path for path in wanted if path.is_file()}
    assert len(found) == len({path.resolve() for path in found})


@pytest.mark.parametrize("distinct", [3, 5000])
def test_texts_that_many_rows_of_a_parquet_file_share_come_back(tmp_path: Path, distinct: int) -> None:
    texts = [f"{i % distinct} " + "words " * 200 if i % 7 else None for i in range(6000)]
    labels = [str(i % 2) for i in range(6000)]
    pq.write_table(pa.table({"text": texts, "label": labels}), tmp_path / "rows.parquet")
    found, rejects = read(tmp_path / "rows.parquet")
    assert found == [(i + 1, text, label) for i, (text, label) in enumerate(zip(texts, labels, strict=True))]
    assert not rejects


def test_a_missing_file_names_the_key_and_files_with_a_like_name(tmp_path: Path) -> None:
    write(tmp_path / "reviews.csv", "")
    with pytest.raises(
        UserError, match=r"revews.csv does not exist\n.*data.test\n.*did you mean data.test=.*/reviews.csv"
    ):
        resolve_paths(str(tmp_path / "revews.csv"), "data.test")


def test_a_value_that_is_no_path_is_refused() -> None:
    with user_error("config.wrong-type", where="data.train", match="5 is neither a path nor a list of paths"):
        resolve_paths(5, "data.train")


def test_files_of_one_name_are_told_apart_by_their_folders() -> None:
    names = short_names([Path("/x/a/rows.csv"), Path("/x/b/rows.csv"), Path("/x/b/more.csv")])
    assert list(names.values()) == ["a/rows.csv", "b/rows.csv", "more.csv"]
    one_file = [Path("rows.csv"), Path("rows.csv").absolute()]
    assert set(short_names(one_file).values()) == {"rows.csv"}


def test_an_object_that_breaks_off_is_told_at_its_own_end(tmp_path: Path):
    path, found = tmp_path / "rows.jsonl", []
    path.write_bytes(b'{"text": "fine"}\r\n{"text": \n{"text": "good"}\n')
    list(read_batches(path, [Column("text", "text", "data.text", "text")], lambda *told: found.append(told)))
    assert [(line, reason) for line, _, reason, _ in found] == [(2, "is not JSON: Expecting value at column 10")]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_header_in_the_middle_is_rejected_as_such(tmp_path: Path, mark: str, end: str) -> None:
    def part(rows: str) -> str:
        return f"{mark}text,note,label{end}{rows}{end}"

    path = write(tmp_path / "all.csv", part("a,1,x") + part("b,2,y") + part('"text",note,z') + part("label,text,note"))
    found, rejects = read(path)
    assert found == [(2, "a", "x"), (4, "b", "y"), (6, "text", "z"), (8, "label", "note")]
    assert [(line, field) for line, field, _, _ in rejects] == [(3, ""), (5, ""), (7, "")]
    assert {reason for _, _, reason, _ in rejects} == {"repeats the header: were files with headers put together?"}


@pytest.mark.parametrize("name", ["review text", " text ", "it's text", "text$"])
def test_the_column_of_the_message_can_be_typed_in_a_shell(tmp_path: Path, name: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"{name},label\na,x\n")
    with pytest.raises(UserError) as caught:
        list(read_batches(path, [Column("text", "text", "data.text", "text")], lambda *reject: None))
    typed = shlex.split(str(caught.value.fix).removeprefix("did you mean ").partition("? its columns")[0])
    (override,) = OverridesParser.create().parse_overrides(typed)
    assert (override.key_or_group, override.value()) == ("data.text", name)
