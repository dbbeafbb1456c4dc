"""No page can have Hydra import or call what it names, and nothing that is read back is interpolated."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hydra._internal.hydra
import pytest
from hydra import initialize_config_module
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf

from tests.conftest import Tunebook, write_reviews
from tunebook.composing.command import Command, register_schemas
from tunebook.composing.hydra_node import guarded
from tunebook.composing.own import stored_config
from tunebook.config.verbatim import verbatim

TOUCH = "{_target_: pathlib.Path.touch, self: {_target_: pathlib.Path, _args_: [TRACE]}}"
PAGES = {
    "callback": f"callbacks: {{one: {TOUCH}}}",
    "callback of Hydra's": "callbacks: {one: {_target_: hydra.experimental.callbacks.LogJobReturnCallback}}",
    "launcher": "launcher: {_target_: os.getcwd}",
    "sweeper": "sweeper: {_target_: os.getcwd}",
    "within the sweeper": f"sweeper: {{params: {{seed: {TOUCH}}}}}",
    "log's factory": "job_logging: {handlers: {one: {'()': pathlib.Path, _args: [TRACE]}}, root: {handlers: [one]}}",
    "log's class": "hydra_logging: {handlers: {one: {class: subprocess.Popen, args: [touch, TRACE]}}}",
    "log's value": "job_logging: {handlers: {console: {stream: 'ext://tests.composing.trace'}}}",
    "search path of Python": "job: {env_set: {PYTHONPATH: TRACE}}",
    "preloaded library": "job: {env_set: {LD_PRELOAD: TRACE}}",
    "folder of recipes": "job: {env_set: {TUNEBOOK_RECIPES: TRACE}}",
}


@pytest.mark.parametrize("verb", [["check"], ["check", "-m"]], ids=["once", "sweep"])
@pytest.mark.parametrize("kind", PAGES)
def test_a_page_that_names_code_is_refused(kind: str, verb: list[str], tunebook: Tunebook, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    (tmp_path / "pages" / "experiment").mkdir(parents=True)
    page = f"# @package _global_\nhydra:\n  {PAGES[kind].replace('TRACE', str(trace))}\n"
    (tmp_path / "pages" / "experiment" / "nice.yaml").write_text(page)
    done = tunebook(*verb, "--config-dir", str(tmp_path / "pages"), "+experiment=nice", "recipe=review_sentiment")
    assert done.returncode == 2 and not trace.exists(), done.stdout + done.stderr
    assert done.stderr.startswith("error: A config cannot name code to run: hydra.")
    assert "Traceback" not in done.stderr and "where: hydra." in done.stderr


def test_a_typed_callback_is_refused_too(tunebook: Tunebook) -> None:
    done = tunebook("check", "recipe=review_sentiment", "+hydra.callbacks.one._target_=os.getcwd")
    assert done.returncode == 2 and "hydra.callbacks.one" in done.stderr


@pytest.mark.parametrize(
    "given",
    [
        ["hydra.job.chdir=true"],
        ["+hydra.job.env_set.WANDB_MODE=offline"],
        ["hydra.run.dir=elsewhere"],
        ["-m", "seed=0,1", "hydra.sweep.dir=elsewhere"],
    ],
)
def test_what_names_no_code_stays_allowed(given: list[str], tunebook: Tunebook, tmp_path: Path) -> None:
    rows = write_reviews(tmp_path / "rows.csv", 60)
    done = tunebook("check", "recipe=review_sentiment", f"data.train={rows}", "data.label=label", *given)
    assert done.returncode == 0, done.stderr


def test_a_run_folder_has_one_name(tunebook: Tunebook, tmp_path: Path) -> None:
    (tmp_path / "pages" / "experiment").mkdir(parents=True)
    page = "# @package _global_\nhydra: {run: {dir: elsewhere}}\n"
    (tmp_path / "pages" / "experiment" / "moved.yaml").write_text(page)
    pages = ["--config-dir", str(tmp_path / "pages"), "+experiment=moved"]
    for given in (["hydra.run.dir=elsewhere"], pages):
        done = tunebook("train", "recipe=review_sentiment", "run_dir=here", *given)
        assert done.returncode == 2, done.stdout
        assert "two names: run_dir=here, and hydra.run.dir=elsewhere" in done.stderr
        assert not list((tmp_path / "work").iterdir())


TEXTS = ["${oc.env:TOKEN}", "a ${oc.env:TOKEN} b", r"\${oc.env:TOKEN}", r"C:\\${x}", "${unclosed", "$${a}", "${a} ${b}"]


@pytest.mark.parametrize("text", TEXTS)
def test_text_that_is_read_back_stays_as_it_is(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "secret")
    made = OmegaConf.create(verbatim({"one": text, "many": [text, {"deep": text}]}))
    assert OmegaConf.to_container(made, resolve=True) == {"one": text, "many": [text, {"deep": text}]}
    stored = stored_config(
        OmegaConf.create(verbatim({"recipe": {"name": "review_sentiment"}, "data": {"train": text}}))
    )
    assert OmegaConf.to_container(stored, resolve=True)["data"]["train"] in (text, verbatim(text))


def test_a_run_folder_that_was_tampered_with_gives_no_secret_away(
    tunebook: Tunebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEBOOK_TEST_TOKEN", "s3cr3t")
    folder = tmp_path / "run"
    token = "'${oc.env:TUNEBOOK_TEST_TOKEN}'"
    for place in (f"data: {{train: {token}}}\nmodel: {{name: starter_text}}", f"model: {{name: {token}}}"):
        folder.mkdir(exist_ok=True)
        (folder / "config.yaml").write_text(f"recipe: {{name: review_sentiment}}\n{place}\nrun_dir: {folder}\n")
        done = tunebook("train", f"resume={folder}")
        assert done.returncode == 2, done.stdout + done.stderr
        assert "s3cr3t" not in done.stdout + done.stderr and "${oc.env:TUNEBOOK_TEST_TOKEN}" in done.stderr
        assert not any("s3cr3t" in path.read_text("utf-8", "replace") for path in folder.rglob("*") if path.is_file())
    (folder / "config.yaml").write_text("recipe: {name: '${oc.env:TUNEBOOK_TEST_TOKEN}'}\n")
    done = tunebook("train", f"resume={folder}")
    assert done.returncode == 2 and "s3cr3t" not in done.stderr


@pytest.fixture
def path() -> Iterator[ConfigSearchPath]:
    """Where Tunebook's pages are, as Hydra is told."""
    register_schemas(Command.of("train", ["recipe=review_sentiment"]))
    GlobalHydra.instance().clear()
    with initialize_config_module("tunebook.conf", version_base="1.3"):
        yield GlobalHydra.instance().config_loader().get_search_path()


