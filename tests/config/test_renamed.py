"""A renamed key keeps working for a version, wherever it stands, with one line that names the new one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from tests.composing.test_schemas import composed, install
from tests.conftest import Tunebook
from tunebook.composing.command import Command
from tunebook.composing.own import stored_config
from tunebook.config.renamed import RENAMED, renamed_keys, renamed_override, warn_of_new_name
from tunebook.errors import UserError
from tunebook.families.brief_to_text.options import BriefOptions
from tunebook.families.image_classification.options import ImageClassificationConfig
from tunebook.pipeline.prepare import typed
from tunebook.plugins.families import all_families
from tunebook.plugins.options import typed_recipe_options

OLD = ["data.too_long", "evaluation.answers", "recipe.copy", "recipe.points", "recipe.tokenize"]


@pytest.fixture(autouse=True)
def told_anew() -> None:
    """What was told in an earlier test is told again."""
    warn_of_new_name.cache_clear()
    GlobalHydra.instance().clear()


def note(old: str) -> str:
    return f"note: {old} was renamed to {RENAMED[old]}; the next version removes the old name\n"


def test_each_new_name_is_a_key_and_no_old_one_is():
    keys = {
        f"{node}.{option}"
        for family in all_families().values()
        for node in ("data", "evaluation", "recipe", "new_data", "new_evaluation")
        for option in getattr(family, node).__dataclass_fields__
    }
    assert list(RENAMED) == OLD and set(RENAMED.values()) <= keys and not set(OLD) & keys


@pytest.mark.parametrize(
    ("recipe", "typed_", "made"),
    [
        ("review_sentiment", "data.too_long=reject", ("data", "overlength", "reject")),
        ("review_sentiment", "++data.too_long=reject", ("data", "overlength", "reject")),
        ("customer_chat", "evaluation.answers=7", ("evaluation", "max_generations", 7)),
        ("customer_chat", "recipe.tokenize=zh", ("recipe", "bleu_tokenizer", "zh")),
        ("marketing_copy", "recipe.copy=ref", ("recipe", "target_column", "ref")),
        ("medical_diagnosis", "recipe.points={x: sensitivity 0.9}", ("recipe", "operating_points", "sensitivity 0.9")),
    ],
)
def test_what_is_typed(recipe: str, typed_: str, made: tuple[str, str, str], capsys: pytest.CaptureFixture[str]):
    config = OmegaConf.to_container(composed(Command.of("check", [f"recipe={recipe}", typed_])), enum_to_str=True)
    node, name, value = made
    found = config[node][name]
    assert (found["x"] if isinstance(found, dict) else found) == value
    assert capsys.readouterr().err == note(typed_.lstrip("+").partition("=")[0])


def test_an_old_name_has_no_effect_where_the_new_one_has_none():
    with pytest.raises(UserError) as caught:
        composed(Command.of("check", ["recipe=medical_diagnosis", "data.too_long=reject"]))
    assert (caught.value.code, caught.value.where) == ("config.no-effect", "data.too_long")


def test_an_override_is_renamed_only_where_the_new_name_is_known_and_the_old_one_is_not():
    new = {"recipe.target_column", "data.overlength"}
    assert renamed_override("recipe.copy=a=b", new, ()) == "recipe.target_column=a=b"
    assert renamed_override("recipe.copy.x=1", new, ()) == "recipe.target_column.x=1"
    assert renamed_override("~data.too_long", new, ()) == "~data.overlength"
    assert renamed_override("recipe.copyright=x", new, ()) == "recipe.copyright=x"
    assert renamed_override("recipe.copy=x", {*new, "recipe.copy"}, ()) == "recipe.copy=x"  # a recipe's own
    assert renamed_override("recipe.points=x", new, ()) == "recipe.points=x"
    # The recipe's page still has the old name alone: Hydra knows no other.
    assert renamed_override("recipe.copy=x", new, {"recipe.copy"}) == "recipe.copy=x"
    assert renamed_override("recipe.target_column=x", new, {"recipe.copy"}) == "recipe.copy=x"


def test_a_new_name_wins_over_an_old_one_unless_it_is_at_its_default():
    assert renamed_keys("data", {"too_long": 1}, {"overlength"}) == {"overlength": 1}
    assert renamed_keys("data", {"too_long": 1, "overlength": 2}, {"overlength"}) == {"overlength": 2}
    assert renamed_keys("data", {"too_long": 1, "overlength": 2}, {"overlength"}, {"overlength": 2}) == {
        "overlength": 1
    }
    assert renamed_keys("data", {"too_long": 1}, {"too_long", "overlength"}) == {"too_long": 1}
    assert renamed_keys("model", {"too_long": 1}, {"overlength"}) == {"too_long": 1}


def test_the_options_of_a_bundle(capsys: pytest.CaptureFixture[str]):
    made = typed_recipe_options({"name": "x", "copy": "ref", "tokenize": "zh"}, BriefOptions, "x")
    assert (made.target_column, made.bleu_tokenizer) == ("ref", "zh")
    assert capsys.readouterr().err == note("recipe.copy") + note("recipe.tokenize")
    points = {"screening": "sensitivity 0.9"}
    assert (
        typed_recipe_options({"name": "x", "points": points}, ImageClassificationConfig, "x").operating_points == points
    )


def test_the_config_of_a_run(capsys: pytest.CaptureFixture[str]):
    old = {"recipe": {"name": "review_sentiment"}, "data": {"too_long": "reject"}, "evaluation": {"answers": 200}}
    made = stored_config(OmegaConf.create(old))
    assert made.data.overlength.name == "reject" and "answers" not in made.evaluation
    assert capsys.readouterr().err == note("data.too_long")


def test_a_file_of_the_users(tunebook: Tunebook, tmp_path: Path):
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    file = tmp_path / "mine" / "experiment" / "old.yaml"
    file.write_text("# @package _global_\ndata:\n  max_length: 8\n  too_long: error\n")
    chosen = ["check", "recipe=review_sentiment", "--config-dir", str(tmp_path / "mine"), "+experiment=old"]
    done = tunebook(*chosen)
    assert done.returncode == 2 and "train texts are over 8 tokens" in done.stderr, done.stderr
    assert done.stderr.startswith(note("data.too_long")) and done.stderr.count("note:") == 1
    done = tunebook(*chosen, "data.overlength=truncate")
    assert done.returncode == 0, "what is typed wins"


def test_the_page_of_another_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    install(tmp_path / "site")
    page = tmp_path / "site" / "span_family" / "conf" / "recipe" / "find_spans.yaml"
    page.write_text(page.read_text() + "data:\n  too_long: reject\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    config = composed(Command.of("train", ["recipe=find_spans", "run_dir=here"]))
    assert typed(config).data.overlength.name == "reject"
    assert capsys.readouterr().err == note("data.too_long")
