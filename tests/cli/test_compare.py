"""`tunebook compare` as a user has it: all recipes, kills, changed rows, a run that fails, mistakes."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.chatted import write_chats
from tests.conftest import Tunebook, write_reviews
from tests.diagnosed import write_patients, write_table
from tests.forked import Forked, run_forked, start_forked

QUICK = ["trainer=cpu", "trainer.max_epochs=1", "evaluation.resamples=50", "logger=csv", "run_dir=out"]
ONCE = ["compare=quick"]


def ladder_of_reviews(rows: Path) -> list[str]:
    """Some rungs, one of which fails once its run has started, and a learning curve of two steps."""
    return [
        *("compare", "recipe=review_sentiment", f"data.train={rows}", "data.label=label", "data.max_length=24"),
        *("data.batch_size=8", "trainer.checkpoint_every=2", "adapt.lora_targets=[nothing]", "compare.curve=[0.5,1.0]"),
        "evaluation.zero_shot=false",
        *(*QUICK, *ONCE, "compare.rungs=[majority,full,lora]"),
    ]


def read(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "compare.json").read_text(encoding="utf-8"))
    return found


def without_costs(value: Any) -> Any:
    """A comparison without what a clock or a memory gauge said, and the words made of it."""
    left_out = ("cost", "added_point", "verdict", "recommended", "seed_error")
    if isinstance(value, dict):
        return {key: without_costs(each) for key, each in value.items() if key not in left_out}
    return [without_costs(each) for each in value] if isinstance(value, list) else value


def times(folder: Path) -> dict[str, int]:
    """When each run's evidence was written, by run folder."""
    return {str(p.parent.relative_to(folder)): p.stat().st_mtime_ns for p in folder.glob("*/*/metrics.json")}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reviews(tmp_path_factory.mktemp("rows") / "rows.csv", 150)


@pytest.fixture(scope="module")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def start(arguments: list[str], work: Path, cache: Path) -> Forked:
    return start_forked(arguments, {**os.environ, "OMP_NUM_THREADS": "1", "TUNEBOOK_CACHE": str(cache)}, work)


