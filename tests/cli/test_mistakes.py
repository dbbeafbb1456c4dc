"""Mistakes that people make: each ends in one message, exit code 2, and nothing half-written."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import Tunebook
from tests.light import said_lightly
from tunebook.models.source import STARTERS

TRAIN = ["train", "recipe=review_sentiment", "data.label=label", "trainer.progress=false"]


def refused(done: subprocess.CompletedProcess[str], *phrases: str) -> None:
    """One message that says what, where and how to fix it; exit code 2."""
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: "), done.stderr
    assert "Traceback" not in done.stderr
    for phrase in ("  where: ", "  fix:   ", *phrases):
        assert phrase in done.stderr, f"{phrase!r} is not in:\n{done.stderr}"


def left_over(*folders: Path) -> set[str]:
    """Names of all files and folders below; hidden ones too."""
    return {p.name for folder in folders for p in folder.rglob("*")}


def rows_of(labels: Sequence[str], start: int = 0) -> list[list[str]]:
    return [[f"review number{start + i} of thing{start + i}x", label] for i, label in enumerate(labels)]


def write_rows(path: Path, rows: Sequence[Sequence[str]], header: Sequence[str] = ("text", "label")) -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


GOOD = rows_of(["bad", "good"] * 15)
TEST = rows_of(["bad", "good", "bad", "good"], start=900)


def missing_file(folder: Path) -> list[str]:
    write_rows(folder / "reviews.csv", GOOD)
    return [f"data.train={folder / 'review.csv'}"]


def wrong_column(folder: Path) -> list[str]:
    return [f"data.train={write_rows(folder / 'rows.csv', GOOD)}", "data.text=txt"]


def label_typo(folder: Path) -> list[str]:
    test = write_rows(folder / "test.csv", [*TEST, *rows_of(["goood"], 990)])
    return [f"data.train={write_rows(folder / 'rows.csv', GOOD)}", f"data.test={test}"]


def labels_by_case(folder: Path) -> list[str]:
    return [f"data.train={write_rows(folder / 'rows.csv', [*GOOD, *rows_of(['Good'] * 12, 500)])}"]


def empty_file(folder: Path) -> list[str]:
    (folder / "rows.csv").write_bytes(b"")
    return [f"data.train={folder / 'rows.csv'}"]


def not_utf8(folder: Path) -> list[str]:
    file = write_rows(folder / "rows.csv", GOOD)
    file.write_bytes(file.read_bytes() + "ein schönes Gerät,good\n".encode("latin-1"))
    return [f"data.train={file}"]


def one_class(folder: Path) -> list[str]:
    return [f"data.train={write_rows(folder / 'rows.csv', rows_of(['good'] * 30))}"]


def fewer_rows_than_classes(folder: Path) -> list[str]:
    return [f"data.train={write_rows(folder / 'rows.csv', rows_of(['1', '2', '3', '4']))}"]


def empty_label(folder: Path) -> list[str]:
    return [f"data.train={write_rows(folder / 'rows.csv', [*GOOD, ['a review without a label', '']])}"]


def nan_label(folder: Path) -> list[str]:
    lines = [f'{{"text": "{text}", "label": {len(label) % 3}}}' for text, label in GOOD]
    (folder / "rows.jsonl").write_text("\n".join([*lines, '{"text": "a review of nothing", "label": NaN}']))
    return [f"data.train={folder / 'rows.jsonl'}"]


def duplicated_header(folder: Path) -> list[str]:
    rows = [[*row, row[1]] for row in GOOD]
    return [f"data.train={write_rows(folder / 'rows.csv', rows, ['text', 'label', 'label'])}"]


DATA = {
    missing_file: [
        "review.csv does not exist",
        "where: data.train",
        "did you mean data.train=",
        "reviews.csv",
    ],
    wrong_column: ["txt", "data.text", "did you mean data.text=text?"],
    label_typo: ["goood", "test"],
    labels_by_case: ["'Good'", "'good'"],
    empty_file: ["rows.csv", "empty"],
    not_utf8: ["rows.csv:32", "UTF-8"],
    one_class: ["one class only", "'good'", "data.label"],
    fewer_rows_than_classes: ["4", "data.label"],
    empty_label: ["rows.csv:32", "'label'", "data.max_rejects=1"],
    nan_label: ["rows.jsonl:31", "data.max_rejects=1"],
    duplicated_header: ["rows.csv:1", "'label'", "more than once"],
}


@pytest.mark.parametrize("mistake", DATA, ids=lambda mistake: mistake.__name__)
def test_a_mistake_in_the_rows(mistake, tmp_path: Path, tunebook: Tunebook, cache: Path):
    folder = tmp_path / "data"
    folder.mkdir()
    arguments = mistake(folder)
    before = left_over(folder)
    done = tunebook(*TRAIN, *arguments)
    refused(done, *DATA[mistake])
    files = {p.name for p in (tmp_path / "work").rglob("*") if p.is_file()}
    assert files <= {"rejects.jsonl"}
    if not files:
        assert left_over(tmp_path / "work") == set(), "an empty run folder stays"
    assert left_over(folder) == before
    assert left_over(cache) == set()


def test_a_failed_run_leaves_its_folder_to_the_next(tmp_path: Path, tunebook: Tunebook) -> None:
    """What it says of the rows stays until they are mended, and does not stand in the way then."""
    (tmp_path / "data").mkdir()
    command = [*TRAIN, *empty_label(tmp_path / "data"), f"run_dir={tmp_path / 'run'}", "trainer.max_steps=1"]
    refused(tunebook(*command), "data.max_rejects=1")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["rejects.jsonl"]
    done = tunebook(*command, "data.max_rejects=1")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "rejects.jsonl").read_text().count("\n") == 1
    refused(tunebook(*command, "data.max_rejects=1"), "already holds a finished run")


def test_a_typo_in_an_override(tmp_path: Path, tunebook: Tunebook):
    done = tunebook(*TRAIN, "optim.lerning_rate=1e-3")
    refused(done, "There is no config key 'optim.lerning_rate'", "`tunebook show review_sentiment`")
    refused(tunebook(*TRAIN, "optim.wamup=0.2"), "did you mean optim.warmup?")
    assert left_over(tmp_path / "work") == set()


def copied_starter(folder: Path) -> Path:
    shutil.copytree(STARTERS / "starter_text", folder)
    return folder


def no_weights(folder: Path) -> str:
    (copied_starter(folder) / "model.safetensors").unlink()
    return "This folder holds no weights: model.safetensors is missing."


def only_a_pickle(folder: Path) -> str:
    (copied_starter(folder) / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    (folder / "model.safetensors").unlink()
    return "pytorch_model.bin is a pickle, which can run code"


def truncated_weights(folder: Path) -> str:
    import numpy as np
    from safetensors.numpy import save

    whole = save({"bert.embeddings.word_embeddings.weight": np.zeros((100, 8), dtype=np.float32)})
    (copied_starter(folder) / "model.safetensors").write_bytes(whole[:-100])
    return "The model's weights are damaged"


def garbage_weights(folder: Path) -> str:
    (copied_starter(folder) / "model.safetensors").write_bytes(os.urandom(4096))
    return "The model's weights are damaged"


def missing_shard(folder: Path) -> str:
    index = '{"weight_map": {"a": "model-00001-of-00002.safetensors"}}'
    (copied_starter(folder) / "model.safetensors.index.json").write_text(index)
    return "The model's weights are damaged"


def no_model_at_all(folder: Path) -> str:
    folder.mkdir()
    return "config.json is missing"


@pytest.mark.parametrize(
    "damage",
    [no_weights, only_a_pickle, truncated_weights, garbage_weights, missing_shard, no_model_at_all],
    ids=lambda damage: damage.__name__,
)
def test_a_model_folder_that_cannot_be_used(damage, tmp_path: Path, tunebook: Tunebook):
    phrase = damage(tmp_path / "my_model")
    rows = write_rows(tmp_path / "rows.csv", GOOD)
    done = tunebook(*TRAIN, f"data.train={rows}", f"model.name={tmp_path / 'my_model'}")
    refused(done, phrase, str(tmp_path / "my_model"))
    assert left_over(tmp_path / "work") == set()


@pytest.mark.parametrize("place", ["{file}/run", "/proc/tunebook"])
def test_a_run_folder_that_cannot_be_written(place: str, tmp_path: Path, tunebook: Tunebook):
    rows = write_rows(tmp_path / "rows.csv", GOOD)
    run_dir = place.format(file=rows)
    refused(tunebook(*TRAIN, f"data.train={rows}", f"run_dir={run_dir}"), run_dir, "run_dir=...")
    assert left_over(tmp_path / "work") == set()


def test_a_run_folder_that_is_in_use_stays_as_it_is(tmp_path: Path, tunebook: Tunebook):
    rows = write_rows(tmp_path / "rows.csv", GOOD)
    (tmp_path / "work" / "mine").mkdir()
    (tmp_path / "work" / "mine" / "thesis.txt").write_text("years of work")
    done = tunebook(*TRAIN, f"data.train={rows}", "run_dir=mine")
    refused(done, "already holds files", "mine")
    assert left_over(tmp_path / "work") == {"mine", "thesis.txt"}


@pytest.mark.parametrize(
    ("files", "advice", "not_advised"),
    [
        (["config.yaml", "report.html", "model/tunebook.json"], "tunebook evaluate bundle=", "resume="),
        (["config.yaml", "checkpoints/step-2.ckpt"], "tunebook train resume=", "evaluate"),
        (["config.yaml", "metrics.json", "report.html"], "run_dir=...", "tunebook"),  # an evaluation
    ],
)
def test_a_folder_of_another_run_is_refused_quickly_with_what_can_be_done_with_it(
    files: list[str], advice: str, not_advised: str, tmp_path: Path
):
    for file in files:
        (tmp_path / "run" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / file).touch()
    fix = said_lightly(tmp_path, *TRAIN, "run_dir=run").split("fix:")[1]
    assert advice in fix and not_advised not in fix.replace(str(tmp_path), "")
    assert all((tmp_path / "run" / file).is_file() for file in files)


def test_the_folder_one_works_in_is_never_removed(tmp_path: Path, tunebook: Tunebook):
    refused(tunebook(*TRAIN, "data.train=nothing.csv", "run_dir=deep/down/here"), "nothing.csv")
    assert (tmp_path / "work").is_dir()
    assert left_over(tmp_path / "work") == set()


def test_a_device_that_is_not_there(tmp_path: Path, tunebook: Tunebook):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    rows = write_rows(tmp_path / "rows.csv", GOOD)
    refused(
        tunebook(*TRAIN, f"data.train={rows}", "trainer=gpu"),
        "no GPU",
        "trainer.accelerator=gpu",
        "trainer=auto",
    )
    refused(tunebook(*TRAIN, f"data.train={rows}", "trainer=tpu"), "no option 'tpu' of the group 'trainer'", "gpu")
    assert left_over(tmp_path / "work") == set()


def test_a_cache_that_cannot_be_written_is_told_by_its_key(tmp_path: Path, tunebook: Tunebook):
    (tmp_path / "file").write_text("no folder")
    rows = write_rows(tmp_path / "rows.csv", GOOD)
    place = tmp_path / "file" / "cache"
    done = tunebook("check", *TRAIN[1:], f"data.train={rows}", f"data.cache_dir={place}")
    refused(done, str(place), "data.cache_dir=<folder>")
    assert "run_dir" not in done.stderr


def test_check_needs_no_folder_that_can_be_written_where_it_is_started(tmp_path: Path, tunebook: Tunebook):
    rows = write_rows(tmp_path / "rows.csv", GOOD)
    (tmp_path / "work" / "runs").write_text("a file where the folder of runs would be made")
    (tmp_path / "scratch").mkdir()
    done = tunebook("check", *TRAIN[1:], f"data.train={rows}", env={"TMPDIR": str(tmp_path / "scratch")})
    assert done.returncode == 0, done.stderr
    assert "ready to train" in done.stdout
    assert left_over(tmp_path / "work") == {"runs"}
    # The empty folder of torch's compiler comes of importing torch, unless an earlier process made it elsewhere.
    assert {name for name in left_over(tmp_path / "scratch") if not name.startswith("torchinductor_")} == set()
