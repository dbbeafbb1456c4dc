"""`tunebook pick` on images: drawn as BADGE says, without what has a label or was trained on; tasks of Label Studio."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision.models import squeezenet1_1

from tests.conftest import Tunebook
from tests.diagnosed import diagnosed, read_table, write_patients, write_table
from tests.user_error import user_error
from tunebook.bundle.read import open_bundle
from tunebook.data.content import Content
from tunebook.data.reading import read_rows
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import Rows
from tunebook.families.image_classification.model.final_layer import final_layer
from tunebook.families.image_classification.model.image_features import without_final_layer
from tunebook.families.image_classification.preprocessing import ImageItems, stack_images
from tunebook.run_folder import RunFolder
from tunebook.training.softmax_head import FindingsHead


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("picked")
    table = write_table(folder / "train.csv", write_patients(folder / "train", 40))
    return diagnosed(folder, f"data.train={table}", "data.group=patient")


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("findings")
    table = write_table(folder / "train.csv", write_patients(folder / "train", 40))
    return diagnosed(folder, f"data.train={table}", "data.group=patient", "recipe.findings=[blob,bright]")


def unlabelled(folder: Path, count: int) -> list[dict[str, Any]]:
    """New pictures in the folder ``pool``, their paths and patients."""
    rows = write_patients(folder / "pool", count, seed=500_000)
    return [{"path": row["path"], "patient": row["patient"], "label": ""} for row in rows]


def picked(done: subprocess.CompletedProcess[str]) -> list[dict[str, str]]:
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(done.stdout.splitlines()))


def looked_at(run: RunFolder, table: Path, scratch: Path) -> tuple[Any, Rows, Content]:
    """The model of a bundle, and the rows of a pool as it sees them."""
    manifest, recipe, predictor = open_bundle(run.bundle)
    content = recipe.family.inputs.bundle_content(recipe, manifest, scratch, answered=False)
    assert content is not None
    columns, rejects = recipe.family.inputs.predict_columns(recipe, manifest, None, []), RejectLog(scratch / "log", 0)
    return predictor, content.inspect(read_rows([str(table)], "files", columns, rejects), rejects), content


def gradients(predictor: Any, rows: Rows, content: Any) -> NDArray[np.float64]:
    """Of the final layer's weights, were the likeliest label of each row right: ``[rows, labels * features]``."""
    items = ImageItems.of(rows, content, np.zeros(len(rows), dtype=np.int64))
    batch = predictor.preparation(stack_images([items[i] for i in range(len(items))]))
    model = predictor.model.eval()
    with torch.no_grad(), without_final_layer(model):
        features = model(batch["inputs"]["x"]).double()
    layer = final_layer(model)[1].double()
    found = []
    for feature in features:
        logits = layer(feature) / predictor.temperature
        loss = torch.nn.functional.cross_entropy(logits[None], logits.argmax()[None])
        found.append(torch.autograd.grad(loss, layer.weight)[0].flatten().numpy())
    return np.stack(found)


def drawn_by_hand(points: NDArray[np.float64], count: int, seed: int) -> list[int]:
    """k-means++ over points, from the longest one."""
    draw, found = np.random.default_rng(seed), [int(np.linalg.norm(points, axis=1).argmax())]
    while len(found) < count:
        far = np.min([((points - points[i]) ** 2).sum(1) for i in found], axis=0)
        found.append(int(draw.choice(len(points), p=far / far.sum())))
    return found


def test_picks_are_k_means_plus_plus_on_the_gradients(tmp_path: Path, run: RunFolder, tunebook: Tunebook) -> None:
    table = write_table(tmp_path / "pool.csv", unlabelled(tmp_path, 40))
    found = picked(tunebook("pick", str(run.path), str(table), "--n", "20", "--seed", "3"))
    predictor, rows, content = looked_at(run, table, tmp_path)
    expected = drawn_by_hand(gradients(predictor, rows, content), 20, seed=3)
    assert [int(row["line"]) for row in found] == [rows.lines[i] for i in expected]
    answers = picked(tunebook("predict", str(run.path), str(table)))
    said = {row["line"]: (row["prediction"], float(row[f"probability_{row['prediction']}"])) for row in answers}
    for row in found:
        assert said[row["line"]] == (row["prediction"], pytest.approx(float(row["probability"]), abs=1e-5))


