"""`predict` and `evaluate` say of new rows what the run said of its test rows."""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
from pathlib import Path

import pyarrow.csv
import pyarrow.parquet
import pytest

from tests.conftest import Tunebook
from tests.finished import finished
from tests.light import said_lightly
from tests.user_error import user_error
from tunebook.cli.predict import predict_command
from tunebook.run_folder import RunFolder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return finished(tmp_path_factory.mktemp("run"))


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def of_run(run: RunFolder) -> list[dict[str, str]]:
    return table(run.predictions.read_text(encoding="utf-8"))


def predicted(capsys: pytest.CaptureFixture[str], run: RunFolder, *arguments: object) -> list[dict[str, str]]:
    capsys.readouterr()
    predict_command([str(run.path), *map(str, arguments)])
    return table(capsys.readouterr().out)


def answers(rows: list[dict[str, str]]) -> list[tuple[str, ...]]:
    return [(r["text"], r["prediction"], r["probability_bad"], r["probability_good"]) for r in rows]


def test_the_test_rows_get_exactly_what_the_run_says(run: RunFolder, capsys: pytest.CaptureFixture[str]):
    rows = predicted(capsys, run, run.path.parent / "test.csv")
    assert answers(rows) == answers(of_run(run))
    assert [(r["file"], r["line"]) for r in rows] == [(r["file"], r["line"]) for r in of_run(run)]
    assert list(rows[0]) == ["file", "line", "text", "prediction", "probability_bad", "probability_good"]


def test_every_format_gives_the_same_answers(run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    source = run.path.parent / "test.csv"
    rows = pyarrow.csv.read_csv(source)
    pyarrow.parquet.write_table(rows, tmp_path / "rows.parquet")
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows.to_pylist()))
    with (tmp_path / "rows.tsv").open("w", newline="") as stream:
        csv.writer(stream, delimiter="\t").writerows([rows.column_names, *(r.values() for r in rows.to_pylist())])
    for name in ("rows.jsonl", "rows.tsv"):
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    expected = answers(of_run(run))
    for file in sorted(tmp_path.iterdir()):
        assert answers(predicted(capsys, run, file)) == expected, file.name


def test_standard_input_gives_the_same_answers(run: RunFolder, tunebook: Tunebook):
    expected = of_run(run)
    done = tunebook("predict", str(run.bundle), input="".join(r["text"] + "\n" for r in expected))
    assert done.returncode == 0, done.stderr
    assert answers(table(done.stdout)) == answers(expected)
    assert [(r["file"], r["line"]) for r in table(done.stdout)][:2] == [("stdin", "1"), ("stdin", "2")]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_an_output_file_is_whole_and_holds_the_same(suffix: str, run: RunFolder, tmp_path: Path):
    output = tmp_path / f"answers{suffix}"
    predict_command([str(run.path), str(run.path.parent / "test.csv"), "-o", str(output)])
    if suffix == ".csv":
        assert answers(table(output.read_text())) == answers(of_run(run))
    else:
        rows = [json.loads(line) for line in output.read_text().splitlines()]
        assert [r["prediction"] for r in rows] == [r["prediction"] for r in of_run(run)]
        assert [f"{r['probability_good']:.9g}" for r in rows] == [r["probability_good"] for r in of_run(run)]
    assert [p.name for p in tmp_path.iterdir()] == [output.name]


