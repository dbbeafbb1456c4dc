"""What a look at the pictures finds: bad ones, copies, and what makes two sets of rows the same."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.diagnosed import picture, write_patients, write_table
from tests.user_error import user_error
from tunebook.config.schema import Leaks
from tunebook.data.columns import Column
from tunebook.data.load_and_validate import ValidatedData, load_and_validate
from tunebook.data.rejects import RejectLog
from tunebook.families.image_classification.data.content import ImageContent
from tunebook.families.image_classification.data.decoded import Decoding
from tunebook.families.image_classification.data.resize import Square
from tunebook.families.image_classification.data.sources import IMAGE_FILES
from tunebook.families.image_classification.options import ImageData

IMAGE = Column("image", "path", "data.image", "file", files=IMAGE_FILES)
LABEL = Column("label", "label", "data.label", "label")
GROUP = Column("group", "patient", "data.group", "any")
NODULE, MASS = (Column(f"finding {i}", n, "recipe.findings", "flag") for i, n in enumerate(("nodule", "mass")))


def gate(folder: Path, *columns: Column, near: float = 0.993, seed: int = 0, **data: Any) -> ValidatedData:
    content = ImageContent(Square(16), Decoding(), folder / "cache", progress=False)
    paths = {key: str(value) if isinstance(value, Path) else value for key, value in data.items()}
    config = ImageData(near_duplicate=near, **paths)
    log = RejectLog(folder / "rejects.jsonl", config.max_rejects)
    wanted = columns or (IMAGE, LABEL)
    return load_and_validate(config, wanted, samples=None, invalid=None, rejects=log, seed=seed, content=content)


def rows_of(folder: Path, count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Pictures of 64 pixels, half of each label."""
    folder.mkdir()
    rows = []
    for i in range(count):
        Image.fromarray(picture(seed + i, (64, 64), blobs=2 * (i % 2))).save(folder / f"{i}.png")
        rows.append({"path": f"{folder.name}/{i}.png", "label": ("normal", "ill")[i % 2]})
    return rows


def test_every_bad_picture_is_counted_and_named_with_its_reason(tmp_path: Path) -> None:
    rows = rows_of(tmp_path / "p", 24)
    (tmp_path / "p" / "3.png").write_bytes((tmp_path / "p" / "3.png").read_bytes()[:500])
    Image.new("L", (64, 64), 0).save(tmp_path / "p" / "4.png")
    (tmp_path / "p" / "5.png").write_text("version https://git-lfs.github.com/spec/v1\n")
    table = write_table(tmp_path / "rows.csv", rows)
    with user_error("data.rejected-rows") as caught:
        gate(tmp_path, train=table)
    for phrase in (
        "rows.csv:5 'path' is truncated (p/3.png)",
        "rows.csv:6 'path' has the same value everywhere (p/4.png)",
        "rows.csv:7 'path' is a Git LFS pointer",
    ):
        assert phrase in str(caught.value.where)
    found = gate(tmp_path, train=table, max_rejects=3)
    assert (found.read, found.kept, found.rejected) == (24, 21, 3)
    logged = [json.loads(line) for line in (tmp_path / "rejects.jsonl").read_text().splitlines()]
    assert [(entry["file"], entry["line"], entry["field"]) for entry in logged] == [
        *(("rows.csv", 5, "path"), ("rows.csv", 6, "path"), ("rows.csv", 7, "path")),
    ]
    bad = {f"{i}.png" for i in (3, 4, 5)}
    for part in (found.train, found.validation, found.test):
        assert not bad & {Path(p).name for p in part.texts("image")}


@pytest.mark.parametrize("kind", ["other file", "jpeg", "sixteen bits", "brighter"])
def test_a_copy_on_the_other_side_is_found(tmp_path: Path, kind: str) -> None:
    train, test = rows_of(tmp_path / "a", 24), rows_of(tmp_path / "b", 12, seed=1000)
    grey = picture(7, (64, 64), blobs=2)
    copy = tmp_path / "b" / ("copy.jpg" if kind == "jpeg" else "copy.tif")
    if kind == "sixteen bits":
        Image.fromarray(grey.astype(np.uint16) * 256).save(copy)
    elif kind == "brighter":
        Image.fromarray(np.clip(grey.astype(float) * 0.8 + 20, 0, 255).astype(np.uint8)).save(copy)
    else:
        Image.fromarray(grey).save(copy, **({"quality": 75} if kind == "jpeg" else {}))
    test[5] = {"path": f"b/{copy.name}", "label": "ill"}
    given = {"train": write_table(tmp_path / "a.csv", train), "test": write_table(tmp_path / "b.csv", test)}
    with user_error("data.shared-rows") as caught:
        gate(tmp_path, **given)
    assert (
        "a.csv:9" in caught.value.message()
        and "b.csv:7" in caught.value.message()
        and "data.leaks" in caught.value.message()
    )
    found = gate(tmp_path, **given, leaks=Leaks.drop)
    assert (found.dropped, found.kept, len(found.test)) == (1, 35, 12)
    assert "7.png" not in {Path(p).name for p in [*found.train.texts("image"), *found.validation.texts("image")]}
    if kind != "other file":
        assert gate(tmp_path, **given, near=1.0).dropped == 0, "exact copies only"


def test_copies_within_the_rows_stay_on_one_side(tmp_path: Path) -> None:
    rows = rows_of(tmp_path / "p", 20)
    for i in range(20):  # each as a JPEG too
        Image.open(tmp_path / "p" / f"{i}.png").save(tmp_path / "p" / f"{i}.jpg", quality=85)
    rows += [{**row, "path": row["path"].replace("png", "jpg")} for row in rows]
    table = write_table(tmp_path / "rows.csv", rows)
    for seed in range(3):
        found = gate(tmp_path, train=table, seed=seed, validation_fraction=0.2, test_fraction=0.2)
        sides = [{Path(p).stem for p in part.texts("image")} for part in (found.train, found.validation, found.test)]
        assert [len(side) for side in sides] == [12, 4, 4] and len(set.union(*sides)) == 20


