"""Recipes in folders of one's own: without packaging, and otherwise like any other."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chatted import write_chats
from tests.cli.test_completion import complete
from tests.conftest import Tunebook, write_reviews
from tests.forked import run_forked
from tunebook.composing.pages import trouble
from tunebook.errors import UserError
from tunebook.plugins import find_recipes, load_recipe_class, offers
from tunebook.plugins.private import folder_notes

RECIPE = '''
from dataclasses import dataclass
from pathlib import Path

from tunebook import TextClassification, TextClassificationConfig

from .words import too_short

(Path(__file__).parent / "imported").touch()


@dataclass
class RoutingConfig(TextClassificationConfig):
    """Options."""

    shortest: int = 2
    """Tickets of fewer words are rejected."""


class Routing(TextClassification[RoutingConfig]):
    """Which team a ticket goes to."""

    Config = RoutingConfig

    def invalid(self, row):
        return too_short(row["text"], self.options.shortest)
'''
WORDS = """
def too_short(text, shortest):
    return "is too short" if len(text.split()) < shortest else None
"""
PAGE = """# @package _global_
# Which team a ticket goes to.
data:
  label: label
recipe:
  name: {name}
  shortest: 2
  descriptions: null
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write the folder of a recipe; returns the folder it lies in."""

    def write(name: str, inside: str = "my recipes", code: str = RECIPE, page: str = PAGE) -> Path:
        folder = tmp_path / inside / name
        (folder / "conf" / "recipe").mkdir(parents=True)
        (folder / "recipe.py").write_text(code)
        (folder / "words.py").write_text(WORDS)
        (folder / "conf" / "recipe" / f"{name}.yaml").write_text(page.replace("{name}", name))
        return folder.parent

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    return write


def given(*folders: Path) -> dict[str, str]:
    return {"TUNEBOOK_RECIPES": os.pathsep.join(map(str, folders))}


def refused(name: str) -> str:
    with pytest.raises(UserError) as caught:
        load_recipe_class(name)
    return caught.value.message()


def test_folders_are_listed_shown_checked_and_completed(
    write: Write, tunebook: Tunebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Two folders: one that holds recipes, and one that is a recipe itself."""
    several = write("ticket_routing")
    (several / "notes").mkdir()
    alone = write("fault_finder", inside="other") / "fault_finder"
    env = given(several, alone)
    done = tunebook("list", env=env)
    assert done.returncode == 0 and done.stderr == ""
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert f"ticket_routing Which team a ticket goes to. (folder {several / 'ticket_routing'})" in lines
    assert f"fault_finder Which team a ticket goes to. (folder {alone})" in lines
    assert sum(line.startswith("review_sentiment ") for line in lines) == 1
    for key, value in env.items():
        monkeypatch.setenv(key, value)
    assert complete("tunebook show tick", tmp_path) == ["ticket_routing"]
    assert complete("tunebook train recipe=tick", tmp_path) == ["recipe=ticket_routing"]
    assert complete("tunebook train recipe=ticket_routing recipe.sh", tmp_path) == ["recipe.shortest="]
    done = tunebook("check", "recipe=ticket_routing", "recipe.shortes=3")
    assert done.returncode == 2 and "did you mean recipe.shortest?" in done.stderr
    assert not list(tmp_path.glob("**/imported")), "nothing was imported so far"
    done = tunebook("show", "ticket_routing")
    assert done.returncode == 0, done.stderr
    assert re.search(r"recipe.shortest +int +2 +Tickets of fewer words are rejected.", done.stdout)
    rows = write_reviews(tmp_path / "rows.csv", 40)
    with rows.open("a") as stream:
        stream.write("short,bad\n")
    done = tunebook("check", "recipe=ticket_routing", f"data.train={rows}")
    assert done.returncode == 2 and "rows.csv:42 the row is too short" in done.stderr