def test_what_has_a_label_was_trained_on_or_repeats_is_passed_over(
    tmp_path: Path, run: RunFolder, tunebook: Tunebook
) -> None:
    pool = unlabelled(tmp_path, 16)
    pool[0]["label"], pool[1]["label"] = "ill", "normal"
    tested = {row["image"] for row in read_table(run.path / "predictions.csv")}
    trained = sorted(path for path in (run.path.parent / "train").glob("*.png") if str(path) not in tested)
    assert len(trained) == 36
    shutil.copy(trained[0], tmp_path / "pool" / "same.png")
    with Image.open(trained[1]) as image:
        image.save(tmp_path / "pool" / "nearly.jpg", quality=97)
    with Image.open(tmp_path / pool[5]["path"]) as image:
        image.save(tmp_path / "pool" / "again.bmp")
    others = [f"pool/{name}" for name in ("same.png", "nearly.jpg", "again.bmp")]
    table = write_table(tmp_path / "pool.csv", [*pool, *({"path": path} for path in others)])
    done = tunebook("pick", str(run.bundle), str(table), "--n", "14")
    assert {row["image"] for row in picked(done)} == {row["path"] for row in pool[2:]}
    assert "of 19 rows, 2 have a label, 2 were used in training, 1 repeat another; they are passed over" in done.stderr


def test_tasks_are_read_back_and_trained_on_with_the_first_rows(
    tmp_path: Path, run: RunFolder, tunebook: Tunebook
) -> None:
    pool = unlabelled(tmp_path, 9)
    table, picks, tasks = (tmp_path / name for name in ("pool.csv", "picks.csv", "tasks.json"))
    write_table(table, pool)
    arguments = ["--n", "6", "-o", str(picks), "--label-studio", str(tasks)]
    done = tunebook("pick", str(run.path), str(table), *arguments)
    assert done.returncode == 0, done.stderr
    found = read_table(picks)
    assert list(found[0]) == ["file", "line", "image", "patient", "prediction", "probability"]
    for row in found:
        source = pool[int(row["line"]) - 2]
        assert (row["file"], row["image"], row["patient"]) == ("pool.csv", source["path"], source["patient"])
    made = json.loads(tasks.read_text())
    assert [(each["data"]["image"], each["data"]["path"], each["data"]["patient"]) for each in made] == [
        (row["image"], row["image"], row["patient"]) for row in found
    ]
    (prediction,) = made[0]["predictions"]
    assert prediction["score"] == pytest.approx(float(found[0]["probability"]))
    choice = {"from_name": "label", "to_name": "image", "type": "choices"}
    assert prediction["result"] == [{**choice, "value": {"choices": [found[0]["prediction"]]}}]
    again = picked(tunebook("pick", str(run.path), str(tasks), "--n", "6"))
    assert {row["image"] for row in again} == {row["image"] for row in found}
    for each in made:
        each["annotations"] = [{"id": 1, "result": each.pop("predictions")[0]["result"]}]
    tasks.write_text(json.dumps(made))
    both = f"data.train=[{run.path.parent / 'train.csv'},{tasks}]"
    small = ["recipe.size=32", "trainer.rehearse=false", f"data.cache_dir={tmp_path / 'cache'}"]
    checked = tunebook("check", "recipe=medical_diagnosis", both, "data.group=patient", *small)
    assert checked.returncode == 0, checked.stderr
    assert "kept: 46" in checked.stdout
    assert "6 have a label" in tunebook("pick", str(run.path), str(tasks), "--n", "1").stderr


def test_folders_globs_and_files_of_local_storage_are_pools(tmp_path: Path, run: RunFolder, tunebook: Tunebook) -> None:
    unlabelled(tmp_path, 5)
    (tmp_path / "pool" / "ward 2").mkdir()
    (tmp_path / "pool" / "4_0.png").rename(tmp_path / "pool" / "ward 2" / "4_0.png")
    whole = picked(tunebook("pick", str(run.path), str(tmp_path / "pool"), "--n", "5"))  # a sub-folder is no label
    assert {Path(row["image"]).name for row in whole} == {f"{i}_0.png" for i in range(5)}
    assert list(whole[0]) == ["file", "line", "image", "prediction", "probability"]
    some = picked(tunebook("pick", str(run.path), str(tmp_path / "pool" / "*.png"), "--n", "4"))
    assert {Path(row["image"]).name for row in some} == {f"{i}_0.png" for i in range(4)}
    served = [f"/data/local-files/?d=pool/{name}" for name in ("0_0.png", "ward%202/4_0.png")]
    relation = {"from_id": "a", "to_id": "b", "type": "relation", "direction": "right"}
    results: list[list[dict[str, Any]]] = [[], [relation]]
    tasks = [
        {"id": i, "data": {"image": image}, "annotations": [{"id": 1, "result": result}]}
        for i, (image, result) in enumerate(zip(served, results, strict=True), 1)
    ]
    export = tmp_path / "export.json"
    export.write_text(json.dumps(tasks))
    done = tunebook("pick", str(run.path), str(export), "--n", "2", "--image", "image")
    assert {row["image"] for row in picked(done)} == set(served)
    assert "annotations that are no choices label no row: relation (1 not read)" in done.stderr


