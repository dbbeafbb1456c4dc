"""Recipes of other people: found without being imported, and harmful to nobody but themselves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Tunebook, write_reviews
from tests.user_error import user_error
from tunebook import TextClassificationConfig
from tunebook.composing.pages import trouble
from tunebook.config.schema import DataConfig
from tunebook.errors import UserError
from tunebook.families.text_classification.wording import descriptions
from tunebook.plugins import find_recipes, load_recipe_class, offers
from tunebook.plugins.answers import columns_of, invalid_of, samples_of
from tunebook.plugins.contract import BrokenContract
from tunebook.plugins.heads import check_head
from tunebook.plugins.measures import check_metrics

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
        package: str = "legal_triage", name: str = "legal_triage", code: str = RECIPE, page: str | None = PAGE
    ) -> dict[str, str]:
        site = tmp_path / f"site_{package}"
        (site / package / "conf" / "recipe").mkdir(parents=True)
        (site / package / "__init__.py").write_text(code)
        if page is not None:
            (site / package / "conf" / "recipe" / f"{name}.yaml").write_text(page.replace("{name}", name))
        info = site / f"{package}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[tunebook.recipes]\n{name} = {package}:LegalTriage\n")
        folders.append(str(site))
        return {"PYTHONPATH": ":".join(folders)}

    return install


@pytest.fixture
def here(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> Plugin:
    """Install a distribution where this very process finds it."""

    def install(**options: str | None) -> dict[str, str]:
        environment = plugin(**options)
        monkeypatch.syspath_prepend(environment["PYTHONPATH"])
        return environment

    # What a test imports is another package of the same name in the next one.
    monkeypatch.setitem(sys.modules, "legal_triage", None)
    monkeypatch.delitem(sys.modules, "legal_triage")
    return install


def listed(name: str, done: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines of a recipe in `tunebook list`, with single blanks."""
    assert done.returncode == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert any(line.startswith("review_sentiment ") and "!" not in line for line in lines)
    return [line for line in lines if line.startswith(f"{name} ")]


def was_imported(tmp_path: Path, package: str = "legal_triage") -> bool:
    return (tmp_path / f"site_{package}" / package / "imported").exists()


def fails(done: subprocess.CompletedProcess[str], *phrases: str) -> None:
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ") and "Traceback" not in done.stderr
    for phrase in phrases:
        assert phrase in done.stderr, done.stderr


def test_a_plugin_is_listed_without_being_imported(plugin: Plugin, tunebook: Tunebook, tmp_path: Path):
    done = tunebook("list", env=plugin())
    assert listed("legal_triage", done) == ["legal_triage Which desk a letter goes to. (legal_triage 1.2)"]
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
        "evaluation.zero_shot=false",
        "logger=csv",
    ]
    done = tunebook("train", "recipe=legal_triage", f"data.train={rows}", "run_dir=run", *small, env=env)
    assert done.returncode == 0, done.stderr
    card = (tmp_path / "work" / "run" / "model" / "README.md").read_text()
    assert "`legal_triage` (legal_triage 1.2)" in card
    done = tunebook("predict", "run", input="a letter\n", env=env)
    assert done.returncode == 0 and done.stdout.count("\n") == 2
    # Where its code has changed for the worse since, its bundle says so.
    code = tmp_path / "site_legal_triage" / "legal_triage" / "__init__.py"
    code.write_text(RECIPE + "\n    watch = 'f1'\n")
    fails(tunebook("evaluate", "bundle=run", f"data.test={rows}", env=env), "it watches 'f1'", "__init__.py:12")
    code.write_text(RECIPE + "\n    def head(self, labels):\n        return None\n")
    fails(tunebook("predict", "run", input="a letter\n", env=env), "its `head` returned None", "__init__.py:12")
    # Without the plugin its bundle says what is missing.
    fails(tunebook("predict", "run", input="a letter\n"), "There is no recipe named 'legal_triage'.")