def test_a_private_recipe_trains_in_a_sweep_of_several_processes_and_is_opened_again(
    write: Write, tunebook: Tunebook, tmp_path: Path
):
    """The folder is named from where the command was typed; each job of the sweep works in a folder of its own."""
    folder = write("ticket_routing")
    samples = folder / "ticket_routing" / "samples"
    samples.mkdir()
    write_reviews(samples / "train.csv", 40)
    work = tmp_path / "work"
    here = {"TUNEBOOK_RECIPES": os.path.relpath(folder, work)}
    small = ["trainer.max_steps=2", "trainer.checkpoint_every=1", "data.max_length=16", "evaluation.resamples=50"]
    together = [
        "trainer=ddp",
        "trainer.accelerator=cpu",
        "evaluation.zero_shot=false",
        "trainer.progress=false",
        "logger=csv",
    ]
    sweep = ["-m", "seed=3", "hydra.sweep.dir=sweep", "hydra.job.chdir=true"]
    done = tunebook("train", "recipe=ticket_routing", *small, *together, *sweep, env=here)
    assert done.returncode == 0, done.stderr
    run = work / "sweep" / "0"
    card = (run / "model" / "README.md").read_text()
    assert f"`ticket_routing` (folder {folder / 'ticket_routing'})" in card
    # As it is when killed after the last step: no bundle and no report yet.
    weights = (run / "model" / "model.safetensors").read_bytes()
    (run / "report.html").unlink()
    for file in (run / "model").iterdir():
        file.unlink()
    (run / "model").rmdir()
    rows = write_reviews(tmp_path / "test.csv", 20, seed=9)
    in_turn = f"""
import sys
from tunebook.cli.main import main
scored = "evaluate bundle=sweep/0 data.test={rows} run_dir=scored"
for command in ("train resume=sweep/0", "predict sweep/0 {rows}", scored):
    sys.argv = ["tunebook", *command.split()]
    try:
        main(command.split())
    except SystemExit as end:
        assert end.code == 0
"""
    done = run_forked([], {**os.environ, **here}, work, 300, code=in_turn)
    assert done.returncode == 0, done.stderr
    assert (run / "model" / "model.safetensors").read_bytes() == weights
    assert len(re.findall(r"^\S*test.csv,\d+,.*,(?:bad|good),", done.stdout, re.MULTILINE)) == 20
    assert (work / "scored" / "metrics.json").is_file()
    done = tunebook("predict", "sweep/0", input="a ticket\n")
    assert done.returncode == 2 and "There is no recipe named 'ticket_routing'" in done.stderr
    assert "TUNEBOOK_RECIPES=<folder>" in done.stderr


def test_a_folder_hides_no_installed_module(write: Write, monkeypatch: pytest.MonkeyPatch):
    code = "import statistics\n\nMEAN = statistics.mean([1, 3])\n" + RECIPE
    folder = write("statistics", code=code)
    monkeypatch.setenv("TUNEBOOK_RECIPES", str(folder))
    found = load_recipe_class("statistics")
    assert found.__module__ == "tunebook.plugins.private.statistics.recipe"
    assert sys.modules[found.__module__].MEAN == 2
    assert found.__name__ == "Routing" and found.Config.__name__ == "RoutingConfig"


def test_what_a_recipe_defines_can_be_sent_to_another_process(write: Write, monkeypatch: pytest.MonkeyPatch):
    """As data workers that are spawned, not forked, receive it."""
    folder = write("spawned")
    (folder / "spawned" / "__init__.py").write_text('"""A package of its own."""\n')
    monkeypatch.setenv("TUNEBOOK_RECIPES", str(folder))
    sent = pickle.dumps(load_recipe_class("spawned"))
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer).__name__)"
    done = subprocess.run([sys.executable, "-c", code], input=sent, capture_output=True, env=dict(os.environ))
    assert done.stdout == b"Routing\n", done.stderr


