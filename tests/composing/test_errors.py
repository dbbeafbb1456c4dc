"""Mistakes in a config: one message that names the key, the nearest known one and how to see all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra

from tests.conftest import Tunebook, write_reviews
from tunebook.composing.command import Command, register_schemas
from tunebook.composing.errors import ELSEWHERE, check_keys, explain, is_config_error
from tunebook.composing.schemas import known_keys, of_all
from tunebook.composing.search_path import register_search_path
from tunebook.config.schema import Leaks, TrainConfig
from tunebook.errors import UserError
from tunebook.pipeline.prepare import absolute_paths, prepare, typed
from tunebook.plugins.families import all_families


def composed(*overrides: str, verb: str = "train") -> Any:
    """What the command line composes, with the same checks."""
    GlobalHydra.instance().clear()
    command = Command.of(verb, overrides)
    register_schemas(command)
    register_search_path()
    try:
        with initialize_config_module("tunebook.conf", version_base="1.3"):
            config = compose(verb, overrides=list(overrides))
        check_keys(config, command)
        return config
    except Exception as error:
        if is_config_error(error):
            raise explain(error, command) from error
        raise


def refusal(*overrides: str, verb: str = "train") -> UserError:
    with pytest.raises(UserError) as caught:
        config = composed(*overrides, verb=verb)
        try:
            made = typed(config)
        except Exception as error:
            if is_config_error(error):
                raise explain(error, Command.of(verb, overrides)) from error
            raise
        prepare(made, Path("/nonexistent/rejects.jsonl"))
    return caught.value


def message(*overrides: str, verb: str = "train") -> str:
    return refusal(*overrides, verb=verb).message()


SEE_ALL = "`tunebook show review_sentiment` shows all keys"

MISTAKES = {  # override -> code, and phrases: the key, the hint, words that no other line looks at
    "optim.lrr=1": ["config.unknown-key", "There is no config key 'optim.lrr'.", "did you mean optim.lr?", SEE_ALL],
    "lr=1": ["config.unknown-key", "'lr'", "did you mean optim.lr?", SEE_ALL],
    "epochs=1": ["config.unknown-key", "'epochs'", SEE_ALL],
    "optim.lr.x=1": ["config.wrong-type", "optim.lr", SEE_ALL],
    "data.batch-size=3": ["config.unknown-key", "'data.batch-size'", "did you mean data.batch_size?"],
    "optim.lr=high": [
        "config.wrong-type",
        "Wrong value for 'optim.lr': Value 'high' of type 'str' is no Float.",
        "where: optim.lr",
        SEE_ALL,
    ],
    "optim.lr=": ["config.wrong-type", "'optim.lr'"],
    "data.batch_size=1.5": ["config.wrong-type", "'data.batch_size'", "is no Integer"],
    "model.name=null": ["config.wrong-type", "'model.name'"],
    "data.labels=good": ["config.wrong-type", "'data.labels'", "not a list", "write data.labels=[good]; "],
    "optim=3": ["config.wrong-type", "'optim'"],
    "logger.names=csv": ["config.wrong-type", "str is not a list", "write logger.names=[csv]; "],
    "data.leaks=ignore": ["config.wrong-type", "'data.leaks'", "expected one of [error, drop, allow]"],
    "logger.names=[cvs]": [
        "config.wrong-type",
        "'logger.names[0]'",
        "expected one of [csv, tensorboard, wandb, mlflow]",
        "did you mean csv?",
    ],
    "optim.lr=${optim.lrr}": ["config.wrong-type", "'optim.lr'", "Interpolation key 'optim.lrr' not found"],
    "+optim.lrr=1": ["config.unknown-key", "'optim.lrr'", "did you mean optim.lr?"],
    "++optim.lrr=1": ["config.unknown-key", "'optim.lrr'", "did you mean optim.lr?"],
    "+lernrate=1": ["config.unknown-key", "'lernrate'", SEE_ALL],
    "+data.deep.down=1": ["config.unknown-key", "'data.deep'"],
    "~optim.lr": ["config.deleted-key", "'optim.lr' cannot be deleted", "where: ~optim.lr"],
    "~optim": ["config.deleted-key", "'optim' cannot be deleted"],
    "+adapt=lora": [
        "config.bad-override",
        "The group 'adapt' already has an option.",
        "where: +adapt=lora",
        "leave out the plus: adapt=lora",
    ],
    "adapt=lorra": [
        "config.unknown-option",
        "There is no option 'lorra' of the group 'adapt'.",
        "did you mean adapt=lora?",
        "full, head, lora",
    ],
    "trainer=tpu": ["config.unknown-option", "'tpu'", "auto, cpu, ddp, fsdp, gpu"],
    "model=sentence-transformers/all-MiniLM-L6-v2": [
        "config.unknown-option",
        "'sentence-transformers/all-MiniLM-L6-v2'",
        "write model.name=sentence-transformers/all-MiniLM-L6-v2",
    ],
    "model=./my_model": ["config.unknown-option", "write model.name=./my_model"],
    "hydra/launcher=slurm": ["config.unknown-option", "'slurm'"],
    "optim.lr": ["config.bad-override", "The override 'optim.lr' cannot be read.", "key=value, without spaces"],
    "data.labels=[a": ["config.bad-override", "The override 'data.labels=[a' cannot be read."],
    "seed=1,2": ["config.bad-override", "'seed=1,2' has several values.", "-m runs once for each"],
    "recipe.hed=softmax": ["config.unknown-key", "'recipe.hed'", "did you mean recipe.head?", SEE_ALL],
    "+recipe.hed=softmax": ["config.unknown-key", "'hed'", "where: recipe.hed", "did you mean recipe.head?", SEE_ALL],
    "recipe.head=logits": ["config.wrong-type", "recipe.head", "expected one of [softmax, ordinal]", SEE_ALL],
    "recipe.head=ordinl": ["config.wrong-type", "recipe.head", "did you mean ordinal?", SEE_ALL],
    "recipe.descriptions=good": ["config.wrong-type", "where: recipe.descriptions", SEE_ALL],
    "data.batch_size=0": [
        "config.out-of-range",
        "data.batch_size must be at least 1, not 0.",
        "where: data.batch_size",
    ],
    "trainer.max_epochs=-1": ["config.out-of-range", "trainer.max_epochs must be at least 1"],
    "optim.lr=-1": ["config.out-of-range", "optim.lr must be from 1e-12 to 10"],
    "optim.lr=nan": ["config.out-of-range", "optim.lr must be from 1e-12 to 10"],
    "optim.warmup=1.5": ["config.out-of-range", "optim.warmup must be from 0 to 1, not 1.5."],
    "evaluation.confidence=95": ["config.out-of-range", "evaluation.confidence must be from 0.5 to 0.9999"],
    "model.dropout=1": ["config.out-of-range", "model.dropout must be from 0 to 0.99"],
    "optim.name=sdg": ["config.unknown-choice", "where: optim.name=sdg", "did you mean sgd?"],
    "optim.schedule=cosin": ["config.unknown-choice", "did you mean cosine?"],
    "optim.momentum=0.9": ["config.no-effect", "optim.momentum has no effect for optim.name=adamw."],
    "optim.args={amsgrat: true}": ["config.unknown-key", "did you mean amsgrad?"],
}


@pytest.mark.parametrize("override", MISTAKES)
def test_a_mistake_names_the_key_and_how_to_mend_it(override: str):
    code, *phrases = MISTAKES[override]
    error = refusal("recipe=review_sentiment", override)
    told = error.message()
    assert error.code == code, told
    for phrase in phrases:
        assert phrase in told, told
    assert "\n  where: " in told


def test_rungs_are_near_and_lists_have_brackets():
    chosen = "recipe=review_sentiment"
    assert "did you mean majority?" in message(chosen, "compare.rungs=[full,magority]", verb="compare")
    assert "write compare.rungs=[majority]; " in message(chosen, "compare.rungs=majority", verb="compare")
    assert "write compare.shots=[4]; " in message(chosen, "compare.shots=4", verb="compare")
    assert "write recipe.subgroups=[site]; " in message("recipe=medical_diagnosis", "recipe.subgroups=site")


def test_an_unknown_recipe_and_a_missing_one():
    told = message("recipe=review_sentimental")
    assert "There is no recipe named 'review_sentimental'." in told
    assert "did you mean recipe=review_sentiment? `tunebook list` shows all recipes" in told
    told = message()
    assert "No recipe was chosen." in told and "review_sentiment" in told and "recipe=<name>" in told


def test_evaluate_has_its_own_keys():
    told = message("bundle=x", "data.tests=y", verb="evaluate")
    assert "did you mean data.test?" in told and "`tunebook evaluate --help` shows all keys" in told
    assert "There is no config key 'optim.lr'" in message("bundle=x", "data.test=y", "optim.lr=1", verb="evaluate")


def test_the_recipe_speaks_before_the_schema_and_the_command_line_last():
    config = typed(composed("recipe=review_sentiment"))
    assert isinstance(config, TrainConfig)
    assert config.data.label == "stars" and config.data.leaks is Leaks.error
    assert typed(composed("recipe=review_sentiment", "data.label=mine")).data.label == "mine"


def test_group_options_set_what_they_need_and_overrides_win_over_them():
    config = typed(composed("recipe=review_sentiment", "adapt=lora"))
    assert (config.adapt.method.name, config.optim.lr) == ("lora", None)
    assert typed(composed("recipe=review_sentiment", "adapt=lora", "optim.lr=3e-4")).optim.lr == 3e-4


def test_paths_of_rows_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    config = absolute_paths(TrainConfig(recipe={"name": "x"}), {})
    config.data.train, config.data.test = ["a.csv", "b/*.csv"], "~/c.csv"
    absolute_paths(config, {})
    assert config.data.train == [str(tmp_path / "a.csv"), str(tmp_path / "b/*.csv")]
    assert config.data.test == str(Path("~/c.csv").expanduser()) and config.data.validation is None


# No config, override or file read back can name something to call.

PAYLOADS = [
    ["+recipe._target_=os.system", "+recipe.command='touch pwned'"],
    ["++recipe={_target_:os.system,command:'touch pwned'}"],
    ["model._target_=os.system"],
    ["+model._target_=os.system", "+model.command='touch pwned'"],
    ["model.name={_target_:os.system,command:'touch pwned'}"],
    ["data.train={_target_:os.system,command:'touch pwned'}"],
    ["+optim={_target_:os.system,command:'touch pwned'}"],
    ["+_target_=os.system", "+command='touch pwned'"],
    ["recipe.descriptions={_target_:os.system,command:'touch pwned'}"],
    ["seed=${oc.create:{_target_:os.system,command:'touch pwned'}}"],
]


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: payload[0])
def test_no_override_can_name_a_callable(payload: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    rows = write_reviews(tmp_path / "rows.csv", 40)
    given = [] if payload[0].startswith("data.train") else [f"data.train={rows}"]
    overrides = [
        "recipe=review_sentiment",
        "data.label=label",
        f"data.cache_dir={tmp_path / 'cache'}",
        *given,
        *payload,
    ]
    try:
        prepare(typed(composed(*overrides)), tmp_path / "rejects.jsonl")
    except UserError as error:
        refused: Exception | None = error
    except Exception as error:
        assert is_config_error(error)
        refused = error
    else:
        refused = None
    assert not (tmp_path / "pwned").exists()
    # Descriptions are texts by label: there a "_target_" is a label like any other, and is never called.
    assert refused is not None or payload[0].startswith("recipe.descriptions")


def planted_run(folder: Path, key: str) -> None:
    """A run folder whose config names a callable."""
    config: dict[str, Any] = {"recipe": {"name": "review_sentiment"}, "run_dir": str(folder)}
    config["model"] = {"name": "starter_text"}
    node = config.setdefault(key, {}) if key else config
    node.update({"_target_": "os.system", "command": f"touch {folder / 'pwned'}"})
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


@pytest.mark.parametrize("key", ["", "recipe", "model", "data", "trainer"])
def test_no_config_of_a_run_can_name_a_callable(key: str, tmp_path: Path, tunebook: Tunebook):
    run = tmp_path / "run"
    planted_run(run, key)
    done = tunebook("train", f"resume={run}")
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert "_target_" in done.stderr or "command" in done.stderr
    assert not (run / "pwned").exists()


def test_a_yaml_tag_in_the_config_of_a_run_builds_no_object(tmp_path: Path, tunebook: Tunebook):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text(f"seed: !!python/object/apply:os.system ['touch {run}/pwned']\n")
    done = tunebook("train", f"resume={run}")
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert not (run / "pwned").exists()


def test_no_source_file_instantiates_by_name():
    """Hydra's `instantiate` and its kin are what a named callable would need."""
    import tunebook

    core = Path(str(tunebook.__file__)).parent
    for file in core.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        for risky in (
            "instantiate(",
            "get_class(",
            "get_method(",
            "pickle.load",
            "weights_only=False",
            "yaml.load(",
        ):
            assert risky not in text, f"{risky} in {file}"


def test_other_tools_names_lead_to_keys_that_exist():
    every = of_all(TrainConfig, tuple(all_families().values()))
    assert set(ELSEWHERE.values()) <= set(known_keys(every))
