"""A key that has no effect for a recipe does not exist there: composed, refused and shown by the recipe's family."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from tests.conftest import Tunebook
from tunebook.composing.command import BASES, Command, register_schemas
from tunebook.composing.errors import check_keys, explain, is_config_error
from tunebook.composing.own import family_of, own_config, stored_config
from tunebook.composing.schemas import known_keys, own_nodes
from tunebook.composing.search_path import register_search_path
from tunebook.config.schema import TrainConfig
from tunebook.errors import UserError
from tunebook.pipeline.prepare import typed
from tunebook.plugins import find_recipes, load_recipe_class
from tunebook.plugins.families import all_families, family_name

RECIPES = {
    "customer_chat": "text_generation",
    "marketing_copy": "brief_to_text",
    "medical_diagnosis": "image_classification",
    "review_aspects": "text_aspects",
    "review_sentiment": "text_classification",
    "review_topics": "text_labels",
}
SCORED = ("evaluation.subgroups", "evaluation.gap")
# By hand from what each family's code reads, not from the options that are to be tested.
OWN = {
    "text_classification": {
        *("data.text", "data.label", "data.labels", "data.shots", "data.max_length", "data.overlength", "data.pii"),
        *("data.group_by_length", "data.augmentations", "evaluation.zero_shot", "recipe.descriptions"),
        *("data.text_pair", "data.disagreement", "evaluation.suspects", "evaluation.abstain_error"),
        "recipe.calibrate",
        *("data.text_with", "data.text_template", *SCORED),
    },
    "text_aspects": {
        *("data.text", "data.text_pair", "data.text_with", "data.text_template", "data.max_length", "data.overlength"),
        *("data.group_by_length", "recipe.aspects", "recipe.values", "recipe.normalize", "data.pii", *SCORED),
    },
    "text_regression": {
        *("data.text", "data.text_pair", "data.label", "data.max_length", "data.overlength", "data.group_by_length"),
        *("data.text_with", "data.text_template", "data.pii", *SCORED),
    },
    "text_labels": {
        *("data.text", "data.text_pair", "data.label", "data.labels", "data.separator", "data.disagreement"),
        *("data.max_length", "data.overlength", "data.group_by_length", "data.text_with", "data.text_template"),
        *("recipe.topics", "data.pii", *SCORED),
    },
    "image_classification": {
        *("data.image", "data.image_root", "data.augmentations", "data.label", "data.labels", "data.shots"),
        *("data.max_pixels", "evaluation.gap", "evaluation.suspects"),
        *("model.weights", "model.args"),
        *(
            f"recipe.{key}"
            for key in (
                *("findings", "negative", "subgroups", "size", "channels", "fit", "mean", "std", "window", "bits"),
                *("augment", "flip", "rotate", "shift", "zoom", "brightness", "contrast", "imbalance", "focal_gamma"),
                *("calibrate", "operating_points", "point"),
            )
        ),
    },
    "text_generation": {
        *("data.max_length", "data.overlength", "data.group_by_length", "data.pack", "data.format", "data.facts"),
        *("data.pii", "data.context", "data.context_place", "data.distractors"),
        *("model.chat_template", "adapt.quantize", "trainer.gradient_checkpointing"),
        *("evaluation.max_generations", "evaluation.zero_shot", "evaluation.forgetting", *SCORED),
        *("recipe.max_new_tokens", "recipe.lowercase", "recipe.bleu_tokenizer"),
        *("objective.beta", "objective.desirable_weight", "objective.undesirable_weight"),
    },
    "brief_to_text": {
        *("data.max_length", "data.overlength", "data.group_by_length", "data.pack", "model.chat_template", "data.pii"),
        *("adapt.quantize", "trainer.gradient_checkpointing", "evaluation.max_generations", "evaluation.zero_shot"),
        *("recipe.max_new_tokens", "recipe.lowercase", "recipe.bleu_tokenizer", "evaluation.forgetting", *SCORED),
        *(
            f"recipe.{key}"
            for key in (
                *("fields", "brief", "target_column", "must_mention", "must_avoid", "channel"),
                *("max_characters", "max_words", "context"),
                *(
                    "limits",
                    "template",
                    "target_fields",
                    "schema",
                    "decoding",
                    "candidates",
                    "num_beams",
                    "temperature",
                    "top_p",
                ),
            )
        ),
    },
}
EVERY = sorted(set().union(*OWN.values()))
NEW = {
    "text_classification": {
        *("data.text", "data.text_pair", "data.label", "data.disagreement", "evaluation.not_sure"),
        *SCORED,
    },
    "image_classification": {"data.image", "data.image_root", "data.label", "data.subgroups", "evaluation.gap"},
    "text_labels": {"data.text", "data.text_pair", "data.label", "data.separator", "data.disagreement", *SCORED},
    "text_aspects": {"data.text", "data.text_pair", *SCORED},
    "text_generation": {"data.format", "data.facts", "data.context", "evaluation.max_generations", *SCORED},
    "brief_to_text": {"evaluation.max_generations", *SCORED},
}


@pytest.fixture
def clear() -> Iterator[None]:
    yield
    GlobalHydra.instance().clear()


def composed(command: Command) -> DictConfig:
    GlobalHydra.instance().clear()
    register_schemas(command)
    register_search_path(command.overrides, command.recipes)
    try:
        with initialize_config_module("tunebook.conf", version_base="1.3"):
            config = compose(command.verb, overrides=list(command.overrides))
        check_keys(config, command)
        return config
    except Exception as error:
        if is_config_error(error):
            raise explain(error, command) from error
        raise


def test_each_recipe_is_of_the_family_that_its_page_takes_in():
    assert {name: family_name(found) for name, found in find_recipes().items()} == RECIPES
    assert {name: load_recipe_class(name).family.name for name in RECIPES} == RECIPES
    assert set(OWN) == set(all_families())


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_has_the_keys_of_its_family_and_of_no_other(recipe: str):
    chosen = [f"recipe={recipe}"]
    shared = set(known_keys(TrainConfig)) - {"recipe"}
    has = set(known_keys(Command.of("train", chosen).schema)) - {"recipe"}
    assert has - shared == {key for key in OWN[RECIPES[recipe]] if not key.startswith("recipe.")} and shared < has
    options = {f"recipe.{option.name}" for option in fields(all_families()[RECIPES[recipe]].recipe)}
    assert options - {"recipe.name"} == {key for key in OWN[RECIPES[recipe]] if key.startswith("recipe.")}
    new = Command.of("evaluate", bundle_recipe=recipe)
    assert set(known_keys(new.schema)) - set(known_keys(BASES["evaluate"])) == NEW[RECIPES[recipe]]
    compared = set(known_keys(Command.of("compare", chosen).schema))
    assert compared - set(known_keys(BASES["compare"])) == has - shared


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_key_of_another_family_is_refused_and_an_own_one_accepted(recipe: str, clear: None):
    family = RECIPES[recipe]
    plain = Command.of("check", [f"recipe={recipe}"])
    base = composed(plain)
    with initialize_config_module("tunebook.conf", version_base="1.3"):
        for key in EVERY:
            node, name = key.split(".")
            if key in OWN[family]:
                assert name in base[node], f"{key} is not on the page of {recipe}"
                continue
            with pytest.raises(Exception) as raised:
                compose("check", overrides=[*plain.overrides, f"{key}=null"])
            assert is_config_error(raised.value)
            refused = explain(raised.value, plain)
            assert refused.what == f"{key} has no effect for recipe={recipe}."
            having = [other for other in OWN if key in OWN[other]]
            assert refused.where == key and all(other in str(refused.fix) for other in having)
            assert family not in str(refused.fix).replace(key, "")


@pytest.mark.parametrize("written", ["+{}=null", "++{}=1"])
def test_a_plus_brings_no_key_of_another_family(written: str, clear: None):
    for key in ("data.pack", "model.chat_template", "adapt.quantize", "evaluation.max_generations"):
        with pytest.raises(UserError, match=rf"{key} has no effect for recipe=medical_diagnosis"):
            composed(Command.of("check", ["recipe=medical_diagnosis", written.format(key)]))


def test_the_refusal_needs_no_torch():
    code = """