def write_pools(folder: Path) -> None:
    """Pools by name in a folder, each with another fault."""
    pool = unlabelled(folder, 6)
    write_table(folder / "pool.csv", pool)
    write_table(folder / "labelled.csv", [{**row, "label": "ill"} for row in pool])
    write_table(folder / "missing.csv", [*pool, {"path": "pool/nothing.png"}])
    whole = (folder / pool[0]["path"]).read_bytes()
    (folder / "pool" / "cut.png").write_bytes(whole[: len(whole) // 2])
    write_table(folder / "damaged.csv", [*pool, {"path": "pool/cut.png"}])
    images = np.random.default_rng(0).integers(0, 255, (4, 40, 32), dtype=np.uint8)
    np.savez(folder / "labelled.npz", images=images, labels=np.array([0, 1, 0, 1]))
    np.savez(folder / "packed.npz", images=images)
    (folder / "plain").mkdir()
    (folder / "plain" / "config.json").write_text("{}")


@pytest.mark.parametrize(
    ("pool", "arguments", "said"),
    [
        ("labelled.csv", [], "There is no row to label of 6 rows (6 have a label)"),
        ("labelled.npz", [], "There is no row to label of 4 rows (4 have a label)"),
        ("pool.csv", [], "There are 6 rows to label of 6 rows, not 100"),
        ("missing.csv", ["--n", "2"], "'path' is 'pool/nothing.png': there is no such file"),
        ("damaged.csv", ["--n", "2"], "pool/cut.png"),
        ("pool.csv", ["--image", "scan"], "has no column 'scan'"),
        ("packed.npz", ["--n", "2"], "this image is inside an .npz file"),
    ],
)
def test_wrong_pools_end_in_one_message_and_nothing_is_written(
    tmp_path: Path, run: RunFolder, tunebook: Tunebook, pool: str, arguments: Sequence[str], said: str
) -> None:
    write_pools(tmp_path)
    outputs = ["-o", str(tmp_path / "picks.csv"), "--label-studio", str(tmp_path / "tasks.json")]
    done = tunebook("pick", str(run.path), str(tmp_path / pool), *arguments, *outputs)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("error: ") == 1
    assert said in " ".join(done.stderr.split())
    assert not done.stdout and not (tmp_path / "picks.csv").exists() and not (tmp_path / "tasks.json").exists()


def test_unusable_images_are_left_out_where_that_is_allowed(tmp_path: Path, run: RunFolder, tunebook: Tunebook) -> None:
    write_pools(tmp_path)
    done = tunebook("pick", str(run.path), str(tmp_path / "damaged.csv"), "--n", "6", "--max-rejects", "1")
    assert len(picked(done)) == 6
    assert "note: 1 of 7 rows cannot be used" in done.stderr


def test_models_that_pick_no_images(tmp_path: Path, findings: RunFolder, tunebook: Tunebook) -> None:
    write_pools(tmp_path)
    for model, said in (
        (findings.path, "finds any of several findings in an image; rows are picked for classifiers"),
        (tmp_path / "plain", "This folder holds no bundle"),  # what was never tuned
    ):
        done = tunebook("pick", str(model), str(tmp_path / "pool.csv"), "--n", "2")
        assert done.returncode == 2, done.stderr
        assert said in " ".join(done.stderr.split())


def test_probabilities_that_are_no_softmax_of_a_final_layer_rank_nothing(tmp_path: Path, run: RunFolder) -> None:
    predictor, rows, content = looked_at(
        run, write_table(tmp_path / "pool.csv", unlabelled(tmp_path, 3)), tmp_path / "cache"
    )
    cuts_off = replace(predictor, model=squeezenet1_1(num_classes=2))  # below zero, after its final layer
    for wrong in (cuts_off, replace(predictor, head=FindingsHead(2))):
        with user_error("model.no-final-layer", match="no softmax of its final layer"):
            wrong.rows_with_features(rows, content, None, lambda done: None)
