"""Whole runs of medical_diagnosis: what they leave, what it says, and who else can open it."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from PIL import Image
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    confusion_matrix,
    roc_auc_score,
)

from tests.conftest import Tunebook
from tests.data.test_augmentations import DROPOUT
from tests.diagnosed import SMALL, diagnosed, picture, read_table, write_patients, write_table
from tests.forked import run_forked, start_forked
from tests.light import said_lightly
from tests.training.offered import write_package
from tests.user_error import user_error
from tunebook.cli.evaluate import evaluate_command
from tunebook.cli.predict import predict_command
from tunebook.composing.command import register_schemas
from tunebook.recipes.medical_diagnosis.recipe import MedicalDiagnosis  # noqa: TID251
from tunebook.run_folder import RunFolder

ROWS = {"train": (48, 0), "validation": (24, 10**6), "test": (40, 2 * 10**6)}


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.csv, validation.csv and test.csv of different patients."""
    folder = tmp_path_factory.mktemp("patients")
    for split, (count, seed) in ROWS.items():
        write_table(folder / f"{split}.csv", write_patients(folder / split, count, seed))
    return folder


def given(patients: Path) -> list[str]:
    return [*(f"data.{split}={patients / split}.csv" for split in ROWS), "data.group=patient"]


@pytest.fixture(scope="module")
def run(patients: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("single")
    return diagnosed(folder, *given(patients), "recipe.subgroups=[sex]", "trainer.max_epochs=3")


@pytest.fixture(scope="module")
def several(patients: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Two findings, either of which a picture may have; abstaining where it is not sure."""
    points = "recipe.operating_points={sure: abstain 0.9 0.9, screening: sensitivity 0.9}"
    folder = tmp_path_factory.mktemp("several")
    return diagnosed(folder, *given(patients), "recipe.findings=[blob,bright]", points, "trainer.max_epochs=2")


def metrics(run: RunFolder) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run.metrics.read_text(encoding="utf-8"))
    return found


def column(rows: Sequence[dict[str, str]], name: str) -> Any:
    return np.array([float(row[name]) for row in rows])


# What a run leaves ----------------------------------------------------------------------------------------------


def test_the_files_of_a_run(run: RunFolder) -> None:
    assert {p.name for p in run.path.iterdir()} - {".running"} == {
        *(
            "checkpoints",
            "config.yaml",
            "logs",
            "metrics.json",
            "model",
            "predictions.csv",
            "report.html",
            "record.json",
        ),
    }
    assert {p.name for p in run.bundle.iterdir()} >= {"README.md", "config.json", "model.safetensors", "tunebook.json"}
    rows = read_table(run.predictions)
    assert len(rows) == ROWS["test"][0]
    assert list(rows[0]) == [
        *("file", "line", "image", "truth", "prediction", "probability_ill", "probability_normal"),
        *("ill_at_screening", "ill_at_confirming"),
    ]


def test_the_metrics_are_those_of_scikit_learn(run: RunFolder) -> None:
    rows, told = read_table(run.predictions), metrics(run)["test"]
    truth, p = np.array([row["truth"] == "ill" for row in rows]), column(rows, "probability_ill")
    answers = [row["prediction"] for row in rows]
    expected = {
        "auroc": roc_auc_score(truth, p),
        "average_precision": average_precision_score(truth, p),
        "balanced_accuracy": balanced_accuracy_score([row["truth"] for row in rows], answers),
        "accuracy": accuracy_score([row["truth"] for row in rows], answers),
    }
    assert {name: told[name]["value"] for name in expected} == pytest.approx(expected, abs=1e-6)
    assert answers == ["ill" if q > 0.5 else "normal" for q in p]
    for name in expected:
        assert told[name]["low"] <= told[name]["value"] <= told[name]["high"] and told[name]["n"] == len(rows)
    brier = metrics(run)["findings"]["ill"]["brier_score"]["value"]
    assert brier == pytest.approx(brier_score_loss(truth, p), abs=1e-5)


def test_the_operating_points_do_on_the_test_rows_what_is_told(run: RunFolder) -> None:
    rows, points = read_table(run.predictions), metrics(run)["operating_points"]
    truth, p = np.array([row["truth"] == "ill" for row in rows]), column(rows, "probability_ill")
    assert [point["name"] for point in points] == ["screening", "confirming"]
    for point in points:
        assert point["low"] == point["high"]
        positive = p >= point["low"]
        ((tn, fp), (fn, tp)) = confusion_matrix(truth, positive)
        expected = {"sensitivity": tp / (tp + fn), "specificity": tn / (tn + fp)}
        expected |= {"ppv": tp / (tp + fp)} if tp + fp else {}
        assert {name: point[name]["value"] for name in expected} == pytest.approx(expected)
        said = [row[f"ill_at_{point['name']}"] for row in rows]
        assert said == ["positive" if yes else "negative" for yes in positive]
    manifest = json.loads((run.bundle / "tunebook.json").read_text(encoding="utf-8"))
    kept = [
        {key: point[key] for key in stored} for point, stored in zip(points, manifest["image"]["points"], strict=True)
    ]
    assert kept == manifest["image"]["points"]


def test_the_thresholds_keep_their_promise_on_the_validation_rows(
    run: RunFolder, patients: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = predicted(capsys, run, patients / "validation.csv")
    ill = np.array([row["label"] == "ill" for row in read_table(patients / "validation.csv")])
    p = column(rows, "probability_ill")
    screening, confirming = metrics(run)["operating_points"]
    assert np.mean(p[ill] >= screening["low"]) >= 0.95
    assert np.mean(p[~ill] < confirming["low"]) >= 0.95
    assert (screening["n_positive"], screening["n_negative"]) == (ill.sum(), (~ill).sum())


def test_the_report_says_what_it_is_for_and_shows_its_mistakes(run: RunFolder) -> None:
    report = run.report.read_text(encoding="utf-8")
    recipe = MedicalDiagnosis(MedicalDiagnosis.Config(name="medical_diagnosis"))
    for phrase in (
        *recipe.cautions,
        "Operating points",
        "Worst mistakes",
        "Subgroups",
        "Reliability",
        "temperature",
        "ROC curves",
        "AUROC",
    ):
        assert phrase in report, phrase
    assert report.count("data:image/png;base64,") + report.count("data:image/jpeg;base64,") >= 1
    assert not re.findall(r"(?:src|href)=[\"']?https?:", report), "it opens without a network"


def test_subgroups_of_few_rows_are_hidden_everywhere(patients: Path, tmp_path: Path, run: RunFolder) -> None:
    found = metrics(run)["subgroups"]
    sexes = [row["sex"] for row in read_table(patients / "test.csv")]
    assert {row["value"] for row in found} == {"f", "m"}
    for row in found:
        n = sexes.count(row["value"])
        assert row["n"] == (n if n >= 20 else None)
        assert row["positives"] is None or row["positives"] >= 20
        assert row["auroc"]["value"] is not None or n < 20
    assert 0 < min(sexes.count(s) for s in "fm") < 20 <= max(sexes.count(s) for s in "fm")


def test_no_patient_is_named_in_what_is_passed_on(run: RunFolder, several: RunFolder, patients: Path) -> None:
    for made in (run, several):
        for file in (made.report, made.metrics, *made.bundle.iterdir()):
            text = file.read_bytes().decode("utf-8", "replace")
            assert "Jane Doe" not in text, file
            assert not re.search(r"\b\d+_0\.png", text), f"{file} names pictures"
        for file in made.bundle.iterdir():
            assert str(patients) not in file.read_bytes().decode("utf-8", "replace"), file


def test_nothing_can_be_run_by_opening_a_run_folder(run: RunFolder) -> None:
    for file in (p for p in run.path.rglob("*") if p.is_file()):
        if file.suffix == ".ckpt":
            torch.load(file, weights_only=True)
        else:
            assert not file.read_bytes()[:2].startswith(b"\x80") and file.suffix not in (".pt", ".bin", ".pkl"), file


# Others open it -------------------------------------------------------------------------------------------------


def by_hand(run: RunFolder, paths: Sequence[str], model: Any) -> Any:
    """Logits of picture files, prepared with Pillow and numpy as the bundle's manifest says."""
    pre = json.loads((run.bundle / "tunebook.json").read_text(encoding="utf-8"))["image"]["preprocessing"]
    assert (pre["fit"], pre["interpolation"], pre["channels"]) == ("pad", "bicubic", 3)
    stacked = []
    for path in paths:
        with Image.open(path) as image:
            scale = pre["size"] / max(image.size)
            inner = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
        whole = Image.new("L", (pre["size"], pre["size"]))
        whole.paste(inner, ((whole.width - inner.width) // 2, (whole.height - inner.height) // 2))
        light = np.repeat(np.asarray(whole, dtype=np.float32)[None] / 255, 3, axis=0)
        mean, std = (np.array(pre[name], dtype=np.float32)[:, None, None] for name in ("mean", "std"))
        stacked.append((light - mean) / std)
    with torch.no_grad():
        return model.eval()(torch.from_numpy(np.stack(stacked))).double().numpy()


@pytest.mark.parametrize("way", ["local-dir", "checkpoint_path"])
def test_plain_timm_gives_the_probabilities_of_the_run(way: str, run: RunFolder) -> None:
    import timm

    if way == "local-dir":
        model = timm.create_model(f"local-dir:{run.bundle}", pretrained=True)
    else:
        config = json.loads((run.bundle / "config.json").read_text())
        weights = str(run.bundle / "model.safetensors")
        model = timm.create_model(config["architecture"], num_classes=config["num_classes"], checkpoint_path=weights)
    rows = read_table(run.predictions)
    temperature = json.loads((run.bundle / "tunebook.json").read_text())["image"]["temperature"]
    logits = by_hand(run, [row["image"] for row in rows], model) / temperature
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(p[:, 0], column(rows, "probability_ill"), atol=2e-5)
    assert json.loads((run.bundle / "config.json").read_text())["label_names"] == ["ill", "normal"]


def test_the_cards_code_works_as_written(run: RunFolder, several: RunFolder) -> None:
    for made in (run, several):
        card = (made.bundle / "README.md").read_text(encoding="utf-8")
        (code,) = re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL)
        for row in read_table(made.predictions)[:3]:
            scope: dict[str, Any] = {}
            exec(code.replace("path/to/this/folder", str(made.bundle)).replace("picture.png", row["image"]), scope)
            wanted = [float(v) for k, v in row.items() if k.startswith("probability_")]
            assert scope["probabilities"].tolist() == pytest.approx(wanted, abs=2e-5)


def test_onnx_gives_the_probabilities_of_the_run(run: RunFolder, several: RunFolder, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("onnx", reason="onnx is not installed")
    from tunebook.cli.export import export_command

    for made in (run, several):
        file = tmp_path / f"{made.path.parent.name}.onnx"
        export_command([str(made.path), "-o", str(file)])
        session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        rows = read_table(made.predictions)
        seen: list[Any] = []
        by_hand(made, [row["image"] for row in rows], Remember(seen))
        pre = json.loads((made.bundle / "tunebook.json").read_text())["image"]["preprocessing"]
        mean, std = (np.array(pre[name], dtype=np.float32)[:, None, None] for name in ("mean", "std"))
        (p,) = session.run(None, {"pixels": (seen[0].numpy() * std + mean).astype(np.float32)})
        names = [k for k in rows[0] if k.startswith("probability_")]
        np.testing.assert_allclose(p, np.stack([column(rows, name) for name in names], axis=1), atol=2e-5)
        with user_error("file.exists", where=str(file)):
            export_command([str(made.path), "-o", str(file)])


class Remember(torch.nn.Module):
    """Keeps its input."""

    def __init__(self, seen: list[Any]) -> None:
        super().__init__()
        self.seen = seen

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(x)
        return x.mean(dim=(1, 2, 3))


# predict --------------------------------------------------------------------------------------------------------


def predicted(capsys: pytest.CaptureFixture[str], run: RunFolder, *arguments: object) -> list[dict[str, str]]:
    capsys.readouterr()
    predict_command([str(run.path), *map(str, arguments)])
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


def answers(rows: Sequence[dict[str, str]]) -> dict[str, tuple[str, ...]]:
    left_out = ("file", "line", "image", "truth")
    return {row["image"]: tuple(v for k, v in row.items() if k not in left_out) for row in rows}


def alike(found: dict[str, tuple[str, ...]], expected: dict[str, tuple[str, ...]]) -> None:
    """The same but for the last digit, which the size of a batch may move."""
    assert list(found) == list(expected)
    for one, other in zip(found.values(), expected.values(), strict=True):
        for a, b in zip(one, other, strict=True):
            assert a == b or float(a) == pytest.approx(float(b), abs=2e-6)


def test_every_kind_of_source_gets_the_answers_of_the_run(
    run: RunFolder, several: RunFolder, patients: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for made in (run, several):
        expected = answers(read_table(made.predictions))
        rows = predicted(capsys, made, patients / "test.csv")
        assert answers(rows) == expected
        assert list(rows[0]) == [name for name in read_table(made.predictions)[0] if name != "truth"]
        folder = answers(predicted(capsys, made, patients / "test"))  # in another order, so in other batches
        alike(dict(sorted(folder.items())), dict(sorted(expected.items())))
        files = sorted((patients / "test").iterdir())[:3]
        alike(answers(predicted(capsys, made, *files)), {str(f): expected[str(f)] for f in files})
        found = answers(predicted(capsys, made, patients / "test" / "1*_0.png"))
        assert len(found) == 11
        alike(found, {image: expected[image] for image in found})
        order = [row["image"] for row in read_table(made.predictions)]
        np.savez(tmp_path / "test.npz", images=np.stack([np.asarray(Image.open(path)) for path in order]))
        stacked = predicted(capsys, made, tmp_path / "test.npz")
        assert list(answers(stacked).values()) == [expected[path] for path in order]
        assert stacked[4]["image"] == f"{tmp_path}/test.npz::images::4" and stacked[4]["line"] == "5"
        output = tmp_path / f"{made.path.parent.name}.jsonl"
        predict_command([str(made.path), str(patients / "test.csv"), "-o", str(output)])
        lines = [json.loads(line) for line in output.read_text().splitlines()]
        assert [line["prediction"] for line in lines] == [row["prediction"] for row in read_table(made.predictions)]


def test_the_answers_can_be_asked_about_again(
    run: RunFolder, patients: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """predictions.csv names each image so that it is a manifest itself."""
    rows = predicted(capsys, run, run.predictions, "--image", "image")
    assert answers(rows) == answers(read_table(run.predictions))


def test_a_broken_file_is_a_reject_with_its_name(
    run: RunFolder, patients: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    shutil.copy(patients / "test" / "0_0.png", folder / "good.png")
    (folder / "cut.png").write_bytes((folder / "good.png").read_bytes()[:300])
    Image.new("L", (20, 20), 7).save(folder / "black.png")
    with user_error("data.rejected-rows") as caught:
        predicted(capsys, run, folder)
    told = caught.value.message()
    assert "new/cut.png" in told and "is truncated" in told and "new/black.png" in told and "--max-rejects 2" in told
    (row,) = predicted(capsys, run, folder, "--max-rejects", 2)
    assert row["image"] == str(folder / "good.png")


def test_depths_that_the_model_never_saw_are_rejects(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file of 16 bits does not say how many it uses: read on another scale, it is another image."""
    Image.fromarray(picture(5).astype(np.uint16) * 16).save(tmp_path / "deep.png")
    with user_error("data.rejected-rows") as caught:
        predicted(capsys, run, tmp_path / "deep.png")
    assert "has 16 bits, but training used 8-bit images" in caught.value.message()


def test_mistakes_of_predict_are_told_in_its_own_words(
    run: RunFolder, patients: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = write_table(tmp_path / "rows.csv", [{"file": str(patients / "test" / "0_0.png")}])
    with user_error("data.missing-column") as caught:
        predicted(capsys, run, table)
    assert "--image" in caught.value.message() and "data." not in caught.value.message()
    (row,) = predicted(capsys, run, table, "--image", "file")
    assert row["image"].endswith("test/0_0.png")
    with user_error("command.no-input", where="files", match="no image to look at"):
        predicted(capsys, run)
    (tmp_path / "empty").mkdir()
    with user_error("data.no-images", where=str(tmp_path / "empty")):
        predicted(capsys, run, tmp_path / "empty")


@pytest.mark.parametrize("verb", ["predict", "evaluate"])
def test_a_wrong_path_or_column_is_told_before_torch_is_loaded(verb: str, run: RunFolder, tmp_path: Path) -> None:
    write_table(tmp_path / "rows.csv", [{"file": "0_0.png", "label": "ill"}])
    for rows, code in (("nowhere.csv", "nowhere.csv does not exist"), ("rows.csv", "no column 'path'")):
        given = [str(run.path), rows] if verb == "predict" else [f"bundle={run.path}", f"data.test={rows}"]
        assert code in said_lightly(tmp_path, verb, *given)


# evaluate -------------------------------------------------------------------------------------------------------


def evaluated(run: RunFolder, folder: Path, *overrides: str) -> dict[str, Any]:
    """The metrics of new rows, as `tunebook evaluate` writes them."""
    GlobalHydra.instance().clear()
    register_schemas()
    small = [f"bundle={run.path}", "accelerator=cpu", "evaluation.resamples=50", f"run_dir={folder}"]
    with initialize_config_module("tunebook.conf", version_base="1.3"):
        config = compose("evaluate", overrides=[*small, *overrides])
    evaluate_command(config, str(folder))
    found: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return found


def test_evaluate_says_of_the_test_rows_what_the_run_says(
    run: RunFolder, several: RunFolder, patients: Path, tmp_path: Path
) -> None:
    for made in (run, several):
        folder = tmp_path / made.path.parent.name
        found = evaluated(made, folder, f"data.test={patients}/test.csv", "data.group=patient")
        for key in ("test", "findings", "operating_points", "subgroups"):
            assert found[key] == metrics(made)[key], key
        assert (folder / "predictions.csv").read_text() == made.predictions.read_text()
        files = {"config.yaml", "metrics.json", "predictions.csv", "report.html", ".running"}
        assert {p.name for p in folder.iterdir()} == files
        assert "Jane Doe" not in (folder / "report.html").read_text(encoding="utf-8")
    others = evaluated(run, tmp_path / "others", f"data.test={patients}/test.csv", "data.subgroups=[bright]")
    assert {row["column"] for row in others["subgroups"]} == {"bright"}
    with user_error("data.missing-column"):
        evaluated(run, tmp_path / "typo", f"data.test={patients}/test.csv", "data.subgroups=[brihgt]")


def test_images_that_the_model_has_learnt_from_are_refused_whatever_they_are_called(
    run: RunFolder, patients: Path, tmp_path: Path
) -> None:
    rows = read_table(patients / "test.csv")[:6]
    for row in rows:
        row["path"] = str(patients / row["path"])
    seen = read_table(patients / "train.csv")[0]
    with Image.open(patients / seen["path"]) as image:
        image.save(tmp_path / "another_name.tif")
    table = write_table(tmp_path / "rows.csv", [*rows, {**seen, "path": "another_name.tif"}])
    with user_error("data.seen-rows", where="rows.csv:8", match="1 of 7 rows were already used in training or model"):
        evaluated(run, tmp_path / "a", f"data.test={table}")
    assert not (tmp_path / "a").exists()
    found = evaluated(run, tmp_path / "b", f"data.test={table}", "data.leaks=drop")
    assert found["test"]["auroc"]["n"] == 6
    assert evaluated(run, tmp_path / "c", f"data.test={table}", "data.leaks=allow")["test"]["auroc"]["n"] == 7


def test_copies_of_images_that_the_model_has_learnt_from_are_found(
    run: RunFolder, patients: Path, tmp_path: Path
) -> None:
    rows = [{**row, "path": str(patients / row["path"])} for row in read_table(patients / "test.csv")[:6]]
    (known, other) = read_table(patients / "train.csv")[:2]
    with Image.open(patients / known["path"]) as image:
        image.resize((image.width * 2, image.height * 2)).save(tmp_path / "larger.png")
    with Image.open(patients / other["path"]) as image:
        image.convert("L").save(tmp_path / "again.jfif", "JPEG", quality=80)
    copies = [{**known, "path": "larger.png"}, {**other, "path": "again.jfif"}]
    table = write_table(tmp_path / "rows.csv", [*rows, *copies])
    said = r"2 of 8 rows were already used in training or model selection \(2 of them as nearly equal copies\)"
    with user_error("data.seen-rows", where="rows.csv:8, rows.csv:9", match=said):
        evaluated(run, tmp_path / "a", f"data.test={table}")
    found = evaluated(run, tmp_path / "b", f"data.test={table}", "data.leaks=drop")
    assert found["test"]["auroc"]["n"] == 6
    assert "2 of them as nearly equal copies" in (tmp_path / "b" / "report.html").read_text()


def test_the_largest_image_is_a_key_of_the_config(patients: Path, tunebook: Tunebook) -> None:
    given_ = ["check", "recipe=medical_diagnosis", *given(patients), "trainer.progress=false", "recipe.size=32"]
    refused = tunebook(*given_, "data.max_pixels=99")
    assert refused.returncode == 2 and "pixels, more than data.max_pixels=99" in refused.stderr


def test_intervals_resample_whole_patients_where_they_are_named(run: RunFolder, tmp_path: Path) -> None:
    table = write_table(tmp_path / "rows.csv", write_patients(tmp_path / "new", 24, 3 * 10**6, images=4))
    alone = evaluated(run, tmp_path / "a", f"data.test={table}", "evaluation.resamples=400")["test"]
    grouped = evaluated(run, tmp_path / "b", f"data.test={table}", "evaluation.resamples=400", "data.group=patient")
    for name, score in grouped["test"].items():
        assert score["value"] == alone[name]["value"]
        assert "group" in score["method"] and "group" not in alone[name]["method"], name
    width = {n: (s["high"] - s["low"]) for n, s in (("alone", alone["auroc"]), ("grouped", grouped["test"]["auroc"]))}
    assert width["grouped"] >= 0.9 * width["alone"]
    assert "may count twice" in (tmp_path / "a" / "report.html").read_text(encoding="utf-8")
    assert "may count twice" not in (tmp_path / "b" / "report.html").read_text(encoding="utf-8")


def test_a_label_that_the_model_does_not_know_is_a_reject(run: RunFolder, patients: Path, tmp_path: Path) -> None:
    rows = [{**row, "path": str(patients / row["path"])} for row in read_table(patients / "test.csv")]
    rows[3]["label"] = "unclear"
    table = write_table(tmp_path / "rows.csv", rows)
    with user_error("data.rejected-rows") as caught:
        evaluated(run, tmp_path / "a", f"data.test={table}")
    assert "rows.csv:5" in caught.value.message() and "'unclear'" in caught.value.message()
    assert evaluated(run, tmp_path / "b", f"data.test={table}", "data.max_rejects=1")["test"]["auroc"]["n"] == 39


def test_a_folder_by_class_is_evaluated_and_a_column_that_is_missing_is_told(
    run: RunFolder, patients: Path, tmp_path: Path
) -> None:
    for row in read_table(patients / "test.csv"):
        (tmp_path / "new" / row["label"]).mkdir(parents=True, exist_ok=True)
        shutil.copy(patients / row["path"], tmp_path / "new" / row["label"])
    found = evaluated(run, tmp_path / "a", f"data.test={tmp_path / 'new'}")
    assert found["test"]["auroc"]["value"] == pytest.approx(metrics(run)["test"]["auroc"]["value"])
    with user_error("data.missing-column", where="data.group"):
        evaluated(run, tmp_path / "b", f"data.test={tmp_path / 'new'}", "data.group=patient")


# Several findings -----------------------------------------------------------------------------------------------


def test_findings_are_scored_one_by_one_and_on_average(several: RunFolder) -> None:
    rows, told = read_table(several.predictions), metrics(several)
    areas = []
    for name in ("blob", "bright"):
        truth = np.array([name in row["truth"].split("; ") for row in rows])
        p = column(rows, f"probability_{name}")
        areas.append(roc_auc_score(truth, p))
        assert told["findings"][name]["auroc"]["value"] == pytest.approx(areas[-1], abs=1e-6)
        precision = average_precision_score(truth, p)
        assert told["findings"][name]["average_precision"]["value"] == pytest.approx(precision, abs=1e-6)
    assert told["test"]["auroc"]["value"] == pytest.approx(np.mean(areas), abs=1e-6)
    assert "balanced_accuracy" not in told["test"]


def test_several_findings_are_answered_in_words(several: RunFolder) -> None:
    rows = read_table(several.predictions)
    for row in rows:
        there = [name for name in ("blob", "bright") if float(row[f"probability_{name}"]) >= 0.5]
        assert row["prediction"] == ("; ".join(there) or "none")
    assert {row["truth"] for row in rows} == {"none", "blob", "bright", "blob; bright"}
    points = {(p["name"], p["finding"]): p for p in metrics(several)["operating_points"]}
    assert len(points) == 4
    for (name, finding), point in points.items():
        for row in rows:
            p = float(row[f"probability_{finding}"])
            said = "positive" if p >= point["high"] else "negative" if p < point["low"] else "abstain"
            assert row[f"{finding}_at_{name}"] == said
        answered = [row for row in rows if row[f"{finding}_at_{name}"] != "abstain"]
        assert point["answered"]["value"] == pytest.approx(len(answered) / len(rows))


# Ways to train --------------------------------------------------------------------------------------------------


def test_a_chosen_point_gives_the_answer(patients: Path, tmp_path: Path) -> None:
    rules = "recipe.operating_points={confirming: specificity 0.95, sure: abstain 0.95 0.95}"
    run = diagnosed(tmp_path, *given(patients), rules, "recipe.point=confirming", name="a")
    rows, points = read_table(run.predictions), {p["name"]: p for p in metrics(run)["operating_points"]}
    p = column(rows, "probability_ill")
    told = ["ill" if q >= points["confirming"]["low"] else "normal" for q in p]
    assert [row["prediction"] for row in rows] == told
    truth = [row["truth"] for row in rows]
    assert metrics(run)["test"]["accuracy"]["value"] == pytest.approx(accuracy_score(truth, told))
    sure = diagnosed(tmp_path, *given(patients), rules, "recipe.point=sure", name="b")
    rows, point = read_table(sure.predictions), metrics(sure)["operating_points"][1]
    assert point["low"] < point["high"], "or nothing is abstained from"
    said = {-1: "normal", 0: "abstain", 1: "ill"}
    p = column(rows, "probability_ill")
    assert [row["prediction"] for row in rows] == [said[int(q >= point["high"]) - int(q < point["low"])] for q in p]


@pytest.mark.parametrize(
    "overrides",
    [
        ["adapt=head"],
        ["adapt=lora", "model.name=test_vit", "model.weights={vit}", "recipe.size=32", "recipe.channels=1"],
        ["adapt=scratch", "model.name=test_resnet", "recipe.channels=1", "recipe.fit=crop"],
        ["adapt=scratch", "model.name=torchvision/mobilenet_v3_small", "recipe.fit=stretch", "recipe.flip=both"],
        ["adapt.unfreeze_epochs=1", "trainer.max_epochs=2", "recipe.imbalance=weights", "recipe.calibrate=false"],
        ["recipe.imbalance=focal", "recipe.findings=[blob,bright]", "recipe.augment=false", "data.num_workers=2"],
    ],
    ids=["head", "lora", "scratch-timm", "scratch-torchvision", "unfreeze", "focal"],
)
def test_ways_to_train(
    overrides: list[str], patients: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import timm
    from safetensors.torch import save_file

    if "adapt=lora" in overrides:
        torch.manual_seed(0)
        model = timm.create_model("test_vit")
        save_file(model.state_dict(), tmp_path / "vit.safetensors")
    run = diagnosed(tmp_path, *given(patients), *(each.format(vit=tmp_path / "vit.safetensors") for each in overrides))
    rows = read_table(run.predictions)
    assert len(rows) == 40
    record = json.loads(run.record.read_text())
    trained, total = record["trained_parameters"], record["total_parameters"]
    if "adapt=head" in overrides:
        assert trained == 368 * 2 + 2, "a linear layer on the starter's 368 features"
    elif "adapt=lora" in overrides:
        layers = [m for n, m in timm.create_model("test_vit").named_modules() if isinstance(m, torch.nn.Linear)][:-1]
        assert trained == sum(8 * (m.in_features + m.out_features) for m in layers) + 64 * 2 + 2
    else:
        assert trained == total
    assert record["steps"] == (12 if "trainer.max_epochs=2" in overrides else 6)
    alike(answers(predicted(capsys, run, patients / "test.csv")), answers(rows))
    if "recipe.calibrate=false" in overrides:
        assert metrics(run)["temperature"] == 1


def test_a_bundle_is_a_model_to_go_on_from(run: RunFolder, patients: Path, tmp_path: Path) -> None:
    again = diagnosed(tmp_path, *given(patients), f"model.name={run.bundle}", "adapt=head")
    manifest = json.loads((again.bundle / "tunebook.json").read_text())
    assert manifest["image"]["preprocessing"]["size"] == 32
    assert str(tmp_path) not in (again.bundle / "README.md").read_text()
    assert metrics(again)["test"]["auroc"]["value"] > 0.9


def test_twelve_bits_in_files_of_sixteen(patients: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The largest training value tells how many bits are used, and new images are read alike."""
    for split in ROWS:
        rows = read_table(patients / f"{split}.csv")
        (tmp_path / split).mkdir()
        for row in rows:
            pixels = np.asarray(Image.open(patients / row["path"])).astype(np.uint16) * 16 + 15
            Image.fromarray(pixels).save(tmp_path / row["path"])
        write_table(tmp_path / f"{split}.csv", rows)
    run = diagnosed(tmp_path, *given(tmp_path))
    manifest = json.loads((run.bundle / "tunebook.json").read_text())
    assert manifest["image"]["full"] == 4095
    alike(answers(predicted(capsys, run, tmp_path / "test.csv")), answers(read_table(run.predictions)))
    Image.fromarray(picture(5).astype(np.uint16) * 64).save(tmp_path / "deeper.png")
    with user_error("data.rejected-rows") as caught:
        predicted(capsys, run, tmp_path / "deeper.png")
    assert "above full brightness, which is 4095 here" in caught.value.message()
    shutil.rmtree(tmp_path / "run")
    with user_error("config.out-of-range", where="recipe.bits"):
        diagnosed(tmp_path, *given(tmp_path), "recipe.bits=17")
    with user_error("data.rejected-rows") as caught:
        diagnosed(tmp_path, *given(tmp_path), "recipe.bits=8")
    assert "above full brightness, which is 255 here" in caught.value.message()


# Killed -------------------------------------------------------------------------------------------------------


def test_a_run_that_was_killed_ends_in_the_same_weights(patients: Path, tmp_path: Path) -> None:
    """With augmentation on, ours and a package's, which must go on where it was."""
    parts = write_package(tmp_path / "parts", "change_parts", DROPOUT, augmentations={"speckle": "speckle"})
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(parts)}
    more = [*given(patients), "trainer.max_epochs=4", "trainer.checkpoint_every=3", f"data.cache_dir={tmp_path / 'c'}"]
    more.append("data.augmentations=[{speckle:{size:0.2}}]")

    def command(folder: str) -> list[str]:
        return ["train", *SMALL, *more, f"run_dir={tmp_path / folder}"]

    untouched = run_forked(command("a"), environment, tmp_path, 240)
    assert untouched.returncode == 0, untouched.stderr
    process = start_forked(command("b"), environment, tmp_path)
    log, deadline = tmp_path / "b" / "logs" / "metrics.csv", time.monotonic() + 120
    while not log.is_file() or max((int(r["step"]) for r in read_table(log) if r.get("step")), default=0) < 10:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    process.communicate(timeout=60)
    assert not (tmp_path / "b" / "model").exists(), "it was killed while it learned"
    resumed = run_forked(["train", f"resume={tmp_path / 'b'}"], environment, tmp_path, 240)
    assert resumed.returncode == 0, resumed.stderr
    for name in ("model/model.safetensors", "predictions.csv", "logs/metrics.csv"):
        assert (tmp_path / "b" / name).read_bytes() == (tmp_path / "a" / name).read_bytes(), name


# Mistakes -------------------------------------------------------------------------------------------------------

MISTAKES = {  # overrides, code, place, words that no other test looks at, fix
    "negative": (["recipe.negative=healthy"], "config.unknown-choice", "recipe.negative", "", "ill, normal"),
    "point": (
        ["recipe.operating_points={}", "recipe.point=screening"],
        "config.unknown-choice",
        "recipe.point",
        "",
        "",
    ),
    "rule": (
        ["recipe.operating_points={screening: sensitive 0.9}"],
        "config.bad-rule",
        "recipe.operating_points",
        "",
        "sensitivity",
    ),
    "size": (
        ["model.name=test_vit", "adapt=scratch", "recipe.size=37"],
        "model.wrong-size",
        "recipe.size",
        "37",
        "multiples of its patch",
    ),
    "adapt": (["adapt=none"], "config.no-effect", "adapt", "cannot predict before training", "adapt=head"),
    "column": (["recipe.findings=[blob,effusion]"], "data.missing-column", "recipe.findings", "'effusion'", "blob"),
    "no finding": (["recipe.findings=[]"], "config.missing-value", "recipe.findings", "is empty", ""),
    "negative too": (
        ["recipe.findings=[blob]", "recipe.negative=normal"],
        "config.conflict",
        "recipe.negative",
        "",
        "",
    ),
    "subgroup": (["recipe.subgroups=[sexe]"], "data.missing-column", "recipe.subgroups", "'sexe'", "sex"),
    "text model": (["model.name=starter_text"], "model.wrong-kind", "model.name", "", "starter_image"),
    "unfreeze": (
        ["adapt.unfreeze_epochs=5"],
        "config.out-of-range",
        "adapt.unfreeze_epochs",
        "still be partly frozen",
        "at most 0.5",
    ),
    "unfreeze head": (
        ["adapt=head", "adapt.unfreeze_epochs=1"],
        "config.conflict",
        "adapt.unfreeze_epochs",
        "no backbone",
        "adapt=full",
    ),
    "rotate": (["recipe.rotate=200"], "config.out-of-range", "recipe.rotate", "from 0 to 180", ""),
    "window": (["recipe.window=[40,0]"], "config.out-of-range", "recipe.window", "width above 0", ""),
    "gamma": (["recipe.imbalance=focal", "recipe.focal_gamma=-1"], "config.out-of-range", "recipe.focal_gamma", "", ""),
    "batch": (
        ["data.batch_size=1"],
        "config.out-of-range",
        "data.batch_size",
        "batch normalisation",
        "data.batch_size=2",
    ),
    "std": (["recipe.std=[0]"], "config.bad-preprocessing", "recipe", "std must be over 0", ""),
}


def test_one_image_at_a_time_is_enough_where_nothing_is_normalised_over_a_batch(patients: Path, tmp_path: Path) -> None:
    for name, model in (("head", ["adapt=head"]), ("vit", ["adapt=scratch", "model.name=test_vit"])):
        run = diagnosed(tmp_path, *given(patients), *model, "data.batch_size=1", "trainer.max_steps=2", name=name)
        assert len(read_table(run.predictions)) == 40


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_message_and_leaves_nothing(mistake: str, patients: Path, tmp_path: Path) -> None:
    overrides, code, where, what, fix = MISTAKES[mistake]
    with user_error(code) as caught:
        diagnosed(tmp_path, *given(patients), *overrides)
    error = caught.value
    assert what in error.what, error.message()
    assert str(error.where).startswith(where), error.message()
    assert fix in str(error.fix), error.message()
    assert not (tmp_path / "run").exists()


def test_mistakes_of_sources(patients: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for row in read_table(patients / "train.csv"):
        (tmp_path / "folder" / row["label"]).mkdir(parents=True, exist_ok=True)
        shutil.copy(patients / row["path"], tmp_path / "folder" / row["label"])
    for overrides, where, code in (
        ([f"data.train={tmp_path / 'empty'}"], str(tmp_path / "empty"), "data.no-images"),
        ([f"data.train={tmp_path / 'folder'}", "data.group=patient"], "data.group", "data.missing-column"),
        ([f"data.train={tmp_path / 'folder'}", "recipe.findings=[blob]"], "recipe.findings", "data.missing-column"),
        ([f"data.train={tmp_path / 'folder'}", "recipe.subgroups=[sex]"], "recipe.subgroups", "data.missing-column"),
        ([f"data.train={tmp_path / 'folderr'}"], "data.train", "data.missing-file"),
    ):
        with user_error(code, where=where):
            diagnosed(tmp_path, *overrides)
        assert not (tmp_path / "run").exists()


def test_the_command_line_tells_a_mistake_in_one_message(tunebook: Tunebook, patients: Path) -> None:
    done = tunebook("train", *SMALL, *given(patients), "recipe.negative=healthy", "run_dir=run")
    assert done.returncode == 2
    assert "There is no label 'healthy'" in done.stderr and "Traceback" not in done.stderr


PNEUMONIA = Path(__file__).parents[2] / ".." / "shared" / "data" / "pneumoniamnist" / "pneumoniamnist.npz"


@pytest.mark.skipif(not PNEUMONIA.is_file(), reason="PneumoniaMNIST is not there: ../shared/data/pneumoniamnist")
def test_a_real_npz_file_with_copies_between_its_official_splits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Eight validation images of PneumoniaMNIST are in its training images too."""
    real = [f"data.train={PNEUMONIA.resolve()}", "recipe.size=28", "recipe.negative='0'", "trainer.max_steps=2"]
    with user_error("data.shared-rows") as caught:
        diagnosed(tmp_path, *real)
    assert "data.leaks" in str(caught.value.fix) and not (tmp_path / "run").exists()
    run = diagnosed(tmp_path, *real, "data.leaks=drop")
    with np.load(PNEUMONIA) as arrays:
        train = {image.tobytes() for image in arrays["train_images"]}
        shared = {image.tobytes() for image in arrays["val_images"]} & train
        dropped = sum(image.tobytes() in shared for image in arrays["train_images"])
        truth = arrays["test_labels"][:, 0]
    assert len(shared) > 0 and f"dropped as leaks: {dropped}\n" in capsys.readouterr().out
    rows = read_table(run.predictions)
    assert [row["truth"] for row in rows] == [str(label) for label in truth]
    assert metrics(run)["test"]["auroc"]["value"] == pytest.approx(
        roc_auc_score(truth, column(rows, "probability_1")), abs=1e-5
    )


def test_three_processes_may_be_the_first_to_use_it(tmp_path: Path) -> None:
    """Each would make the sample images and store them; the cache has them once, and all are ready."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TUNEBOOK_CACHE": str(tmp_path / "cache")}
    arguments = ["check", "recipe=medical_diagnosis", "recipe.size=32", "trainer.progress=false"]
    processes = [start_forked(arguments, environment, tmp_path) for _ in range(3)]
    ended = [(process.communicate(280)[0], process.returncode) for process in processes]
    assert all(code == 0 and said.rstrip().endswith("ready to train") for said, code in ended), ended
    assert len({said for said, _ in ended}) == 1