@pytest.mark.parametrize(
    ("code", "phrases"),
    [
        ("", ["its module defines none"]),
        ("from tunebook import TextClassification", ["its module defines none"]),
        (
            RECIPE + "\n\nclass Other(Routing): pass\n",
            ["defines Routing (line 20) and Other (line 29)", "recipe.py:29", "keep one class"],
        ),
        ("from words import too_short", ["No module named 'words'", "recipe.py:1", "`from . import words`"]),
        ("from .wrods import too_short", ["No module named", "recipe.py:1", "fix its code"]),
        ("1 / 0", ["ZeroDivisionError: division by zero", "recipe.py:1"]),
        ("def", ["its code has a syntax error", "recipe.py:1"]),
        (RECIPE + "\n    contract = 2\n", ["version 2 of the contract", "recipe.py:", "upgrade tunebook"]),
    ],
)
def test_a_recipe_that_cannot_be_loaded_names_its_folder(
    code: str, phrases: list[str], write: Write, monkeypatch: pytest.MonkeyPatch
):
    folder = write("cannot_load", code=code)
    for module in [m for m in sys.modules if m.startswith("tunebook.plugins.private.cannot_load")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setenv("TUNEBOOK_RECIPES", str(folder))
    told = refused("cannot_load")
    for phrase in [*phrases, f"folder {folder / 'cannot_load'}"]:
        assert phrase in told


def test_a_name_in_two_folders_is_refused_only_when_it_is_used(
    write: Write, tunebook: Tunebook, monkeypatch: pytest.MonkeyPatch
):
    one, other = write("ticket_routing"), write("ticket_routing", inside="other")
    env = given(one, other, one, one / ".." / one.name)  # named again, it is still the same
    for key, value in env.items():
        monkeypatch.setenv(key, value)
    assert len([offer for offer in offers() if offer.name == "ticket_routing"]) == 2
    assert trouble(find_recipes()["review_sentiment"]) is None
    told = refused("ticket_routing")
    assert str(one / "ticket_routing") in told and str(other / "ticket_routing") in told
    assert "take a folder out of TUNEBOOK_RECIPES" in told
    done = tunebook("check", "recipe=ticket_routing", "--cfg", "job")
    assert done.returncode == 2 and "offers a recipe named 'ticket_routing' too" in done.stderr


def test_a_folder_cannot_take_the_name_of_an_installed_recipe(write: Write, monkeypatch: pytest.MonkeyPatch):
    folder = write("review_sentiment")
    monkeypatch.setenv("TUNEBOOK_RECIPES", str(folder))
    told = refused("review_sentiment")
    assert f"folder {folder / 'review_sentiment'}" in told and "tunebook " in told


def test_names_that_lead_nowhere_are_noted_and_an_empty_one_is_not_the_current_folder(
    write: Write, tunebook: Tunebook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write("ticket_routing", inside="work/..")
    (tmp_path / "empty").mkdir()
    env = {"TUNEBOOK_RECIPES": os.pathsep.join(["", str(tmp_path / "nowhere"), str(tmp_path / "empty"), ""])}
    done = tunebook("list", env=env, cwd=tmp_path / "ticket_routing")
    assert done.returncode == 0 and "ticket_routing" not in done.stdout
    assert done.stderr.splitlines() == [
        f"note: TUNEBOOK_RECIPES: {tmp_path / 'nowhere'} is not a folder",
        f"note: TUNEBOOK_RECIPES: {tmp_path / 'empty'} holds no recipe.py",
    ]
    monkeypatch.setenv("TUNEBOOK_RECIPES", env["TUNEBOOK_RECIPES"])
    assert f"{tmp_path / 'nowhere'} is not a folder" in refused("ticket_routing")


def test_a_file_of_settings_names_folders_unless_the_variable_does(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder, other = write("ticket_routing"), write("fault_finder", inside="other")
    settings = tmp_path / "settings" / "tunebook" / "recipe_folders"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"# of the team\n{folder}  # ours\n\n../../nowhere\n")
    monkeypatch.delenv("TUNEBOOK_RECIPES", raising=False)
    assert "ticket_routing" in find_recipes()
    assert folder_notes() == [f"{settings}: {tmp_path / 'nowhere'} is not a folder"]
    monkeypatch.setenv("TUNEBOOK_RECIPES", str(other))
    assert {"ticket_routing", "fault_finder"} & set(find_recipes()) == {"fault_finder"}


def test_a_folder_whose_name_is_no_module_is_listed_with_that(write: Write, monkeypatch: pytest.MonkeyPatch):
    folder = write("ticket-routing")
    monkeypatch.setenv("TUNEBOOK_RECIPES", str(folder))
    wrong = trouble(find_recipes()["ticket-routing"])
    assert wrong is not None and wrong.what == "its folder's name is not a Python name"


def test_no_other_folder_of_that_name_is_imported(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """`b/plain` is named; `a/plain` lies beside a recipe that is, but is none."""
    folder, alone = write("neighbour", inside="a"), write("plain", inside="b") / "plain"
    (folder / "plain").mkdir()
    (folder / "plain" / "__init__.py").write_text("raise RuntimeError('the wrong folder')\n")
    monkeypatch.setenv("TUNEBOOK_RECIPES", os.pathsep.join([str(folder), str(alone)]))
    assert sys.modules[load_recipe_class("plain").__module__].__file__ == str(alone / "recipe.py")


WRITING = '''
from tunebook import TextGeneration

from .words import greeting


class HelpDesk(TextGeneration):
    """Answers of a help desk."""

    def training_conversations(self, rows):
        from tunebook.families.text_generation.data.message import Message

        for conversations in super().training_conversations(rows):
            yield [[Message("system", greeting()), *each] for each in conversations]
'''
WRITING_PAGE = """# @package _global_
# Answers of a help desk.
defaults:
  - /family/text_generation@recipe
  - _self_
data:
  overlength: split_turns
recipe:
  name: {name}
"""


def test_code_that_changed_teaches_what_it_says_now(write: Write, tunebook: Tunebook, tmp_path: Path):
    """Rows are encoded once and cached; of a recipe that shapes them itself its code tells which."""
    folder = write("help_desk", code=WRITING, page=WRITING_PAGE)
    words = folder / "help_desk" / "words.py"
    rows = write_chats(tmp_path / "chats.jsonl", 30)
    check = ["check", "recipe=help_desk", f"data.train={rows}"]
    for said in ("Be brief.", "Be kind.", "Be brief."):
        words.write_text(f"def greeting():\n    return {said!r}\n")
        done = tunebook(*check, env=given(folder))
        assert done.returncode == 0, done.stderr
        assert f"<|system|>{said}" in done.stdout, done.stdout
