"""Recipes of other people: found without being imported, and harmful to nobody but themselves."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Tunebook, write_reviews

RECIPE = '''
from pathlib import Path

from tunebook import TextClassification

(Path(__file__).parent / "imported").touch()


class LegalTriage(TextClassification):
    """Which desk a letter goes to."""
'''

PAGE = """# @package _global_
# Which desk a letter goes to.
data:
  label: label
recipe:
  name: {name}
  descriptions: null
"""

Plugin = Callable[..., dict[str, str]]


@pytest.fixture
def plugin(tmp_path: Path) -> Plugin:
    """Install a distribution with one recipe in a folder of its own; returns the environment to find it."""
    folders: list[str] = []

    def install(
        package: str = "legal_triage", name: str = "legal_triage", code: str = RECIPE, page: str = PAGE
    ) -> dict[str, str]:
        site = tmp_path / f"site_{package}"
        (site / package / "conf" / "recipe").mkdir(parents=True)
        (site / package / "__init__.py").write_text(code)
        (site / package / "conf" / "recipe" / f"{name}.yaml").write_text(page.replace("{name}", name))
        info = site / f"{package}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[tunebook.recipes]\n{name} = {package}:LegalTriage\n")
        folders.append(str(site))
        return {"PYTHONPATH": ":".join(folders)}

    return install


def was_imported(tmp_path: Path, package: str = "legal_triage") -> bool:
    return (tmp_path / f"site_{package}" / package / "imported").exists()


def fails(done: subprocess.CompletedProcess[str], *phrases: str) -> None:
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ") and "Traceback" not in done.stderr
    for phrase in phrases:
        assert phrase in done.stderr, done.stderr


def test_a_plugin_is_listed_without_being_imported(plugin: Plugin, tunebook: Tunebook, tmp_path: Path):
    done = tunebook("list", env=plugin())
    assert done.returncode == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "legal_triage Which desk a letter goes to. (legal_triage 1.2)" in lines
    assert any(line.startswith("review_sentiment ") for line in lines)
    assert not was_imported(tmp_path)


def test_a_plugin_shows_checks_keys_and_trains(plugin: Plugin, tunebook: Tunebook, tmp_path: Path):
    env = plugin()
    fails(
        tunebook("train", "recipe=legal_triage", "recipe.descripsions=1", env=env),
        "did you mean recipe.descriptions?",
    )
    assert not was_imported(tmp_path), "a typo is found before the plugin is imported"
    done = tunebook("show", "legal_triage", env=env)
    assert done.returncode == 0 and "recipe.descriptions" in done.stdout
    rows = write_reviews(tmp_path / "rows.csv", 40)
    small = [
        "trainer=cpu",
        "trainer.max_steps=1",
        "data.max_length=16",
        "evaluation.resamples=50",
        "logger=csv",
    ]
    done = tunebook("train", "recipe=legal_triage", f"data.train={rows}", "run_dir=run", *small, env=env)
    assert done.returncode == 0, done.stderr
    card = (tmp_path / "work" / "run" / "model" / "README.md").read_text()
    assert "`legal_triage` (legal_triage 1.2)" in card
    done = tunebook("predict", "run", input="a letter\n", env=env)
    assert done.returncode == 0 and done.stdout.count("\n") == 2
    # Without the plugin its bundle says what is missing.
    fails(tunebook("predict", "run", input="a letter\n"), "There is no recipe named 'legal_triage'.")


def test_a_plugin_that_raises_harms_only_itself(plugin: Plugin, tunebook: Tunebook, tmp_path: Path):
    env = plugin(code='raise ZeroDivisionError("a plugin\'s own fault")')
    done = tunebook("list", env=env)
    assert done.returncode == 0 and "legal_triage" in done.stdout
    assert tunebook("train", "recipe=review_sentiment", "--cfg", "job", env=env).returncode == 0
    done = tunebook("check", "recipe=legal_triage", "data.train=rows.csv", env=env)
    fails(done, "ZeroDivisionError: a plugin's own fault", "legal_triage 1.2", "mend or reinstall legal_triage")
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.parametrize(
    ("code", "phrase"),
    [
        ("import a_package_that_nobody_has", "No module named 'a_package_that_nobody_has'"),
        ("LegalTriag = 1", "LegalTriage"),
        ("class LegalTriage: pass", "is not a Recipe class"),
        ("raise SystemExit(3)", "SystemExit"),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_named(code: str, phrase: str, plugin: Plugin, tunebook: Tunebook):
    fails(tunebook("check", "recipe=legal_triage", env=plugin(code=code)), phrase, "legal_triage 1.2")


def test_two_packages_with_one_recipe_name_are_an_error_that_names_both(plugin: Plugin, tunebook: Tunebook):
    plugin("legal_triage")
    env = plugin("law_tools", name="legal_triage")
    for arguments in (["list"], ["check", "recipe=legal_triage"], ["train", "recipe=review_sentiment"]):
        fails(
            tunebook(*arguments, env=env),
            "a recipe named 'legal_triage'",
            "legal_triage 1.2",
            "law_tools 1.2",
        )


def test_a_package_cannot_take_the_name_of_a_recipe_of_ours(plugin: Plugin, tunebook: Tunebook):
    env = plugin("copycat", name="review_sentiment")
    fails(tunebook("check", "recipe=review_sentiment", env=env), "copycat 1.2", "tunebook ")


@pytest.mark.parametrize(
    ("page", "phrases"),
    [
        ("# @package _global_\nrecipe: {name: legal_triage\n", ["legal_triage.yaml"]),
        (
            "# @package _global_\nrecipe:\n  name: {name}\noptim:\n  lrr: 1\n",
            ["There is no config key 'optim.lrr'"],
        ),
        (
            "# @package _global_\nrecipe:\n  name: {name}\ndata:\n  batch_size: many\n",
            ["Wrong value for 'data.batch_size'"],
        ),
        ("# @package _global_\nrecipe:\n  name: {name}\n  colour: red\n", ["'colour'", "recipe.colour"]),
        ("# @package _global_\nrecipe:\n  name: another_name\n", ["another_name"]),
        ("# @package _global_\ndata:\n  label: label\n", ["legal_triage"]),
        (
            "# @package _global_\nrecipe:\n  name: {name}\n  _target_: os.system\n  command: touch pwned\n",
            ["_target_"],
        ),
        ("# @package _global_\nrecipe:\n  name: {name}\nmodel:\n  _target_: os.system\n", ["model._target_"]),
    ],
)
def test_a_broken_page_is_one_message(
    page: str, phrases: list[str], plugin: Plugin, tunebook: Tunebook, tmp_path: Path
):
    env = plugin(page=page)
    fails(tunebook("check", "recipe=legal_triage", env=env), *phrases)
    assert list((tmp_path / "work").iterdir()) == []


def test_show_tells_of_a_broken_page_too(plugin: Plugin, tunebook: Tunebook):
    env = plugin(page="# @package _global_\nrecipe:\n  name: {name}\n\tdata: 1\n")
    fails(tunebook("show", "legal_triage", env=env), "legal_triage.yaml:4", "is no YAML")


def test_a_plugin_without_a_page_is_listed_and_says_so(plugin: Plugin, tunebook: Tunebook, tmp_path: Path):
    env = plugin()
    (tmp_path / "site_legal_triage" / "legal_triage" / "conf" / "recipe" / "legal_triage.yaml").unlink()
    assert "its conf/recipe YAML is missing" in tunebook("list", env=env).stdout
    fails(tunebook("check", "recipe=legal_triage", env=env), "legal_triage", "conf/recipe/legal_triage.yaml")


def test_core_names_no_recipe():
    import tunebook

    core = Path(str(tunebook.__file__)).parent
    for file in core.rglob("*.py"):
        code = [line for line in file.read_text(encoding="utf-8").splitlines() if "import" in line]
        assert not any("tunebook.recipes" in line for line in code), file
    code = "import tunebook.cli, sys; print([m for m in sys.modules if m.startswith('tunebook.recipes')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/")
    assert done.stdout == "[]\n"