def test_a_plugin_that_raises_harms_only_itself(plugin: Plugin, tunebook: Tunebook, tmp_path: Path):
    env = plugin(code='import json\n\njson.loads("{")')
    assert listed("legal_triage", tunebook("list", env=env)) == [
        "legal_triage Which desk a letter goes to. (legal_triage 1.2)"
    ]
    assert tunebook("train", "recipe=review_sentiment", "--cfg", "job", env=env).returncode == 0
    done = tunebook("check", "recipe=legal_triage", "data.train=rows.csv", env=env)
    # The last place in its own code, not the one in json.
    place = f"legal_triage 1.2, {tmp_path / 'site_legal_triage' / 'legal_triage' / '__init__.py'}:3"
    fails(done, "cannot be imported: JSONDecodeError: Expecting", place, "fix or reinstall legal_triage")
    done = tunebook("show", "legal_triage", env=env)
    fails(done, "cannot be imported: JSONDecodeError", place)
    assert done.stdout == ""
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.parametrize(
    ("code", "phrases"),
    [
        ("import a_package_that_nobody_has", ["ModuleNotFoundError: No module named 'a_package_that", "__init__.py:1"]),
        ("LegalTriag = 1", ["AttributeError", "LegalTriage", "legal_triage:LegalTriage"]),
        ("class LegalTriage: pass", ["is not a Recipe class"]),
        ("raise SystemExit(3)", ["SystemExit: 3", "__init__.py:1"]),
        ("class Odd(BaseException): pass\nraise Odd", ["cannot be imported: Odd", "__init__.py:2"]),
        (
            "from tunebook import UserError\nraise UserError('its own', code='its.own')",
            ["UserError: its own", "__init__.py:2"],
        ),
        ("def broken(:\n", ["its code has a syntax error", "__init__.py:1"]),
        (RECIPE + "    contract = 1 + 1\n", ["version 2 of the contract"]),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_named(code: str, phrases: list[str], here: Plugin):
    here(code=code)
    with pytest.raises(UserError) as caught:
        load_recipe_class("legal_triage")
    for phrase in [*phrases, "legal_triage 1.2"]:
        assert phrase in str(caught.value)


@pytest.mark.parametrize(
    ("own", "phrases"),
    [
        ("@property\n    def columns(self):\n        return []", ["`columns` is a property and must be a method"]),
        ("columns = ()", ["`columns` is a value and must be a method", "def columns(self, data)"]),
        ("def check_labels(self, labels):\n        pass", ["check_labels(self, labels)", "(self, labels, data)"]),
        ("def invalid(row):\n        pass", ["it has invalid(row), but is called as invalid(self, row)"]),
        ("def watch(self):\n        return 'accuracy'", ["`watch` is a method and must be a value"]),
        ("watch_mode = 'highest'", ["`watch_mode` is 'highest'", 'write "max" or "min"']),
        ("class Config:\n        name = 1", ["`Config` is not a dataclass", "@dataclass"]),
    ],
)
def test_a_class_that_breaks_the_contract_is_refused_with_its_line(own: str, phrases: list[str], here: Plugin):
    here(code=f"{RECIPE}\n    {own}\n")
    with pytest.raises(BrokenContract, match="'legal_triage' breaks the contract") as caught:
        load_recipe_class("legal_triage")
    for phrase in [*phrases, "legal_triage 1.2, ", f"__init__.py:{len(RECIPE.splitlines()) + 2}"]:
        assert phrase in str(caught.value)


def test_methods_may_take_more(here: Plugin):
    here(
        code=RECIPE
        + """
    def invalid(self, row, strict=False): pass
    @staticmethod
    def describe(labels): pass
"""
    )
    assert load_recipe_class("legal_triage").watch == "macro_f1"


def test_a_property_may_be_a_plain_value(here: Plugin):
    cautions = "class LegalTriage(ImageClassification):\n    cautions = ('Not for diagnosis.',)\n"
    here(code=f"from tunebook import ImageClassification\n{cautions}")
    assert load_recipe_class("legal_triage").family.name == "image_classification"


def test_what_methods_return_is_looked_at(here: Plugin):
    labels = ("civil", "criminal")
    broken = """
    watch = "macro_f"

    def columns(self, data): return ["text"]
    def invalid(self, row): return 5
    def head(self, labels): return labels
    def describe(self, labels): return ["a crime"]
    def verdicts(self, labels): return "civil or criminal".split(" or ") + [None]
    def samples(self, cache_dir): return ["train.csv"]
"""
    here(code=RECIPE + broken)
    recipe = load_recipe_class("legal_triage")(TextClassificationConfig(name="legal_triage"))
    first = len(RECIPE.splitlines())
    for work, place, what in (
        (lambda: columns_of(recipe, DataConfig()), 4, "`columns` returned a list of str"),
        (lambda: invalid_of(recipe)({"text": "a letter"}), 5, "`invalid` returned 5"),
        (lambda: check_head(recipe, labels), 6, "`head` returned a tuple of str"),
        (lambda: descriptions(recipe, labels), 7, "`describe` returned 1 texts for 2 labels (civil, criminal)"),
        (
            lambda: descriptions(recipe, labels[:1] * 3, following=True),
            8,
            "`verdicts` returned a list of str, NoneType",
        ),
        (lambda: samples_of(recipe, ""), 9, "`samples` returned a list of str"),
        (lambda: check_metrics(recipe, labels), 2, "it watches 'macro_f', which is not one of its metrics"),
    ):
        with pytest.raises(BrokenContract) as caught:
            work()
        assert what in caught.value.what and f"__init__.py:{first + place}" in str(caught.value.where)
    assert caught.value.fix == "did you mean macro_f1? the metrics are: accuracy, macro_f1"


def test_the_methods_of_an_own_head_are_looked_at(here: Plugin):
    own = """
    def head(self, labels):
        from tunebook import SoftmaxHead

        class Bent(SoftmaxHead):
            def loss(self, logits):
                return logits.sum()

        return Bent(len(labels))
"""
    here(code=RECIPE + own)
    recipe = load_recipe_class("legal_triage")(TextClassificationConfig(name="legal_triage"))
    with pytest.raises(
        BrokenContract, match=r"of its head Bent: it has loss\(self, logits\), but is called as"
    ) as caught:
        check_head(recipe, ("civil", "criminal"))
    assert f"__init__.py:{len(RECIPE.splitlines()) + 6}" in str(caught.value.where)


def test_a_head_of_other_labels_is_told_before_anything_is_trained(here: Plugin):
    here(
        code=RECIPE
        + "\n    def head(self, labels):\n        from tunebook import SoftmaxHead\n        return SoftmaxHead(5)\n"
    )
    recipe = load_recipe_class("legal_triage")(TextClassificationConfig(name="legal_triage"))
    with pytest.raises(
        BrokenContract, match=r"SoftmaxHead: its `probabilities` of 5 rows gives a tensor of the shape \[5, 5\]"
    ) as caught:
        check_head(recipe, ("civil", "criminal"))
    assert caught.value.fix == "give [5, 2]: one for each label (civil, criminal)"
    assert f"__init__.py:{len(RECIPE.splitlines()) + 2}" in str(caught.value.where)


@pytest.mark.parametrize(
    ("own", "line", "phrases"),
    [
        (
            "watch = 'accurcy'",
            2,
            ["it watches 'accurcy'", "did you mean accuracy? the metrics are: accuracy, macro_f1"],
        ),
        # What a library raises is the fault of whoever called it.
        (
            "def metrics(self, labels):\n        from torchmetrics.classification import MulticlassAccuracy\n"
            "        return MulticlassAccuracy(-1)",
            4,
            ["failed in its `metrics`: ValueError: Expected argument `num_classes`", "TUNEBOOK_TRACEBACK=1"],
        ),
        (
            "def describe(self, labels):\n        return ['one']",
            2,
            ["`describe` returned 1 texts for 2 labels (bad, good)"],
        ),
    ],
)
def test_a_recipe_that_fails_is_one_message_before_anything_is_trained(
    own: str, line: int, phrases: list[str], plugin: Plugin, tunebook: Tunebook, tmp_path: Path
):
    env = plugin(code=f"{RECIPE}\n    {own}\n")
    command = ["train", "recipe=legal_triage", f"data.train={write_reviews(tmp_path / 'rows.csv', 40)}"]
    done = tunebook(*command, env=env)
    fails(done, *phrases, f"legal_triage/__init__.py:{len(RECIPE.splitlines()) + line}")
    assert "training:" not in done.stdout and list((tmp_path / "work").iterdir()) == []


def test_the_whole_traceback_can_be_asked_for(plugin: Plugin, tunebook: Tunebook, tmp_path: Path):
    env = plugin(code=RECIPE + "\n    def invalid(self, row):\n        return row['txt']\n")
    command = ["check", "recipe=legal_triage", f"data.train={write_reviews(tmp_path / 'rows.csv', 40)}"]
    fails(tunebook(*command, env=env), "failed in its `invalid`: KeyError: 'txt'")
    done = tunebook(*command, env={**env, "TUNEBOOK_TRACEBACK": "1"})
    assert done.returncode == 1 and "Traceback" in done.stderr and "KeyError: 'txt'" in done.stderr


def test_a_name_that_two_packages_offer_is_refused_only_when_it_is_used(
    plugin: Plugin, tunebook: Tunebook, tmp_path: Path
):
    plugin("legal_triage")
    env = plugin("law_tools", name="legal_triage")
    assert sorted(listed("legal_triage", tunebook("list", env=env))) == [
        f"legal_triage Which desk a letter goes to. ({one} 1.2) ! {other} 1.2 offers a recipe named 'legal_triage' too"
        for one, other in (("law_tools", "legal_triage"), ("legal_triage", "law_tools"))
    ]
    assert tunebook("train", "recipe=review_sentiment", "--cfg", "job", env=env).returncode == 0
    for arguments in (
        ["check", "recipe=legal_triage"],
        ["train", "recipe=legal_triage", "--cfg", "job"],
        ["train", "recipe=review_sentiment,legal_triage", "-m"],
        ["show", "legal_triage"],
    ):
        fails(tunebook(*arguments, env=env), "a recipe named 'legal_triage'", "legal_triage 1.2", "law_tools 1.2")
    assert not was_imported(tmp_path) and not was_imported(tmp_path, "law_tools")


def test_a_package_cannot_take_the_name_of_a_recipe_of_ours(here: Plugin):
    here(package="copycat", name="review_sentiment")
    with user_error("recipe.not-usable", match="offers a recipe named 'review_sentiment' too") as caught:
        load_recipe_class("review_sentiment")
    assert "copycat 1.2" in str(caught.value) and "tunebook " in str(caught.value)


def test_a_page_in_a_strangers_folder_hides_no_other(plugin: Plugin, tunebook: Tunebook, tmp_path: Path):
    """Hydra takes the first of two pages of a name in silence; a plugin can ship one that it does not offer."""
    plugin("aardvark", name="aardvark")
    other = tmp_path / "site_aardvark" / "aardvark" / "conf" / "recipe" / "legal_triage.yaml"
    other.write_text(PAGE.replace("{name}", "legal_triage") + "seed: 13\n")
    done = tunebook("check", "recipe=legal_triage", "--cfg", "job", env=plugin())
    assert "seed: 0\n" in done.stdout, done.stderr


def test_pages_of_ours_cannot_be_replaced_by_a_strangers(plugin: Plugin, tunebook: Tunebook, tmp_path: Path):
    """Not by another recipe's package, and not by that of the chosen recipe either."""
    chosen = ["check", "recipe=legal_triage", "--cfg", "job", "run_dir=run", "data.cache_dir=cache"]
    before = tunebook(*chosen, env=plugin())
    env = plugin("aardvark", name="aardvark")
    for package in ("aardvark", "legal_triage"):
        conf = tmp_path / f"site_{package}" / package / "conf"
        for name in (
            "train",
            "check",
            "model/starter_text",
            "adapt/full",
            "trainer/auto",
            "family/text_classification",
        ):
            (conf / name).parent.mkdir(exist_ok=True)
            (conf / f"{name}.yaml").write_text(
                "# @package _global_\nseed: 13\noptim: {lr: 9}\ndata: {max_rejects: 9}\n"
            )
    after = tunebook(*chosen, env=env)
    assert after.returncode == 0 and after.stdout == before.stdout, after.stderr
    assert "seed: 0\n" in after.stdout


def test_a_recipe_is_verified_beside_broken_ones(plugin: Plugin, tunebook: Tunebook):
    plugin("raises", name="raises", code="raise RuntimeError('at import')")
    plugin("slow", name="slow", code="import time\ntime.sleep(3)\n" + RECIPE)
    plugin("later", name="later", code=RECIPE + "    contract = 2\n")
    plugin("torn", name="torn", page="# @package _global_\nrecipe: {name: torn\n")
    plugin("pageless", name="pageless", page=None)
    env = plugin("copycat", name="medical_diagnosis")
    started = time.monotonic()
    done = tunebook("verify", "review_sentiment", "--only", "lazy,composes,options,typo", env=env)
    assert done.returncode == 0 and "4 of 4 checks passed" in done.stdout, done.stdout + done.stderr
    assert time.monotonic() - started < 30
    for name, reason in (("raises", "RuntimeError: at import"), ("torn", "is not valid YAML")):
        done = tunebook("verify", name, env=env)
        assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
        assert any(line.startswith("composes") and reason in line for line in done.stdout.splitlines()), done.stdout
    for name in ("later", "medical_diagnosis", "pageless"):  # of which there is nothing to verify
        done = tunebook("verify", name, env=env)
        assert (done.returncode, done.stdout) == (2, "") and done.stderr == tunebook("show", name, env=env).stderr


@pytest.mark.parametrize(
    ("page", "phrases"),
    [
        ("# @package _global_\nrecipe: {name: legal_triage\n", ["is not valid YAML", "legal_triage.yaml:3"]),
        (
            "# @package _global_\nrecipe:\n  name: {name}\noptim:\n  lrr: 1\n",
            ["there is no config key 'optim.lrr'", "legal_triage.yaml:5", "did you mean optim.lr?"],
        ),
        (
            "# @package _global_\nrecipe:\n  name: {name}\n\ndata:\n  batch_size: many\n",
            ["wrong value for 'data.batch_size'", "legal_triage.yaml:6"],
        ),
        ("# @package _global_\nrecipe:\n  name: another_name\n", ["recipe.name to 'another_name'", ".yaml:3"]),
        ("# @package _global_\ndata:\n  label: label\n", ["its YAML sets no recipe.name"]),
        (
            "# Without a package line.\nrecipe:\n  name: {name}\n",
            ["the first line of its YAML is not `# @package _global_`", "legal_triage.yaml:1"],
        ),
        # Hydra reads such lines at the top alone.
        ("# First a word.\n# @package _global_\ndata:\n  label: desk\n", ["the first line of its YAML is not"]),
        ("", ["its YAML sets no recipe.name"]),
        ("- a list\n", ["its YAML has no keys"]),
        ("42\n", ["its YAML cannot be read"]),
        ("# @package _global_\nrecipe:\n  name: {name}\nmodel:\n  _target_: os.system\n", ["model._target_"]),
        (None, ["its conf/recipe/legal_triage.yaml is missing"]),
    ],
)
def test_a_broken_page_is_told_without_importing(page: str | None, phrases: list[str], here: Plugin, tmp_path: Path):
    here(page=page)
    found = find_recipes()["legal_triage"]
    wrong = trouble(found)
    assert wrong is not None
    for phrase in [*phrases, "legal_triage 1.2"]:
        assert phrase in str(wrong.error(found))
    assert not was_imported(tmp_path)


OWN = """
from tunebook import TextClassification, TextClassificationConfig


class TriageConfig(TextClassificationConfig):
    pass


"""
FAMILY = "# @package _global_\ndefaults:\n  - /family/{family}@recipe\n  - _self_\nrecipe:\n  name: {name}\n"


@pytest.mark.parametrize(
    ("family", "code", "phrases"),
    [
        (
            "image_classification",
            RECIPE,
            [
                "its page takes in /family/image_classification@recipe, and its class derives from TextClassification",
                "write /family/text_classification@recipe there",
                "legal_triage.yaml:3",
            ],
        ),
        (
            "text_classification",
            OWN + "class LegalTriage(TextClassification[TriageConfig]):\n    watch = 'accuracy'\n",
            ["its class LegalTriage does not say that TriageConfig is its Config", "Config = TriageConfig", ".py:9"],
        ),
        (
            "text_classification",
            OWN + "class LegalTriage(TextClassification):\n    pass\n",
            ["does not say that TriageConfig is its Config"],
        ),
        ("text_classification", RECIPE, []),
        ("text_classification", OWN + "class LegalTriage(TextClassification):\n    Config = TriageConfig\n", []),
        ("text_classification", RECIPE.replace("Classification)", "Classification[TextClassificationConfig])"), []),
    ],
)
def test_page_and_class_must_be_of_one_family_and_the_class_have_its_config(
    family: str, code: str, phrases: list[str], here: Plugin, tmp_path: Path
):
    here(code=code, page=FAMILY.replace("{family}", family))
    found = find_recipes()["legal_triage"]
    wrong = trouble(found)
    assert (wrong is not None) == bool(phrases)
    for phrase in phrases:
        assert wrong is not None and phrase in str(wrong.error(found))
    assert not was_imported(tmp_path)


@pytest.mark.parametrize(
    ("options", "phrases"),
    [
        ("  colour: red\n", ["no option 'colour'", "recipe.colour in ", "legal_triage.yaml:4 (legal_triage 1.2)"]),
        ("  description: null\n  colour: red\n", ["did you mean recipe.descriptions?", "legal_triage.yaml:4 "]),
        ("  _target_: os.system\n  command: touch pwned\n", ["_target_", "legal_triage 1.2"]),
    ],
)
def test_an_option_that_the_recipe_lacks_is_its_pages_fault(
    options: str, phrases: list[str], plugin: Plugin, tunebook: Tunebook, tmp_path: Path
):
    env = plugin(page="# @package _global_\nrecipe:\n  name: {name}\n" + options)
    fails(tunebook("check", "recipe=legal_triage", env=env), *phrases)
    assert list((tmp_path / "work").iterdir()) == []


def test_an_option_that_was_typed_is_not_its_pages_fault(plugin: Plugin, tunebook: Tunebook):
    done = tunebook("check", "recipe=legal_triage", "recipe.descriptions=many", env=plugin())
    fails(done, "recipe.descriptions\n", "Wrong option")


def test_broken_plugins_of_all_kinds_are_listed_and_harm_no_other(plugin: Plugin, tunebook: Tunebook, tmp_path: Path):
    slow = RECIPE.replace("class ", "import time\ntime.sleep(3)\n\n\nclass ")
    plugin("slow", name="slow", code=slow)
    plugin("later", name="later", code=RECIPE + "    contract = 2\n")
    plugin("torn", name="torn", code=RECIPE + "def\n")
    plugin("pageless", name="pageless", page=None)
    plugin("tabbed", name="tabbed", page="# @package _global_\n# A tab.\nrecipe:\n\tname: tabbed\n")
    plugin("sly", name="sly", page="# No \x1b[2J clearing.\nname: sly\n")  # the codes that clear a screen
    env = plugin("gone", name="gone")
    site = tmp_path / "site_gone"
    (site / "gone").rename(site / "elsewhere")
    (site / "odd-1.dist-info").mkdir()  # no METADATA, and no module
    (site / "odd-1.dist-info" / "entry_points.txt").write_text("[tunebook.recipes]\nodd = no such value\n")
    done = tunebook("list", env=env)
    summary = "Which desk a letter goes to."
    assert listed("slow", done) == [f"slow {summary} (slow 1.2)"]
    later = "! it is written for version 2 of the contract, and this Tunebook has 1"
    assert listed("later", done) == [f"later {summary} (later 1.2) {later}"]
    assert listed("torn", done) == [f"torn {summary} (torn 1.2) ! its code has a syntax error: invalid syntax"]
    assert listed("pageless", done) == ["pageless (pageless 1.2) ! its conf/recipe/pageless.yaml is missing"]
    assert listed("tabbed", done)[0].startswith("tabbed A tab. (tabbed 1.2) ! a page of the config is not valid YAML: ")
    assert listed("sly", done)[0].startswith("sly No [2J clearing. (sly 1.2) ! a page of the config is not valid YAML")
    assert listed("gone", done) == ["gone (gone 1.2) ! there is no package 'gone'"]
    assert listed("odd", done) == ["odd (unknown distribution) ! 'no such value' is not a module"]
    assert tunebook("train", "recipe=review_sentiment", "--cfg", "job", env=env).returncode == 0
    fails(tunebook("show", "later", env=env), "version 2 of the contract", "later 1.2", "upgrade tunebook")
    fails(tunebook("show", "tabbed", env=env), "tabbed.yaml:4", "is not valid YAML", "tabbed 1.2")
    assert not list(tmp_path.glob("site_*/*/imported")), "nobody was imported"


TWO = """from tunebook import TextClassification


class Routing(TextClassification):
    pass


class Other({base}):
    pass
"""


@pytest.mark.parametrize(
    ("base", "marked"), [("TextClassification", True), ("Routing", True), ("dict[str, TextClassification]", False)]
)
def test_a_folder_with_two_recipe_classes_is_marked(base: str, marked: bool, tunebook: Tunebook, tmp_path: Path):
    folder = tmp_path / "recipes" / "routing"
    (folder / "conf" / "recipe").mkdir(parents=True)
    (folder / "recipe.py").write_text(TWO.replace("{base}", base))
    (folder / "conf" / "recipe" / "routing.yaml").write_text(PAGE.replace("{name}", "routing"))
    (line,) = listed("routing", tunebook("list", env={"TUNEBOOK_RECIPES": str(folder)}))
    assert ("! its module defines Routing (line 4) and Other (line 8)" in line) == marked


def test_an_import_that_takes_long_is_named_and_can_be_stopped(plugin: Plugin, tmp_path: Path):
    environment = {**os.environ, **plugin(code="import time\ntime.sleep(60)\n")}
    command = [sys.executable, "-m", "tunebook", "show", "legal_triage"]
    started = time.monotonic()
    with subprocess.Popen(command, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        assert said == "the recipe 'legal_triage' is still being imported (legal_triage 1.2); Ctrl-C stops it\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
        assert process.stderr.read() == "interrupted\n"
    assert time.monotonic() - started < 50, "it was stopped, and did not end by itself"


def test_a_namespace_package_has_its_page_where_its_share_is(plugin: Plugin, monkeypatch: pytest.MonkeyPatch):
    """`company/` of two distributions: the import system finds both, and the page lies in one."""
    env = plugin("first")
    first, second = (Path(env["PYTHONPATH"]).parent / name for name in ("site_first", "site_second"))
    for site in (first, second):
        (site / "company" / "conf" / "recipe").mkdir(parents=True)
    (second / "company" / "conf" / "recipe" / "triage.yaml").write_text(PAGE.replace("{name}", "triage"))
    (second / "company" / "triage.py").write_text("class Triage: contract = 2\n")
    (second / "company-2.dist-info").mkdir()
    (second / "company-2.dist-info" / "entry_points.txt").write_text(
        "[tunebook.recipes]\ntriage = company.triage:Triage\n"
    )
    monkeypatch.syspath_prepend(str(second))
    monkeypatch.syspath_prepend(str(first))
    (found,) = [offer for offer in offers() if offer.name == "triage"]
    assert found.yaml == second / "company" / "conf" / "recipe" / "triage.yaml"
    assert found.source == second / "company" / "triage.py"
    wrong = trouble(found)
    assert wrong is not None and "version 2" in wrong.what


def test_core_names_no_recipe():
    import tunebook

    core = Path(str(tunebook.__file__)).parent
    for file in core.rglob("*.py"):
        code = [line for line in file.read_text(encoding="utf-8").splitlines() if "import" in line]
        assert not any("tunebook.recipes" in line for line in code), file
    code = "import tunebook.cli.main, sys; print([m for m in sys.modules if m.startswith('tunebook.recipes')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/")
    assert done.stdout == "[]\n"
