"""`tunebook export`: text models as ONNX folders that answer as their bundles do, and what is not exported."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.finished import finished
from tests.light import said_lightly
from tests.numbered import finished_numbers, new_recipe
from tests.user_error import user_error
from tunebook import SoftmaxHead
from tunebook.bundle.read import open_bundle
from tunebook.cli.export import export_command
from tunebook.cli.predict import predict_command
from tunebook.families.text_onnx import export_texts
from tunebook.families.text_onnx_check import Answers, Reference, check_float32, check_int8
from tunebook.run_folder import RunFolder

MANIFEST = {
    "recipe": "review_sentiment",
    "recipe_version": "",
    "options": {"name": "review_sentiment"},
    "head": "softmax",
    "labels": ["bad", "good"],
    "max_length": 16,
    "columns": {"text": "text"},
    "golden": [],
    "format": 1,
}
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run on the text starter, a decoder, with both exports."""
    made = finished(tmp_path_factory.mktemp("export"), "optim.lr=1e-3")
    export_command([str(made.path), "-o", str(made.bundle / "onnx")])
    return made


def predicted(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[dict[str, str]]:
    capsys.readouterr()
    predict_command([str(each) for each in arguments])
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


def numbers(rows: list[dict[str, str]], start: str) -> np.ndarray:
    return np.array([[float(v) for k, v in row.items() if k.startswith(start)] for row in rows])


def by_card(folder: Path) -> dict[str, Any]:
    """What the card's code makes, run as written."""
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    scope: dict[str, Any] = {}
    exec(code.replace("path/to/this/folder", str(folder)), scope)
    return scope


def test_an_export_answers_as_its_bundle(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run.bundle / "onnx"
    whole = {
        "README.md",
        "config.json",
        "model.onnx",
        "model_int8.onnx",
        "onnx.json",
        "tokenizer.json",
        "tunebook.json",
    }
    assert whole <= {p.name for p in folder.iterdir()}
    rows = run.path.parent / "test.csv"
    own, theirs, int8 = (
        predicted(capsys, run.path, rows, "--engine", engine) for engine in ("torch", "onnx", "onnx-int8")
    )
    assert [row["prediction"] for row in theirs] == [row["prediction"] for row in own]
    assert len({row["prediction"] for row in own}) == 2 and own[0].keys() == theirs[0].keys() == int8[0].keys()
    np.testing.assert_allclose(numbers(theirs, "probability"), numbers(own, "probability"), atol=1e-4)
    moved = np.abs(numbers(int8, "probability") - numbers(own, "probability")).max()
    assert 1e-5 < moved < 0.1
    assert predicted(capsys, folder, rows, "--engine", "onnx") == theirs, "the folder alone is enough"

    about = json.loads((folder / "onnx.json").read_text())
    golden = json.loads((run.bundle / "tunebook.json").read_text())["golden"]
    assert about["labels"] == ["bad", "good"]
    assert [each["text"] for each in about["golden"]] == [each["text"] for each in golden]
    wanted = [[each["probabilities"][label] for label in about["labels"]] for each in golden]
    np.testing.assert_allclose([each["probabilities"] for each in about["golden"]], wanted, atol=1e-5)
    assert about["precisions"]["float32"]["largest_difference"] < 1e-4
    assert about["precisions"]["int8"]["labels_equal"] <= about["precisions"]["int8"]["rows"]
    np.testing.assert_allclose(by_card(folder)["probabilities"], wanted[:2], atol=1e-4)


def test_any_number_of_texts_of_any_length(run: RunFolder) -> None:
    _, _, predictor = open_bundle(run.bundle)
    session = onnxruntime.InferenceSession(str(run.bundle / "onnx" / "model.onnx"), providers=["CPUExecutionProvider"])
    for texts, tokens in ((1, 1), (1, 24), (5, 2), (7, 19)):
        ids = torch.arange(texts * tokens).reshape(texts, tokens) % 90 + 10
        mask = (torch.arange(tokens) <= torch.arange(texts)[:, None]).long()  # of each text another length
        inputs = {"input_ids": ids, "attention_mask": mask}
        (got,) = session.run(["logits"], {name: each.numpy() for name, each in inputs.items()})
        with torch.no_grad():
            np.testing.assert_allclose(got, predictor.model(**inputs).logits.numpy(), atol=1e-4)


def test_predict_tells_of_an_export_that_is_missing_or_anothers(run: RunFolder, tmp_path: Path) -> None:
    bundle = shutil.copytree(run.bundle, tmp_path / "model", ignore=shutil.ignore_patterns("onnx"))
    rows, export = str(run.path.parent / "test.csv"), bundle / "onnx"
    with user_error("export.missing", where=str(export)) as caught:
        predict_command([str(bundle), rows, "--engine", "onnx"])
    assert caught.value.fix == f"tunebook export {bundle} -o {export}"
    shutil.copytree(run.bundle / "onnx", export)
    with user_error("bundle.not-found", where=str(export)) as caught:
        predict_command([str(export), rows])
    assert caught.value.fix == "--engine onnx"
    with user_error("command.conflict", where="--accelerator"):
        predict_command([str(bundle), rows, "--engine", "onnx", "--accelerator", "gpu"])
    (export / "model_int8.onnx").unlink()
    with user_error("export.missing", match="no file in int8"):
        predict_command([str(bundle), rows, "--engine", "onnx-int8"])
    about = export / "onnx.json"
    about.write_text(about.read_text().replace('"golden"', '"silver"'))
    with user_error("bundle.damaged", where=str(about)):
        predict_command([str(bundle), rows, "--engine", "onnx"])
    shutil.copy(run.bundle / "onnx" / "onnx.json", about)
    shutil.copy(run.bundle / "onnx" / "model_int8.onnx", export / "model.onnx")
    with user_error("bundle.changed-answers", where=str(export)):
        predict_command([str(bundle), rows, "--engine", "onnx"])
    (export / "model.onnx").write_bytes(b"no model")
    with user_error("bundle.damaged", where=str(export / "model.onnx")):
        predict_command([str(bundle), rows, "--engine", "onnx"])
    manifest = bundle / "tunebook.json"
    manifest.write_text(manifest.read_text().replace('"max_length": 24', '"max_length": 23'))
    with user_error("bundle.mismatch", where=str(export)):
        predict_command([str(bundle), rows, "--engine", "onnx"])


def test_only_an_export_is_replaced(run: RunFolder, tmp_path: Path) -> None:
    other = tmp_path / "photos"
    other.mkdir()
    (other / "cat.txt").write_text("miaow")
    with user_error("file.exists", where=str(other)):
        export_command([str(run.path), "-o", str(other), "--overwrite"])
    assert (other / "cat.txt").read_text() == "miaow"
    mine = tmp_path / "mine"
    shutil.copytree(run.bundle / "onnx", mine)
    with user_error("file.exists", where=str(mine)):
        export_command([str(run.path), "-o", str(mine)])
    export_command([str(run.path), "-o", str(mine), "--overwrite", "--precision", "int8"])
    assert not (mine / "model.onnx").exists() and (mine / "model_int8.onnx").is_file()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "photos"]
    with user_error("command.wrong-extension"):
        export_command([str(run.path), "-o", str(tmp_path / "model.onnx")])


class Crowded(SoftmaxHead):
    """Probabilities that depend on how many texts are answered at once."""

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        return super().probabilities(logits * logits.shape[0])


def test_another_answer_leaves_nothing(run: RunFolder, tmp_path: Path) -> None:
    manifest, _, predictor = open_bundle(run.bundle)
    predictor.head = Crowded(2)
    with user_error("export.other-answers", where=str(tmp_path / "onnx")):
        export_texts(predictor, run.bundle, manifest, tmp_path / "onnx", ["float32"])
    assert not list(tmp_path.iterdir())


def test_numbers_are_exported_in_their_own_units(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = new_recipe()
    monkeypatch.setenv("TUNEBOOK_RECIPES", str(recipe))
    made = finished_numbers(tmp_path)
    folder, rows = made.bundle / "onnx", next((recipe / "samples").glob("*.csv"))
    export_command([str(made.path), "-o", str(folder), "--precision", "float32"])
    assert not (folder / "model_int8.onnx").exists()
    own, theirs = (predicted(capsys, made.path, rows, "--engine", engine) for engine in ("torch", "onnx"))
    np.testing.assert_allclose(numbers(theirs, "prediction"), numbers(own, "prediction"), rtol=1e-4)
    golden = json.loads((made.bundle / "tunebook.json").read_text())["golden"]
    wanted = [[each["probabilities"]["value"]] for each in golden[:2]]
    np.testing.assert_allclose(by_card(folder)["value"], wanted, rtol=1e-4)


def test_pairs_come_with_their_token_types(tmp_path: Path, minilm: str, capsys: pytest.CaptureFixture[str]) -> None:
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    tokenizer = AutoTokenizer.from_pretrained(minilm)
    tokenizer.save_pretrained(tmp_path / "bert")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=len(tokenizer), initializer_range=0.5, **sizes)
    BertForSequenceClassification(config).save_pretrained(tmp_path / "bert")
    rows = tmp_path / "pairs.csv"
    with rows.open("w", newline="") as stream:
        csv.writer(stream).writerows([["text", "reply", "label"]])
        csv.writer(stream).writerows([[f"text {i} {i * 7}", f"reply {i * i}", "ab"[i % 2]] for i in range(40)])
    made = finished(tmp_path, f"model.name={tmp_path / 'bert'}", f"data.train={rows}", f"data.test={rows}",
                    "data.text_pair=reply", "data.leaks=allow", "trainer.max_steps=2")  # fmt: skip
    export_command([str(made.path), "-o", str(made.bundle / "onnx"), "--precision", "float32"])
    about = json.loads((made.bundle / "onnx" / "onnx.json").read_text())
    assert about["inputs"] == ["input_ids", "attention_mask", "token_type_ids"]
    own, theirs = (predicted(capsys, made.path, rows, "--engine", engine) for engine in ("torch", "onnx"))
    np.testing.assert_allclose(numbers(theirs, "probability"), numbers(own, "probability"), atol=1e-4)
    wanted = [each["probabilities"] for each in about["golden"][:2]]
    np.testing.assert_allclose(by_card(made.bundle / "onnx")["probabilities"], wanted, atol=1e-4)


def rows_of(answers: list[list[float]]) -> Reference:
    return Reference([{}] * len(answers), {}, np.array(answers), [])


CLEAR, CLOSE = [0.8, 0.2], [0.54, 0.46]  # leads of 0.6 and 0.08


def test_8_bits_may_only_change_labels_that_lead_by_little(tmp_path: Path) -> None:
    expected, head = rows_of([CLEAR, CLOSE]), SoftmaxHead(2)
    near = Answers(np.array([[0.7, 0.3], [0.49, 0.51]]), np.array([[0.75, 0.25], CLOSE]))
    verdict = check_int8(expected, near, head, None, tmp_path)
    assert verdict.labels_equal == 1 and verdict.largest_difference == pytest.approx(0.1)
    far = Answers(np.array([CLEAR, CLOSE]), np.array([[0.49, 0.51], CLOSE]))
    with user_error("export.other-answers", match="1 labels change that led by more than 0.1") as caught:
        check_int8(expected, far, head, None, tmp_path)
    assert caught.value.fix == "--precision float32"
    off = Answers(np.array([CLEAR, CLOSE]), np.array([[0.8002, 0.1998], CLOSE]))
    with user_error("export.other-answers", match="0.0002"):
        check_float32(expected, off, head, None, tmp_path)


def test_8_bits_may_move_a_number_by_a_quarter_of_a_deviation(tmp_path: Path) -> None:
    expected, head = rows_of([[100.0], [140.0]]), SoftmaxHead(1)
    near, far = (Answers(np.array([[100.0], [n]]), np.array([[100.0], [140.0]])) for n in (144.9, 145.1))
    assert check_int8(expected, near, head, 20.0, tmp_path).labels_equal is None
    with user_error("export.other-answers", match="more than 0.25 deviations"):
        check_int8(expected, far, head, 20.0, tmp_path)


def test_what_is_not_exported_is_refused_before_it_is_loaded(tmp_path: Path) -> None:
    manifest = tmp_path / "tunebook.json"
    manifest.write_text(json.dumps({**MANIFEST, "head": "zero_shot"}))
    said = said_lightly(tmp_path, "export", str(tmp_path), "-o", "out")
    assert "no classification layer" in said and "adapt=full" in said
    assert [p.name for p in tmp_path.iterdir()] == ["tunebook.json"]


def test_a_model_that_writes_becomes_a_gguf_file_alone(tmp_path: Path) -> None:
    """What can be said of the command line is said before the model is loaded."""
    bundle = tmp_path / "model"
    bundle.mkdir()
    chat = {"recipe": "customer_chat", "options": {"name": "customer_chat"}, "labels": [], "generation": {}}
    manifest = {**MANIFEST, **chat, "columns": {"conversation": "messages"}}
    (bundle / "tunebook.json").write_text(json.dumps(manifest))
    said = said_lightly(tmp_path, "export", "model", "-o", "out.onnx")
    assert "must end in .gguf" in said and f"-o {tmp_path / 'out.gguf'}" in said
    said = said_lightly(tmp_path, "export", "model", "-o", "out.gguf", "--precision", "int8")
    assert "not written in the precision 'int8'" in said and "f32, f16, bf16, q8_0" in said
    (tmp_path / "Modelfile").write_text("FROM another")
    said = said_lightly(tmp_path, "export", "model", "-o", "out.gguf")
    assert "exists already" in said and str(tmp_path / "Modelfile") in said
    (bundle / "config.json").write_text('{"is_encoder_decoder": true}')
    said = said_lightly(tmp_path, "export", "model", "-o", "out.gguf")
    assert "an encoder and a decoder is not exported as GGUF" in said and "tunebook predict" in said
    (bundle / "tunebook.json").write_text(json.dumps(MANIFEST))
    assert "exported as a folder" in said_lightly(tmp_path, "export", "model", "-o", "out.gguf")
    said = said_lightly(tmp_path, "export", "model", "-o", "out", "--precision", "f16")
    assert "not written in the precision 'f16'" in said and "float32, int8, both" in said
    said = said_lightly(tmp_path, "export", "model", "-o", "out", "--converter", "llama.cpp")
    assert "the converter is for models that write" in said.lower()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["Modelfile", "model"]