import sys
from tunebook.cli.main import main
try:
    main(["check", "recipe=medical_diagnosis", "data.pack=false", "adapt.quantize=true"])
except SystemExit as end:
    assert end.code == 2, end.code
heavy = {"torch", "lightning", "transformers", "sklearn", "scipy", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        "error: data.pack has no effect for recipe=medical_diagnosis.",
        "  where: data.pack",
        "  fix:   leave data.pack out; recipes of brief_to_text and text_generation have it",
    ]


# A recipe that a file or a sweep chooses is known only when all is composed. -----------------------------------------


def test_a_family_that_is_told_late_has_its_own_keys_and_defaults(clear: None):
    for recipe in RECIPES:
        early = typed(composed(Command.of("train", [f"recipe={recipe}", "run_dir=here"])))
        late = composed(Command("train", [f"recipe={recipe}", "run_dir=here"], find_recipes()))
        assert OmegaConf.is_missing(late.data, "max_length")
        assert typed(late) == early and type(typed(late).data) is type(early.data)


def test_a_key_of_another_family_is_refused_late_even_at_its_default(clear: None):
    late = composed(Command("train", ["recipe=medical_diagnosis", "data.pack=true"], find_recipes()))
    with pytest.raises(UserError, match=r"data.pack has no effect for recipe=medical_diagnosis"):
        typed(late)
    late = composed(Command("train", ["recipe=customer_chat", "data.pack=false"], find_recipes()))
    assert typed(late).data.pack is False