def test_one_picture_with_two_labels_is_told(tmp_path: Path) -> None:
    rows = rows_of(tmp_path / "p", 20)
    shutil.copy(tmp_path / "p" / "3.png", tmp_path / "p" / "again.png")
    table = write_table(tmp_path / "rows.csv", [*rows, {"path": "p/again.png", "label": "normal"}])
    found = gate(tmp_path, train=table)
    assert "1 image with more than one label, such as rows.csv:5 and rows.csv:22" in found.notes
    assert "train: 1 of 21 rows repeat the image of another" in found.notes


def test_rows_are_the_same_wherever_the_folder_lies(tmp_path: Path) -> None:
    rows_of(tmp_path / "p", 12)
    table = write_table(tmp_path / "rows.csv", [{"path": f"p/{i}.png", "label": "ab"[i % 2]} for i in range(12)])
    (tmp_path / "copy").mkdir()
    shutil.copytree(tmp_path / "p", tmp_path / "copy" / "p")
    shutil.copy(table, tmp_path / "copy" / "rows.csv")
    here, there = (gate(folder, train=folder / "rows.csv") for folder in (tmp_path, tmp_path / "copy"))
    for split in ("train", "validation", "test"):
        assert getattr(here, split).fingerprint == getattr(there, split).fingerprint
        assert getattr(here, split).texts("pixels") == getattr(there, split).texts("pixels")
    with Image.open(tmp_path / "copy" / "p" / "0.png") as image:
        pixels = np.array(image)
    pixels[5, 5] ^= 1
    Image.fromarray(pixels).save(tmp_path / "copy" / "p" / "0.png")
    changed = gate(tmp_path / "copy", train=tmp_path / "copy" / "rows.csv")
    named = {s: {Path(p).name for p in getattr(changed, s).texts("image")} for s in ("train", "validation", "test")}
    for split, names in named.items():
        same = getattr(changed, split).fingerprint == getattr(here, split).fingerprint
        assert same == ("0.png" not in names), "one bit of one pixel is another picture"


def test_no_patient_is_on_two_sides(tmp_path: Path) -> None:
    table = write_table(tmp_path / "rows.csv", write_patients(tmp_path / "p", 30, images=4))
    for seed in range(3):
        found = gate(tmp_path, IMAGE, LABEL, GROUP, train=table, seed=seed, validation_fraction=0.2, test_fraction=0.2)
        sides = [set(part.texts("group")) for part in (found.train, found.validation, found.test)]
        assert sum(map(len, sides)) == len(set.union(*sides)) == 30
        assert all(sides) and not [note for note in found.notes if "data.group" in note]


def test_a_patient_in_two_given_splits_is_refused(tmp_path: Path) -> None:
    rows = write_patients(tmp_path / "p", 24, images=2)
    tables = {
        "train": write_table(tmp_path / "a.csv", rows[:31]),
        "test": write_table(tmp_path / "b.csv", rows[31:]),
    }
    with user_error("data.shared-rows", match="group") as caught:
        gate(tmp_path, IMAGE, LABEL, GROUP, **tables)
    assert "b.csv:2" in caught.value.message()


def test_without_groups_the_danger_is_told(tmp_path: Path) -> None:
    table = write_table(tmp_path / "rows.csv", write_patients(tmp_path / "p", 24))
    assert any(
        "no data.group is given" in note and "may be too high" in note for note in gate(tmp_path, train=table).notes
    )


def test_splits_of_several_findings_hold_each_mixture_in_its_share(tmp_path: Path) -> None:
    rows = rows_of(tmp_path / "p", 80)
    mixtures = ["00"] * 40 + ["10"] * 20 + ["01"] * 10 + ["11"] * 10
    order = np.random.default_rng(0).permutation(80)
    for row, i in zip(rows, order, strict=True):
        row["nodule"], row["mass"] = mixtures[i]
    table = write_table(tmp_path / "rows.csv", rows)
    found = gate(tmp_path, IMAGE, NODULE, MASS, train=table, validation_fraction=0.2, test_fraction=0.2)
    for part, share in ((found.train, 0.6), (found.validation, 0.2), (found.test, 0.2)):
        counts = Counter(a + b for a, b in zip(part.texts("finding 0"), part.texts("finding 1"), strict=True))
        assert counts == {name: share * n for name, n in Counter(mixtures).items()}
    assert found.labels is not None and found.labels.names == ("nodule", "mass")
    assert found.labels.counts["test"] == {"nodule": 6, "mass": 4}
    assert any("stratified by findings" in note for note in found.notes)


def test_a_finding_that_nobody_or_everybody_has_is_refused(tmp_path: Path) -> None:
    rows = rows_of(tmp_path / "p", 24)
    for value, phrase in ((0, "no training row has the finding 'mass'"), (1, "every training row has")):
        for i, row in enumerate(rows):
            row["nodule"], row["mass"] = i % 2, value
        with user_error("data.constant-label", where="recipe.findings", match=phrase) as caught:
            gate(tmp_path, IMAGE, NODULE, MASS, train=write_table(tmp_path / "rows.csv", rows))
        assert caught.value.where == "recipe.findings"
    with user_error("config.duplicate", where="recipe.findings", match="named twice"):
        gate(
            tmp_path,
            IMAGE,
            NODULE,
            Column("finding 1", "nodule", "recipe.findings", "flag"),
            train=tmp_path / "rows.csv",
        )