@pytest.mark.parametrize(
    "given",
    [
        ["recipe=review_sentiment", "seed=7", "adapt=lora", "hydra.run.dir=elsewhere"],
        ["recipe=review_sentiment", "data.train=[a.csv,b.csv]", "model.name='x=y'", "run_dir=here"],
    ],
)
def test_a_run_is_composed_once_to_what_two_times_would_give(
    given: list[str], path: ConfigSearchPath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    composed: list[RunMode] = []
    whole = ConfigLoaderImpl._load_configuration_impl

    def counted(self: Any, config_name: Any, overrides: Any, run_mode: RunMode, **named: Any) -> Any:
        composed.append(run_mode)
        return whole(self, config_name, overrides, run_mode, **named)

    with guarded(tmp_path):
        direct = hydra._internal.hydra.ConfigLoaderImpl(path)
        expected = direct.load_configuration("train", [*given, "hydra.mode=RUN"], RunMode.RUN)
    monkeypatch.setattr(ConfigLoaderImpl, "_load_configuration_impl", counted)
    with guarded(tmp_path):
        ours = hydra._internal.hydra.ConfigLoaderImpl(path)
        asked = ours.load_configuration("train", given, RunMode.MULTIRUN, validate_sweep_overrides=False)
        assert asked.hydra.mode is None
        got = ours.load_configuration("train", [*given, "hydra.mode=RUN"], run_mode=RunMode.RUN)
    assert composed == [RunMode.RUN]
    assert OmegaConf.to_container(got, resolve=False) == OmegaConf.to_container(expected, resolve=False)
    with guarded(tmp_path):  # other overrides, as of a job of a sweep, are composed anew
        ours = hydra._internal.hydra.ConfigLoaderImpl(path)
        ours.load_configuration("train", given, RunMode.MULTIRUN, validate_sweep_overrides=False)
        got = ours.load_configuration("train", [*given, "seed=8", "hydra.mode=RUN"], RunMode.RUN)
    assert got.seed == 8 and composed == [RunMode.RUN] * 3


def test_a_page_can_ask_for_a_sweep_that_chooses_the_recipe(tunebook: Tunebook, tmp_path: Path) -> None:
    rows = write_reviews(tmp_path / "rows.csv", 60)
    pages = tmp_path / "pages" / "experiment"
    pages.mkdir(parents=True)
    swept = "hydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n      recipe: review_sentiment\n      seed: 3,4\n"
    (pages / "both.yaml").write_text(f"# @package _global_\n{swept}")
    usual = [f"data.train={rows}", "data.label=label", "--config-dir", str(pages.parent)]
    done = tunebook("check", "+experiment=both", *usual)
    assert done.returncode == 0 and done.stdout.count("ready to train") == 2, done.stdout + done.stderr