def test_rows_that_cannot_be_used_stop_it_or_are_counted(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "rows.csv"
    file.write_text('text\nfine\n""\ngood\n')
    with user_error("data.rejected-rows") as caught:
        predicted(capsys, run, file)
    assert "rows.csv:3" in str(caught.value)
    assert "--max-rejects" in str(caught.value.fix), "the option of this verb, not a config key"
    output = tmp_path / "out.csv"
    predict_command([str(run.path), str(file), "--max-rejects", "1", "-o", str(output)])
    assert [r["line"] for r in table(output.read_text())] == ["2", "4"]
    assert (tmp_path / "out.csv.rejects.jsonl").read_text().count("\n") == 1


def test_another_column_is_named_by_an_option(run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "rows.csv"
    file.write_text("id,review\n1,love it\n")
    with user_error("data.missing-column", where="--text") as caught:
        predicted(capsys, run, file)
    assert "--text" in str(caught.value) and "data.text" not in str(caught.value)
    assert predicted(capsys, run, file, "--text", "review")[0]["text"] == "love it"


def test_a_missing_file_is_told_in_words_of_this_verb(run: RunFolder, tmp_path: Path):
    (tmp_path / "reviews.csv").write_text("text\nfine\n")
    with user_error("data.missing-file", where="files") as caught:
        predict_command([str(run.path), str(tmp_path / "review.csv")])
    assert "does not exist" in caught.value.what and "files=" not in str(caught.value)
    with user_error("command.wrong-extension", match=r"can be \.csv or \.jsonl"):
        predict_command([str(run.path), "x.csv", "-o", "answers.xlsx"])
    with user_error("file.missing-folder", match="folder of the output is missing"):
        predict_command([str(run.path), "x.csv", "-o", str(tmp_path / "no" / "answers.csv")])


def test_a_moved_bundle_needs_nothing_else_of_its_run(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    moved = RunFolder(Path(shutil.copytree(run.bundle, tmp_path / "elsewhere")))
    assert answers(predicted(capsys, moved, run.path.parent / "test.csv")) == answers(of_run(run))


def test_evaluate_on_the_test_rows_gives_the_scores_of_the_run(run: RunFolder, tunebook: Tunebook, tmp_path: Path):
    done = tunebook(
        "evaluate",
        f"bundle={run.path}",
        f"data.test={run.path.parent / 'test.csv'}",
        "accelerator=cpu",
        "evaluation.resamples=50",
        "run_dir=scores",
    )
    assert done.returncode == 0, done.stderr
    scores = tmp_path / "work" / "scores"
    ours, theirs = (json.loads((f / "metrics.json").read_text())["test"] for f in (scores, run.path))
    assert {k: v["value"] for k, v in ours.items()} == {k: v["value"] for k, v in theirs.items()}
    assert table((scores / "predictions.csv").read_text()) == of_run(run)
    assert {p.name for p in scores.iterdir()} - {".running"} == {
        "config.yaml",
        "metrics.json",
        "predictions.csv",
        "report.html",
    }


def test_evaluate_with_a_mistake_leaves_nothing(run: RunFolder, tunebook: Tunebook, tmp_path: Path):
    for wrong, phrase in (
        (["data.test=nothing.csv"], "nothing.csv"),
        (["data.tests=x.csv"], "did you mean data.test?"),
        ([], "data.test"),
    ):
        done = tunebook("evaluate", f"bundle={run.path}", "accelerator=cpu", *wrong)
        assert done.returncode == 2 and phrase in done.stderr and "Traceback" not in done.stderr, done.stderr
        assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.parametrize(
    ("test", "message"), [("nowhere.csv", "nowhere.csv does not exist"), ("rows.csv", "rows.csv has no column 'text'")]
)
def test_evaluate_finds_a_wrong_path_or_column_before_it_loads_torch(
    test: str, message: str, run: RunFolder, tmp_path: Path
):
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    said = said_lightly(tmp_path, "evaluate", f"bundle={run.path}", f"data.test={test}")
    assert message in said
    assert [p.name for p in tmp_path.iterdir()] == ["rows.csv"]


def test_an_output_never_replaces_its_input_nor_another_file_unasked(run: RunFolder, tmp_path: Path):
    rows = tmp_path / "new.csv"
    rows.write_text("text\nI love it.\n")
    with user_error("command.overwrites-input", match="would replace its own input"):
        predict_command([str(run.path), str(rows), "-o", str(rows), "--overwrite"])
    output = tmp_path / "out.csv"
    output.write_text("precious")
    with user_error("file.exists", match="exists already"):
        predict_command([str(run.path), str(rows), "-o", str(output)])
    assert output.read_text() == "precious"
    predict_command([str(run.path), str(rows), "-o", str(output), "--overwrite"])
    assert len(table(output.read_text())) == 1


def test_texts_that_are_cut_are_counted(run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    rows = tmp_path / "long.csv"
    rows.write_text("text\n" + "love it " * 50 + "\nfine\n")
    predict_command([str(run.path), str(rows)])
    assert "note: 1 rows exceed the model's maximum length and were truncated" in capsys.readouterr().err


def test_evaluate_knows_the_rows_that_the_model_was_trained_on(run: RunFolder, tunebook: Tunebook, tmp_path: Path):
    folder = run.path.parent
    mixed = tmp_path / "mixed.csv"
    body = (folder / "train.csv").read_text().splitlines()
    mixed.write_text("\n".join([*body, *(folder / "test.csv").read_text().splitlines()[1:]]) + "\n")
    arguments = ["evaluate", f"bundle={run.path}", f"data.test={mixed}", "evaluation.resamples=50"]
    stopped = tunebook(*arguments, f"run_dir={tmp_path / 'a'}")
    assert stopped.returncode == 2
    assert "48 of 88 rows were already used in training or model selection" in stopped.stderr
    assert "data.leaks=drop" in stopped.stderr
    dropped = tunebook(*arguments, "data.leaks=drop", f"run_dir={tmp_path / 'b'}")
    assert dropped.returncode == 0, dropped.stderr
    scores = json.loads((tmp_path / "b" / "metrics.json").read_text())["test"]
    assert scores["accuracy"]["n"] == 40
    assert scores["accuracy"]["value"] == json.loads(run.metrics.read_text())["test"]["accuracy"]["value"]


def test_rows_that_are_left_out_of_standard_output_are_told_in_a_file_that_stays(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    file = tmp_path / "rows.csv"
    file.write_text("text\n" + '""\n' * 5 + "fine\n")
    with user_error("data.rejected-rows") as caught:
        predict_command([str(run.path), str(file)])
    named = Path(str(caught.value.where).rpartition(" in ")[2])
    assert named.read_text().count('"is empty"') == 5
    predict_command([str(run.path), str(file), "--max-rejects", "5"])
    told = capsys.readouterr().err
    assert "note: 5 of 6 rows cannot be used: " in told
    kept = Path(told.partition("cannot be used: ")[2].splitlines()[0])
    assert [json.loads(line)["line"] for line in kept.read_text().splitlines()] == [2, 3, 4, 5, 6]
    for log in (named, kept):
        shutil.rmtree(log.parent)


def test_beside_an_output_lies_the_log_of_its_own_call_alone(run: RunFolder, tmp_path: Path):
    good, bad, output = tmp_path / "good.csv", tmp_path / "bad.csv", tmp_path / "out.csv"
    good.write_text("text\nfine\n")
    bad.write_text('text\nfine\n""\n')
    log = tmp_path / "out.csv.rejects.jsonl"
    with user_error("data.rejected-rows"):
        predict_command([str(run.path), str(bad), "-o", str(output)])
    assert {p.name for p in tmp_path.iterdir()} == {"good.csv", "bad.csv"}, "what fails leaves nothing"
    predict_command([str(run.path), str(bad), "-o", str(output), "--max-rejects", "1"])
    assert json.loads(log.read_text())["file"] == "bad.csv"
    predict_command([str(run.path), str(good), "-o", str(output), "--overwrite"])
    assert output.is_file() and not log.exists()
    output.unlink()
    log.write_text("precious")
    with user_error("file.exists", match="file of rejected rows beside the output already"):
        predict_command([str(run.path), str(good), "-o", str(output)])
    with user_error("command.overwrites-input", match="would replace the input"):
        predict_command([str(run.path), str(log), "-o", str(output), "--overwrite"])
    assert log.read_text() == "precious"


def test_the_device_is_told_in_words_of_this_verb(run: RunFolder, tmp_path: Path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    (tmp_path / "rows.csv").write_text("text\nfine\n")
    with user_error("training.no-device", match="no GPU") as caught:
        predict_command([str(run.path), str(tmp_path / "rows.csv"), "--accelerator", "gpu"])
    assert caught.value.where == "--accelerator gpu"
    assert str(caught.value.fix).startswith("--accelerator auto or --accelerator cpu;")
    assert "trainer" not in str(caught.value)


def test_texts_that_are_formulas_are_told_and_escaped_where_that_is_wanted(tmp_path, tunebook, run):
    rows = tmp_path / "formulas.csv"
    texts = ["=1+1", "+1", "-1 star", "@all", "plain", "a = b", "'=1"]
    with rows.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["text"], *([text] for text in texts)])
    told = tunebook("predict", str(run.bundle), str(rows), "-o", str(tmp_path / "plain.csv"))
    assert "4 texts begin with =, +, - or @" in told.stderr
    quiet = tunebook("predict", str(run.bundle), str(rows), "-o", str(tmp_path / "safe.csv"), "--escape-formulas")
    assert "spreadsheets" not in quiet.stderr
    lines = tunebook("predict", str(run.bundle), str(rows), "-o", str(tmp_path / "rows.jsonl"))
    assert "spreadsheets" not in lines.stderr

    def read(name: str) -> list[str]:
        with (tmp_path / name).open(newline="", encoding="utf-8") as stream:
            return [row["text"] for row in csv.DictReader(stream)]

    assert read("plain.csv") == texts
    assert read("safe.csv") == ["'=1+1", "'+1", "'-1 star", "'@all", *texts[4:]]