def test_a_value_of_a_wrong_type_is_refused_late(clear: None):
    late = composed(Command("train", ["recipe=customer_chat", "data.pack=perhaps"], find_recipes()))
    with pytest.raises(Exception) as caught:
        typed(late)
    assert is_config_error(caught.value) and "perhaps" in str(caught.value)


def test_a_sweep_over_families_and_an_experiment_file(tunebook: Tunebook, tmp_path: Path):
    done = tunebook("check", "-m", "recipe=review_sentiment,medical_diagnosis", "data.max_length=16")
    assert done.returncode == 2 and "data.max_length has no effect for recipe=medical_diagnosis" in done.stderr
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    page = tmp_path / "mine" / "experiment" / "small.yaml"
    start = "# @package _global_\ndefaults:\n  - override /recipe: medical_diagnosis\n"
    page.write_text(f"{start}data:\n  pack: false\n")
    done = tunebook("check", "--config-dir", str(tmp_path / "mine"), "+experiment=small")
    assert done.returncode == 2 and "data.pack has no effect for recipe=medical_diagnosis" in done.stderr, done.stderr


# What was written before. ---------------------------------------------------------------------------------------------


def old_config(recipe: str) -> DictConfig:
    """The config of a run as it was written when every run had the keys of all families."""
    plain = OmegaConf.to_container(OmegaConf.structured(Command.of("train", [f"recipe={recipe}"]).schema))
    for family in all_families().values():
        for node, kind in own_nodes(TrainConfig, family).items():
            plain[node] = {**OmegaConf.to_container(OmegaConf.structured(kind), enum_to_str=True), **plain[node]}
    return OmegaConf.create({**plain, "recipe": {"name": recipe}, "run_dir": "here"})


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_run_of_an_earlier_version_leaves_out_what_nobody_set(recipe: str):
    old = old_config(recipe)
    assert "pack" in old.data and "image" in old.data and "quantize" in old.adapt
    assert set(stored_config(old).data) == {f.name for f in fields(all_families()[RECIPES[recipe]].data)}


def test_what_was_set_in_a_run_of_an_earlier_version_is_not_left_out():
    old = old_config("medical_diagnosis")
    old.data.pack = False
    with pytest.raises(Exception, match="Key 'pack' not in 'ImageData'"):
        stored_config(old)


# A family from outside. -----------------------------------------------------------------------------------------------

FAMILY = '''
from dataclasses import dataclass, replace

from tunebook.config.schema import FamilyConfig
from tunebook.families.text_classification.family import FAMILY as TEXTS
from tunebook.families.text_classification.options import TextData
from tunebook import TextClassification


@dataclass
class SpanConfig(FamilyConfig):
    """Options of every recipe of spans."""

    longest: int = 3
    """Longest span."""


@dataclass
class SpanData(TextData):
    """Rows with spans."""

    spans: str = "spans"
    """Column that holds the spans."""


FAMILY = replace(TEXTS, name="spans", recipe=SpanConfig, data=SpanData)


class FindSpans(TextClassification):
    """Finds spans."""

    family = FAMILY
    Config = SpanConfig
'''
PAGE = """# @package _global_
# Finds spans.
defaults:
  - /family/spans@recipe
  - _self_
recipe:
  name: find_spans
"""