def ended(arguments: list[str], work: Path, cache: Path) -> tuple[str, int]:
    """What a command said that nothing disturbs, and its exit code."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TUNEBOOK_CACHE": str(cache)}
    process = run_forked(arguments, environment, work, 280)
    return process.stdout + process.stderr, process.returncode


def done(arguments: list[str], work: Path, cache: Path) -> str:
    said, code = ended(arguments, work, cache)
    assert code == 0, said
    return said


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory, rows: Path, cache_folder: Path) -> tuple[Path, str]:
    """The folder of a comparison of reviews, and what it said."""
    work = tmp_path_factory.mktemp("untouched")
    return work / "out", done(ladder_of_reviews(rows), work, cache_folder)


def test_a_comparison_ends_in_a_table_a_page_and_all_figures(untouched: tuple[Path, str]) -> None:
    folder, said = untouched
    found = read(folder)
    assert [rung["name"] for rung in found["rungs"]] == ["majority", "full"]
    for rung in found["rungs"]:
        (run,) = rung["runs"]
        test = json.loads((folder / run / "metrics.json").read_text())["test"]["macro_f1"]
        assert rung["by_seed"] == [pytest.approx(test["value"])]
        assert rung["score"]["n"] == test["n"] == found["test_rows"]
        assert rung["score"]["low"] <= rung["score"]["value"] <= rung["score"]["high"]
        assert rung["cost"]["seconds"] > 0 and rung["cost"]["peak_memory"] > 100 and rung["cost"]["whole"]
        record = json.loads((folder / run / "record.json").read_text())
        assert record["rows"]["test"] == found["test_fingerprint"]
        assert rung["cost"]["trained_parameters"] == record["trained_parameters"]
        assert rung["cost"]["training_rows"] == record["row_counts"]["train"]
    full = found["rungs"][1]
    weights = folder / full["runs"][0] / "model" / "model.safetensors"
    assert full["cost"]["saved_bytes"] == weights.stat().st_size
    (pair,) = found["comparison"]["pairs"]
    values = {rung["name"]: rung["score"]["value"] for rung in found["rungs"]}
    assert pair["difference"]["value"] == pytest.approx(values[pair["first"]] - values[pair["second"]])
    learned = full["cost"]["training_rows"]
    assert [step["rows"] for step in found["curve_runs"]] == [round(learned / 2), learned]
    assert found["curve_runs"][1]["scores"] == full["by_seed"], "all rows are the rung itself"
    assert set(found["per_class"]["full"]) == {"bad", "good"}
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert found["verdict"][0].split(":")[0] in page and "<script" not in page and page.count("<svg") == 3
    assert "majority" in said and "report: " in said and f"{values['full']:.3f}" in said


def test_a_rung_that_fails_fails_alone_and_says_why(untouched: tuple[Path, str]) -> None:
    folder, said = untouched
    (missing,) = read(folder)["without_result"]
    assert missing["name"] == "lora" and "The model has no layer named nothing" in missing["reason"]
    assert "lora: the run failed: The model has no layer named nothing" in said


def test_rungs_that_all_fail_end_in_one_message(tmp_path: Path, rows: Path, cache_folder: Path) -> None:
    arguments = [*ladder_of_reviews(rows), "compare.rungs=[lora]", "compare.curve=[]"]
    said, code = ended(arguments, tmp_path, cache_folder)
    assert code == 2 and "Traceback" not in said
    assert "error: No rung has a result.\n  lora: the run failed: The model has no layer named nothing" in said


def test_few_shots_are_learned_in_several_ways_and_the_draw_alone_chooses(
    tmp_path: Path, rows: Path, cache_folder: Path
) -> None:
    usual = ["compare", "recipe=review_sentiment", f"data.train={rows}", "data.label=label", *QUICK, "compare.curve=[]"]
    few = ["compare.rungs=[majority,few_shot]", "compare.shots=[34]", "compare.draws=2", "compare.seeds=1"]
    few += ["data.validation_fraction=0.1", "data.test_fraction=0.15"]  # 64 rows and more can be chosen by
    said = done([*usual, *few, "compare.few_shot=[head,classical]"], tmp_path, cache_folder)
    found = read(tmp_path / "out")
    assert [rung["name"] for rung in found["rungs"]] == ["majority", "few_shot_34"]
    (ways,) = [each["ways"] for each in found["few_shot"]]
    assert [way["name"] for way in ways] == ["few_shot_34_classical", "few_shot_34_head"]
    assert [way["seeds"] for way in ways] == [[0, 1], [0, 1]] == [found["rungs"][1]["seeds"]] * 2
    chosen = [max(ways, key=lambda way: way["held_out"][draw]) for draw in (0, 1)]  # max: of equals the first
    assert found["rungs"][1]["by_seed"] == [way["by_seed"][draw] for draw, way in enumerate(chosen)]
    assert found["rungs"][1]["runs"] == [way["runs"][draw] for draw, way in enumerate(chosen)]
    assert [way["chosen"] for way in ways] == [sum(each is way for each in chosen) for way in ways]
    spent = sum(way["cost"]["seconds"] + way["cross_validation_seconds"] for way in ways)
    assert found["rungs"][1]["cost"]["seconds"] == pytest.approx(spent), "all ways had to be tried"
    for way in ways:
        drawn = json.loads((tmp_path / "out" / way["runs"][0] / "record.json").read_text())
        assert drawn["row_counts"]["train"] == 68
    assert "few_shot_34: cross-validation on its rows chose" in said
    assert "how the way was chosen" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["metrics.json", "record.json", "cost.json", "predictions.csv", "plan.json"])
def test_a_damaged_file_is_named_with_what_to_remove(
    name: str, tmp_path: Path, untouched: tuple[Path, str], rows: Path, cache_folder: Path
) -> None:
    import shutil

    shutil.copytree(untouched[0], tmp_path / "out")
    (damaged,) = tmp_path.glob(f"out/full/*/{name}" if name != "plan.json" else "out/plan.json")
    damaged.write_bytes(b"{}" if name == "cost.json" else b"\xff\xfe{")
    arguments = [*ladder_of_reviews(rows), "compare.rungs=[majority,full]", "compare.curve=[]"]
    said, code = ended(arguments, tmp_path, cache_folder)
    assert code == 2 and "Traceback" not in said, said
    assert str(damaged) in said and "remove" in said


def test_the_same_command_redoes_nothing_but_what_failed(
    untouched: tuple[Path, str], rows: Path, cache_folder: Path
) -> None:
    folder, _ = untouched
    before, told = times(folder), read(folder)
    said = done(ladder_of_reviews(rows), folder.parent, cache_folder)
    assert "3 of 4 runs are finished already" in said
    assert times(folder) == before and read(folder) == told


def test_a_comparison_that_was_killed_goes_on_to_the_same_table(
    tmp_path: Path, untouched: tuple[Path, str], rows: Path, cache_folder: Path
) -> None:
    folder = tmp_path / "out"
    process = start(ladder_of_reviews(rows), tmp_path, cache_folder)
    wait_for(lambda: any(folder.glob("full/*/checkpoints/step-*.ckpt")), process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    before = times(folder)
    assert set(before) == {run for run in times(untouched[0]) if run.startswith("majority")}
    said = done(ladder_of_reviews(rows), tmp_path, cache_folder)
    assert "1 of 4 runs are finished already" in said
    after = times(folder)
    assert {run: after[run] for run in before} == before
    (run,) = folder.glob("full/*")
    attempts = json.loads((run / "cost.json").read_text())
    assert len(attempts) == 2 and attempts[1]["finished"]
    assert without_costs(read(folder)) == without_costs(read(untouched[0]))


def test_ctrl_c_and_sigterm_end_the_run_at_work_too(tmp_path: Path, rows: Path, cache_folder: Path) -> None:
    folder = tmp_path / "out"
    arguments = [*ladder_of_reviews(rows), "compare.rungs=[full]", "compare.curve=[]", "trainer.max_epochs=40"]
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        begun = set(folder.glob("full/*/checkpoints/step-*.ckpt"))
        process = start(arguments, tmp_path, cache_folder)
        wait_for(lambda begun=begun: bool(set(folder.glob("full/*/checkpoints/step-*.ckpt")) - begun), process)
        os.kill(process.pid, number)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == status, said
        assert "run the same command again to resume" in said and "Traceback" not in said
        (run,) = folder.glob("full/*")
        assert f"Stopped by {signal.SIGTERM.name} after step" in (run / "rung.log").read_text().splitlines()[-3]
        attempt = json.loads((run / "cost.json").read_text())[-1]
        assert attempt["seconds"] > 0 and not attempt["finished"]


def test_ctrl_c_shows_what_is_finished(tmp_path: Path, rows: Path, cache_folder: Path) -> None:
    folder = tmp_path / "out"
    arguments = [*ladder_of_reviews(rows), "compare.rungs=[majority,full]", "compare.curve=[0.5,1.0]"]
    arguments += ["trainer.max_epochs=40"]
    process = start(arguments, tmp_path, cache_folder)
    wait_for(lambda: any(folder.glob("full/*/checkpoints/step-*.ckpt")), process)
    os.kill(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Stopped by SIGINT" in said and "full: the run is not finished" in said
    found = read(folder)
    assert [rung["name"] for rung in found["rungs"]] == ["majority"]
    assert [left["reason"] for left in found["without_result"]] == ["the run is not finished"] * 3
    assert "majority" in said.split("test rows\n")[-1] and (folder / "report.html").is_file()


def wait_for(ready: Callable[[], bool], process: Forked) -> None:
    deadline = time.monotonic() + 240
    while not ready():
        assert process.poll() is None, process.output()[0]
        assert time.monotonic() < deadline, "it does not get there"
        time.sleep(0.02)


def test_runs_of_other_test_rows_make_no_table(
    tmp_path: Path, untouched: tuple[Path, str], rows: Path, cache_folder: Path
) -> None:
    import shutil

    shutil.copytree(untouched[0], tmp_path / "out")
    (record,) = tmp_path.glob("out/full/*/record.json")
    content = json.loads(record.read_text())
    content["rows"]["test"] = "0" * 64
    record.write_text(json.dumps(content))
    arguments = [*ladder_of_reviews(rows), "compare.rungs=[majority,full]", "compare.curve=[]"]
    said, code = ended(arguments, tmp_path, cache_folder)
    assert code == 2 and "scored on different test rows" in said and str(record) in said


def test_a_folder_of_another_comparison_is_refused(untouched: tuple[Path, str], rows: Path, cache_folder: Path) -> None:
    before = times(untouched[0])
    said, code = ended([*ladder_of_reviews(rows), "optim.lr=1e-4"], untouched[0].parent, cache_folder)
    assert code == 2 and "holds a different comparison" in said
    assert times(untouched[0]) == before


def test_pictures_through_joblib(tmp_path: Path, tunebook: Tunebook) -> None:
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    for split, patients, seed in (("train", 12, 0), ("validation", 8, 100), ("test", 12, 200)):
        write_table(tmp_path / f"{split}.csv", write_patients(tmp_path / split, patients, seed))
    given = [f"data.{split}={tmp_path / split}.csv" for split in ("train", "validation", "test")]
    usual = ["recipe=medical_diagnosis", "recipe.size=32", *given, "data.group=patient", *QUICK, *ONCE]
    launched = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    ended = tunebook("compare", *usual, *launched, "compare.rungs=[majority,classical,lora,head]")
    assert ended.returncode == 0, ended.stderr
    found = read(tmp_path / "work" / "out")
    assert found["metric"] == "auroc" and [rung["name"] for rung in found["rungs"]] == ["majority", "classical", "head"]
    assert [left["name"] for left in found["without_result"]] == ["lora"]
    assert "left out: lora: LoRA needs linear layers" in ended.stdout


def test_conversations_by_what_needs_no_model_and_the_model_before_tuning(tmp_path: Path, tunebook: Tunebook) -> None:
    chats = write_chats(tmp_path / "chats.jsonl", 40, rounds=1)
    usual = ["recipe=customer_chat", f"data.train={chats}", "recipe.max_new_tokens=6", *QUICK, *ONCE]
    usual += ["data.test_fraction=0.3", "compare.rungs=[majority,classical,zero_shot,head]"]
    ended = tunebook("compare", *usual)
    assert ended.returncode == 0, ended.stderr
    found = read(tmp_path / "work" / "out")
    assert found["metric"] == "chrf"
    assert [rung["name"] for rung in found["rungs"]] == ["majority", "classical", "zero_shot"]
    assert found["rungs"][2]["cost"]["trained_parameters"] == 0 == found["rungs"][2]["cost"]["training_rows"]
    again = tunebook("compare", *usual, "compare.metric=perplexity")
    assert again.returncode == 0, again.stderr
    found = read(tmp_path / "work" / "out")
    (rung,) = found["rungs"]
    assert rung["name"] == "zero_shot" and not found["higher_is_better"]
    test = json.loads((tmp_path / "work" / "out" / rung["runs"][0] / "metrics.json").read_text())["test"]
    assert rung["score"]["value"] == pytest.approx(test["perplexity"]["value"])
    assert "majority: it has no perplexity" in again.stdout


def test_briefs_with_few_shots(tmp_path: Path, tunebook: Tunebook) -> None:
    usual = ["recipe=marketing_copy", "recipe.max_new_tokens=6", "evaluation.max_generations=20", *QUICK, *ONCE]
    ended = tunebook("compare", *usual, "compare.rungs=[majority,few_shot]", "compare.shots=[4]")
    assert ended.returncode == 0, ended.stderr
    found = read(tmp_path / "work" / "out")
    assert [(rung["name"], rung["cost"]["training_rows"]) for rung in found["rungs"]][1] == ("few_shot_4", 4)
    assert found["rungs"][0]["title"] == "the template"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare.rungs=[fulll]"], "Wrong value for 'compare.rungs[0]'"),
        (["compare.seed=3"], "did you mean compare.seeds? `tunebook compare --help` shows all keys"),
        (["compare.seeds=0"], "compare.seeds must be at least 1, not 0."),
        (["compare.metric=macro_f"], "did you mean compare.metric=macro_f1?"),
        (["data.test=nothing.csv"], "nothing.csv does not exist"),
        (["data.test=empty.csv"], "empty.csv has a header and no rows."),
        (["compare.rungs=[few_shot]", "compare.shots=[900]"], "No rung is left to run."),
    ],
)
def test_a_mistake_is_one_message_and_leaves_nothing(
    arguments: list[str], message: str, tmp_path: Path, tunebook: Tunebook, rows: Path
) -> None:
    empty = tmp_path / "work" / "empty.csv"
    empty.write_text("text,label\n", encoding="utf-8")
    ended = tunebook("compare", "recipe=review_sentiment", f"data.train={rows}", "data.label=label", *arguments)
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.startswith("error: ") and ended.stderr.count("error: ") == 1
    assert message in ended.stderr and "Traceback" not in ended.stderr
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["empty.csv"]


def test_rejected_rows_are_kept_where_the_message_says(tmp_path: Path, tunebook: Tunebook) -> None:
    rows = write_reviews(tmp_path / "rows.csv", 40)
    with rows.open("a", encoding="utf-8") as stream:
        stream.write(",good\n,bad\n")
    usual = ["recipe=review_sentiment", f"data.train={rows}", "data.label=label", *QUICK, *ONCE]
    refused = tunebook("compare", *usual, "compare.rungs=[majority]")
    assert refused.returncode == 2
    (place,) = re.findall(r"rejected rows: (\S+)", refused.stdout)
    assert len(Path(place).read_text(encoding="utf-8").splitlines()) == 2
    allowed = tunebook("compare", *usual, "compare.rungs=[majority]", "data.max_rejects=2")
    assert allowed.returncode == 0 and "rejected rows: " in allowed.stdout, allowed.stderr
