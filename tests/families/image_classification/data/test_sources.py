"""Folders, manifests and .npz files as rows of images: every image is a row or a reject that says why."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pydicom
import pytest
from PIL import Image
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from tests.diagnosed import picture, write_table
from tests.user_error import user_error
from tunebook.data.columns import Column
from tunebook.data.load_and_validate import ValidatedData, load_and_validate
from tunebook.data.reading import read_rows
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import Rows
from tunebook.families.image_classification.data.content import ImageContent
from tunebook.families.image_classification.data.decoded import Decoding
from tunebook.families.image_classification.data.resize import Square
from tunebook.families.image_classification.data.sources import IMAGE_FILES, holds_images, official_splits
from tunebook.families.image_classification.options import ImageData

IMAGE = Column("image", "path", "data.image", "file", files=IMAGE_FILES)
LABEL = Column("label", "label", "data.label", "label")


def flags(*names: str) -> list[Column]:
    return [Column(f"finding {i}", name, "recipe.findings", "flag") for i, name in enumerate(names)]


def read(
    source: object, *columns: Column, most: int = 0, split: str = "train", root: Path | None = None
) -> tuple[Rows, RejectLog]:
    log = RejectLog(Path("never written"), most)
    wanted = [replace(each, root=str(root)) if root and each.files else each for each in columns or (IMAGE, LABEL)]
    spec = [str(each) for each in source] if isinstance(source, list) else str(source)
    return read_rows(spec, "data.train", wanted, log, split=split), log


def reasons(log: RejectLog) -> list[tuple[int, str, str]]:
    return [(entry.line, entry.field, entry.reason) for entry in log._entries]


def gate(tmp_path: Path, columns: Sequence[Column] = (IMAGE, LABEL), **data: Any) -> ValidatedData:
    content = ImageContent(Square(16), Decoding(), tmp_path / "cache", progress=False)
    config = ImageData(near_duplicate=0.993, **data)
    log = RejectLog(tmp_path / "rejects.jsonl", config.max_rejects)
    return load_and_validate(config, columns, samples=None, invalid=None, rejects=log, seed=0, content=content)


def save(path: Path, seed: int, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(seed)).save(path, **options)
    return path


def write_dicom(path: Path, pixels: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    data = pydicom.Dataset()
    data.file_meta, data.SOPClassUID, data.SOPInstanceUID = meta, SecondaryCaptureImageStorage, "1.2.3"
    data.Rows, data.Columns = pixels.shape
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation, data.SamplesPerPixel = 7, 0, 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.PixelData = pixels.tobytes()
    data.save_as(path, enforce_file_format=True)


# Folders ------------------------------------------------------------------------------------------------------


def test_a_folder_has_one_subfolder_a_class_however_deep_the_images_lie(tmp_path: Path) -> None:
    for i, name in enumerate(("ill/a.png", "ill/deep/er/b.JPG", "normal/c.tif", "normal/d.bmp")):
        save(tmp_path / name, i)
    rows, log = read(tmp_path)
    assert [Path(p).relative_to(tmp_path.absolute()).as_posix() for p in rows.texts("image")] == [
        *("ill/a.png", "ill/deep/er/b.JPG", "normal/c.tif", "normal/d.bmp"),
    ]
    assert rows.texts("label") == ["ill", "ill", "normal", "normal"]
    assert (log.read, log.count) == (4, 0)


def test_hidden_files_are_no_rows_and_a_stranger_is_a_reject(tmp_path: Path) -> None:
    save(tmp_path / "ill" / "a.png", 0)
    save(tmp_path / "ill" / ".trash" / "b.png", 1)
    save(tmp_path / "normal" / "c.png", 2)
    for name in ("ill/.DS_Store", "normal/Thumbs.db", ".hidden", "ill/._a.png"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "ill" / "notes.txt").write_text("these are of Tuesday")
    (tmp_path / "README.md").write_text("loose, and no image")
    rows, log = read(tmp_path)
    assert len(rows) == 3 and log.read == 3  # the text file is a row until it is looked at
    content = ImageContent(Square(16), Decoding(), tmp_path / "cache", progress=False)
    kept = content.inspect(rows, log)
    assert [Path(p).name for p in kept.texts("image")] == ["a.png", "c.png"]
    ((_, field, reason),) = reasons(log)
    assert field == "path" and "ill/notes.txt" in reason and ".txt" in reason


def test_a_link_to_nothing_is_a_reject(tmp_path: Path) -> None:
    save(tmp_path / "ill" / "a.png", 0)
    (tmp_path / "ill" / "b.png").symlink_to(tmp_path / "annexed" / "b.png")
    rows, log = read(tmp_path)
    content = ImageContent(Square(16), Decoding(), tmp_path / "cache", progress=False)
    assert [Path(p).name for p in content.inspect(rows, log).texts("image")] == ["a.png"]
    ((_, _, reason),) = reasons(log)
    assert "ill/b.png" in reason


def test_an_image_beside_the_class_folders_has_no_class(tmp_path: Path) -> None:
    save(tmp_path / "ill" / "a.png", 0)
    save(tmp_path / "loose.png", 1)
    with user_error("data.no-class", match=r"loose\.png is not in a sub-folder") as caught:
        read(tmp_path)
    assert caught.value.where == str(tmp_path)
    rows, _ = read(tmp_path, IMAGE)
    assert len(rows) == 2, "without labels any folder will do"


def test_a_folder_without_images_and_a_column_that_no_folder_has_are_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with user_error("data.no-images", match="there is no image in"):
        read(tmp_path / "empty")
    save(tmp_path / "full" / "ill" / "a.png", 0)
    for column in (Column("group", "patient", "data.group", "any"), *flags("nodule")):
        with user_error("data.missing-column", match=f"no column '{column.name}'") as caught:
            read(tmp_path / "full", IMAGE, LABEL, column)
        assert caught.value.where == column.key and f"path,label,{column.name}" in str(caught.value.fix)


def test_dicom_needs_no_ending_as_scanners_write_it(tmp_path: Path) -> None:
    for name in ("ill/IM000001", "ill/1.2.840.113619", "normal/x.dcm"):
        write_dicom(tmp_path / name, picture(len(name)))
    rows, log = read(tmp_path)
    assert (len(rows), log.count) == (3, 0)
    content = ImageContent(Square(16), Decoding(), tmp_path / "cache", progress=False)
    assert len(content.inspect(rows, log)) == 3, reasons(log)
    assert holds_images(tmp_path / "ill" / "IM000001") and not holds_images(tmp_path / "ill" / "IM2.csv")


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "valid", "testing"), ("train", "test")])
def test_nested_folders_bring_their_own_splits(tmp_path: Path, names: tuple[str, ...]) -> None:
    for s, split in enumerate(names):
        for i in range(8):
            save(tmp_path / "data" / split / ("ill", "normal")[i % 2] / f"{i}.png", 100 * s + i)
    found = gate(tmp_path, train=str(tmp_path / "data"), validation_fraction=0.25)
    sizes = (len(found.train), len(found.validation), len(found.test))
    assert sizes == ((8, 8, 8) if len(names) == 3 else (6, 2, 8))
    assert found.labels is not None and found.labels.names == ("ill", "normal")
    assert any("brings its own splits: train" in note for note in found.notes)


def test_a_given_split_goes_before_a_folders_own(tmp_path: Path) -> None:
    for i in range(8):
        for s, split in enumerate(("train", "test")):
            save(tmp_path / "data" / split / ("ill", "normal")[i % 2] / f"{i}.png", 100 * s + i)
        save(tmp_path / "other" / ("ill", "normal")[i % 2] / f"{i}.png", 500 + i)
    data = tmp_path / "data"
    found = gate(tmp_path, train=str(data / "train"), test=str(tmp_path / "other"), validation_fraction=0.25)
    assert len(found.test) == 8 and all("/other/" in p for p in found.test.texts("image"))
    assert official_splits(str(data)) == {"train": str(data / "train"), "test": str(data / "test")}
    assert official_splits([str(data)]) == {} and official_splits(str(tmp_path / "nothing")) == {}


@pytest.mark.skipif(sys.platform != "linux", reason="only here may a file's name be any bytes")
def test_folders_beside_the_splits_are_not_left_out_in_silence(tmp_path: Path) -> None:
    for i, name in enumerate(("train/ill/a.png", "val/ill/b.png", "validation/ill/c.png", "extra/ill/d.png")):
        save(tmp_path / name, i)
    with user_error("data.several-splits", match="extra, validation") as caught:
        official_splits(str(tmp_path))
    assert "data.train=" in str(caught.value.fix)


def test_a_folder_of_splits_is_not_taken_for_one_of_classes(tmp_path: Path) -> None:
    for i, name in enumerate(("train/ill/a.png", "test/ill/b.png")):
        save(tmp_path / name, i)
    with user_error("data.several-splits", match="contains splits, not classes: train, test"):
        read(tmp_path)


def test_a_name_that_is_not_utf8_is_a_reject(tmp_path: Path) -> None:
    save(tmp_path / "ill" / "a.png", 0)
    os.rename(tmp_path / "ill" / "a.png", os.fsencode(tmp_path / "ill") + b"/caf\xe9.png")
    save(tmp_path / "normal" / "b.png", 1)
    rows, log = read(tmp_path)
    assert [Path(p).name for p in rows.texts("image")] == ["b.png"]
    ((line, field, reason),) = reasons(log)
    assert (line, field) == (1, "path") and "UTF-8" in reason


def test_colons_in_a_name_are_part_of_it(tmp_path: Path) -> None:
    save(tmp_path / "ill" / "scan::1::2.png", 0)
    save(tmp_path / "normal" / "b.png", 1)
    rows, log = read(tmp_path)
    content = ImageContent(Square(16), Decoding(), tmp_path / "cache", progress=False)
    assert len(content.inspect(rows, log)) == 2 and log.count == 0


# Manifests ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_paths_in_a_manifest_are_relative_to_it(tmp_path: Path, ending: str) -> None:
    save(tmp_path / "images" / "a.png", 0)
    absolute = save(tmp_path / "elsewhere" / "b.png", 1)
    table = [{"path": "images/a.png", "label": "ill"}, {"path": str(absolute), "label": "normal"}]
    file = tmp_path / f"rows.{ending}"
    if ending == "csv":
        write_table(file, table)
    elif ending == "parquet":
        pq.write_table(pa.Table.from_pylist(table), file)
    else:
        file.write_text("".join(json.dumps(row) + "\n" for row in table))
    rows, log = read(file)
    assert rows.texts("image") == [str(tmp_path.absolute() / "images" / "a.png"), str(absolute)]
    assert rows.texts("label") == ["ill", "normal"] and log.count == 0


def test_image_root_takes_the_place_of_the_manifests_folder(tmp_path: Path) -> None:
    save(tmp_path / "store" / "a.png", 0)
    (tmp_path / "lists").mkdir()
    file = write_table(tmp_path / "lists" / "rows.csv", [{"path": "a.png", "label": "x"}])
    _, without = read(file)
    assert without.count == 1
    rows, log = read(file, root=tmp_path / "store")
    assert (rows.texts("image"), log.count) == ([str(tmp_path.absolute() / "store" / "a.png")], 0)


def test_what_is_no_file_is_a_reject_by_name(tmp_path: Path) -> None:
    save(tmp_path / "a.png", 0)
    (tmp_path / "folder").mkdir()
    wrong = ["gone.png", "folder", "", "~nobody_here/x.png", "n" * 300 + ".png", "a.png::x::0", "arrays.npz::images::7"]
    np.savez(tmp_path / "arrays.npz", images=np.stack([picture(1), picture(2)]))
    wrong[-1] = f"{tmp_path}/arrays.npz::images::7"
    file = write_table(tmp_path / "rows.csv", [{"path": p, "label": "x"} for p in ["a.png", *wrong]])
    rows, log = read(file)
    content = ImageContent(Square(16), Decoding(), tmp_path / "cache", progress=False)
    kept = content.inspect(rows, log)
    assert [Path(p).name for p in kept.texts("image")] == ["a.png"]
    found = {line: reason for line, _, reason in reasons(log)}
    assert sorted(found) == list(range(3, 3 + len(wrong)))
    assert "'gone.png': there is no such file" in found[3]
    assert "a folder, not a file" in found[4]
    assert found[5] == "is empty"


def test_a_manifest_without_the_column_names_those_it_has(tmp_path: Path) -> None:
    file = write_table(tmp_path / "rows.csv", [{"image": "a.png", "label": "x"}])
    with user_error("data.missing-column", where="data.image") as caught:
        read(file)
    assert "path" in caught.value.what and "image" in str(caught.value) and "data.image" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "flag"),
    [
        ("1", "1"),
        ("1.0", "1"),
        ("true", "1"),
        ("True", "1"),
        (" 1 ", "1"),
        ("0", "0"),
        ("0.0", "0"),
        ("FALSE", "0"),
        ("nan", None),
        ("-1", None),
        ("-1.0", None),
        ("2", None),
        ("0.5", None),
        ("", None),
        ("yes", None),
    ],
)
def test_a_finding_is_there_or_not(tmp_path: Path, value: str, flag: str | None) -> None:
    save(tmp_path / "a.png", 0)
    file = write_table(tmp_path / "rows.csv", [{"path": "a.png", "nodule": value, "note": "x"}])
    rows, log = read(file, IMAGE, *flags("nodule"))
    assert rows.texts("finding 0") == ([flag] if flag else [])
    assert log.count == (flag is None)
    if flag is None:
        assert reasons(log)[0][1] == "nodule"


def test_numbers_and_booleans_of_parquet_are_flags_and_its_gaps_are_rejects(tmp_path: Path) -> None:
    save(tmp_path / "a.png", 0)
    table = {"path": ["a.png"] * 4, "nodule": [1.0, 0.0, None, -1.0], "mass": [True, False, True, False]}
    pq.write_table(pa.table(table), tmp_path / "rows.parquet")
    rows, log = read(tmp_path / "rows.parquet", IMAGE, *flags("nodule", "mass"))
    assert (rows.texts("finding 0"), rows.texts("finding 1")) == (["1", "0"], ["1", "0"])
    assert [(line, field) for line, field, _ in reasons(log)] == [(3, "nodule"), (4, "nodule")]


# .npz files ---------------------------------------------------------------------------------------------------


def arrays(count: int, seed: int) -> Any:
    return np.stack([picture(seed + i, (28, 28)) for i in range(count)])


def medmnist(path: Path, **more: Any) -> Path:
    parts: dict[str, Any] = {}
    for s, split in enumerate(("train", "val", "test")):
        parts[f"{split}_images"] = arrays(8, 100 * s)
        parts[f"{split}_labels"] = (np.arange(8) % 2).astype(np.uint8)[:, None]
    np.savez(path, **{**parts, **more})
    return path


def test_an_npz_file_brings_its_official_splits(tmp_path: Path) -> None:
    file = medmnist(tmp_path / "chest.npz")
    found = gate(tmp_path, train=str(file))
    assert (len(found.train), len(found.validation), len(found.test), found.read) == (8, 8, 8, 24)
    assert found.labels is not None and found.labels.names == ("0", "1")
    assert found.test.texts("image")[3] == f"{file.absolute()}::test_images::3"
    assert found.test.where(3) == "chest.npz:4"
    place = found.content.places(found.test.texts("pixels"))[3]
    with np.load(file) as stored:
        expected = np.asarray(Image.fromarray(stored["test_images"][3]).resize((16, 16), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(found.content.stores[place[0]].pixels[place[1], ..., 0], expected)


def test_an_npz_file_of_one_array_is_split_like_any_rows(tmp_path: Path) -> None:
    np.savez(tmp_path / "all.npz", images=arrays(20, 0), labels=np.array(["ill", "normal"] * 10))
    found = gate(tmp_path, train=str(tmp_path / "all.npz"), validation_fraction=0.2, test_fraction=0.2)
    assert (len(found.train), len(found.validation), len(found.test)) == (12, 4, 4)
    assert found.labels is not None and found.labels.names == ("ill", "normal")


def test_every_array_is_predicted_and_a_split_that_is_not_there_is_told(tmp_path: Path) -> None:
    file = medmnist(tmp_path / "chest.npz")
    rows, _ = read(file, IMAGE, split="rows")
    assert Counter(p.split("::")[1] for p in rows.texts("image")) == dict.fromkeys(
        ("train_images", "val_images", "test_images"), 8
    )
    np.savez(tmp_path / "two.npz", train_images=arrays(2, 0), val_images=arrays(2, 9))
    with user_error("data.missing-array", match=r"two\.npz has no test images; its arrays: train_images, val_images"):
        read(tmp_path / "two.npz", IMAGE, split="test")


def test_several_findings_of_an_npz_file_are_called_by_number(tmp_path: Path) -> None:
    labels = np.array([[0, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=np.uint8)
    np.savez(tmp_path / "chest.npz", train_images=arrays(3, 0), train_labels=labels)
    rows, _ = read(tmp_path / "chest.npz", IMAGE, *flags("1", "2"))
    assert (rows.texts("finding 0"), rows.texts("finding 1")) == (["1", "1", "0"], ["0", "0", "1"])
    with user_error("data.missing-column", where="data.label") as caught:
        read(tmp_path / "chest.npz")
    assert "3 findings are named 0 to 2" in str(caught.value.fix)
    with user_error("data.missing-column", where="recipe.findings", match="no column '3'"):
        read(tmp_path / "chest.npz", IMAGE, *flags("3"))


@pytest.mark.parametrize(
    ("labels", "kept"),
    [
        (np.array([[0.0], [1.0], [np.nan]]), ["0", "1"]),
        (np.array([0.5, 1.0, 0.0]), ["0.5", "1", "0"]),
        (np.array([b"ill", b"normal", b"ill"]), ["ill", "normal", "ill"]),
        (np.array([True, False, True]), ["1", "0", "1"]),
    ],
)
def test_labels_of_an_npz_file_are_kept_as_they_are(tmp_path: Path, labels: Any, kept: list[str]) -> None:
    np.savez(tmp_path / "x.npz", images=arrays(3, 0), labels=labels)
    rows, log = read(tmp_path / "x.npz")
    assert rows.texts("label") == kept
    assert [line for line, _, _ in reasons(log)] == [3] * (3 - len(kept))


@pytest.mark.parametrize("count", [2, 4, 6])
def test_as_many_labels_as_images_or_none_is_believed(tmp_path: Path, count: int) -> None:
    np.savez(tmp_path / "x.npz", images=arrays(3, 0), labels=np.arange(count))
    with user_error("data.length-mismatch", match=rf"x\.npz has 3 images and {count} labels"):
        read(tmp_path / "x.npz")


def test_a_damaged_npz_file_is_one_message(tmp_path: Path) -> None:
    file = tmp_path / "x.npz"
    np.savez_compressed(file, images=arrays(40, 0), labels=np.arange(40) % 2)
    whole = file.read_bytes()
    harms = {
        "cut short": whole[: len(whole) // 2],
        "no archive": b"not an archive at all",
        "empty": b"",
        # in the middle of the packed pixels
        "overwritten": whole[:600] + b"\xff" * 400 + whole[1000:],
    }
    for harm, content in harms.items():
        file.write_bytes(content)
        rejects = RejectLog(tmp_path / "rejects.jsonl", 0)
        images = ImageContent(Square(16), Decoding(), tmp_path / "cache", progress=False)
        with user_error("data.damaged-file", match=r"x\.npz is not a readable \.npz file"):
            images.inspect(read_rows(str(file), "data.train", [IMAGE, LABEL], rejects, split="train"), rejects)
        assert harm


def test_an_npz_file_runs_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "pwned"

    class Planted:
        def __reduce__(self) -> Any:
            return (Path.touch, (mark,))

    np.savez(tmp_path / "x.npz", images=arrays(2, 0), labels=np.array([Planted(), Planted()], dtype=object))
    with user_error("data.damaged-file"):
        read(tmp_path / "x.npz")
    assert not mark.exists()