def install(site: Path, package: str = "span_family") -> dict[str, str]:
    conf = site / package / "conf"
    (conf / "recipe").mkdir(parents=True)
    (conf / "family").mkdir()
    (site / package / "__init__.py").write_text(FAMILY)
    (conf / "recipe" / "find_spans.yaml").write_text(PAGE)
    (conf / "family" / "spans.yaml").write_text("longest: 3\n")
    info = site / f"{package}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
    recipes = f"[tunebook.recipes]\nfind_spans = {package}:FindSpans\n" if package == "span_family" else ""
    (info / "entry_points.txt").write_text(f"{recipes}[tunebook.families]\nspans = {package}:FAMILY\n")
    return {"PYTHONPATH": str(site)}


def test_a_family_of_another_package_brings_its_keys(tunebook: Tunebook, tmp_path: Path):
    env = install(tmp_path / "site")
    done = tunebook("show", "find_spans", env=env)
    assert done.returncode == 0, done.stderr
    assert "data.spans" in done.stdout and "recipe.longest" in done.stdout and "data.image " not in done.stdout
    done = tunebook("check", "recipe=find_spans", "data.spans=where", "recipe.longest=4", "--cfg", "job", env=env)
    assert done.returncode == 0 and "  spans: where\n" in done.stdout and "  longest: 4\n" in done.stdout, done.stderr
    done = tunebook("check", "recipe=find_spans", "data.image=x", env=env)
    assert done.returncode == 2 and "data.image has no effect for recipe=find_spans." in done.stderr
    done = tunebook("check", "recipe=review_sentiment", "data.spans=x", env=env)
    assert done.returncode == 2 and "recipes of spans have it" in done.stderr
    done = tunebook("list", env=env)
    assert done.returncode == 0 and "!" not in done.stdout, done.stdout


def test_a_family_that_two_packages_offer_names_both(tunebook: Tunebook, tmp_path: Path):
    env = install(tmp_path / "site")
    install(tmp_path / "site", "copycat")
    done = tunebook("check", "recipe=find_spans", env=env)
    assert done.returncode == 2
    assert "The family 'spans' is offered by copycat 1.2 and span_family 1.2." in done.stderr, done.stderr
    done = tunebook("list", env=env)
    assert "! the family 'spans' is offered by copycat 1.2 and span_family 1.2" in done.stdout
    assert tunebook("check", "recipe=review_sentiment", "--cfg", "job", env=env).returncode == 0


def test_a_family_that_nobody_offers_is_named(tunebook: Tunebook, tmp_path: Path):
    env = install(tmp_path / "site")
    page = tmp_path / "site" / "span_family" / "conf" / "recipe" / "find_spans.yaml"
    page.write_text(PAGE.replace("/family/spans", "/family/spams"))
    done = tunebook("check", "recipe=find_spans", env=env)
    assert done.returncode == 2 and "There is no family named 'spams'." in done.stderr, done.stderr


def test_the_page_of_a_family_has_its_options_with_their_defaults():
    from tunebook.plugins.families import family_conf

    for name, family in all_families().items():
        folder = family_conf(name)
        assert folder is not None
        page = OmegaConf.load(folder / "family" / f"{name}.yaml")
        usual = OmegaConf.to_container(OmegaConf.structured(family.recipe), enum_to_str=True)
        assert page == {key: value for key, value in usual.items() if key != "name"}


def test_the_bundle_of_a_recipe_is_scored_with_the_keys_of_its_family(clear: None):
    late = composed(Command("evaluate", ["bundle=x", "data.test=y", "data.label=z"], find_recipes()))
    own = own_config(late, "review_sentiment", family_of("review_sentiment"))
    assert OmegaConf.to_object(own).data.label == "z"
    with pytest.raises(UserError, match=r"data.label has no effect for recipe=customer_chat"):
        own_config(late, "customer_chat", family_of("customer_chat"))
