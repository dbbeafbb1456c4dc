"""The command line as a user has it: verbs, help, sweeps, completion, and how little it costs."""

from __future__ import annotations

import dataclasses
import os
import pickle
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Tunebook, write_reviews
from tests.light import said_lightly
from tunebook import __version__
from tunebook.cli.options import field_help, schema_options
from tunebook.composing.command import BASES, Command
from tunebook.composing.schemas import known_keys, nested, of_family
from tunebook.plugins.families import all_families

VERBS = ["list", "show", "check", "train", "compare", "evaluate", "predict", "export", "new", "verify", "chat", "pick"]
FAST = [
    "recipe=review_sentiment",
    "data.label=label",
    "data.max_length=16",
    "trainer=cpu",
    "trainer.progress=false",
    "trainer.max_steps=1",
    "evaluation.resamples=50",
    "logger=csv",
]


def said(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_list_names_each_recipe_with_a_line_and_where_it_comes_from(tunebook: Tunebook):
    lines = [line for line in said(tunebook("list")).splitlines() if line.startswith("review_sentiment ")]
    assert len(lines) == 1
    assert "Sentiment of reviews" in lines[0]
    assert lines[0].endswith(f"(tunebook {__version__})")


def test_show_prints_every_option_with_type_default_and_help(tunebook: Tunebook):
    printed = said(tunebook("show", "review_sentiment"))
    rows = [line.split(maxsplit=1) for line in printed.splitlines() if line and line[0] != " "]
    table = {words[0]: words[1] for words in rows if len(words) == 2}
    for key in [
        *known_keys(Command.of("train", ["recipe=review_sentiment"]).schema),
        "recipe.head",
        "recipe.descriptions",
    ]:
        assert key == "recipe" or key in table, f"{key} is not shown"
    assert table["recipe.head"].split(maxsplit=2)[:2] == ["softmax|ordinal", "softmax"]
    assert table["data.label"].split()[:2] == ["str", "stars"], "the recipe's default, not the schema's"
    assert table["data.batch_size"].split()[:2] == ["int", "32"]
    assert table["seed"].split()[:2] == ["int", "0"]
    assert table["data.group_by_length"].split()[:2] == ["bool", "true"]
    assert table["trainer.max_epochs"].split()[2:5] == ["Passes", "over", "the"]


def all_schemas(schema: type) -> list[type]:
    from typing import get_type_hints

    inner = [i for i in map(nested, get_type_hints(schema).values()) if i]
    return [schema, *(s for i in inner for s in all_schemas(i))]


def test_every_field_of_every_config_has_a_line_of_help():
    from tunebook.plugins import find_recipes, load_recipe_class

    recipes = [load_recipe_class(name).Config for name in find_recipes()]
    bases = [base for verb, base in BASES.items() if verb != "rung"]
    typed = [of_family(base, family) for base in bases for family in all_families().values()]
    for schema in [s for root in (*typed, *recipes) for s in all_schemas(root)]:
        helped = field_help(schema)
        for field in dataclasses.fields(schema):
            if not nested(field.type if isinstance(field.type, type) else None) and "Config" not in str(field.type):
                assert helped.get(field.name, "").strip(), f"{schema.__name__}.{field.name} has no help"


def test_show_tells_where_a_run_goes_unless_it_is_told(tunebook: Tunebook):
    line = next(line for line in said(tunebook("show", "customer_chat")).splitlines() if line.startswith("run_dir"))
    assert "runs/customer_chat/<time>" in line and "(required)" not in line


def test_options_show_zero_as_zero_and_false_as_false():
    @dataclasses.dataclass
    class Options:
        count: int = 0
        flag: bool = False
        one: int = 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tunebook.cli.options.field_help", lambda schema: {})
        patch.setattr("tunebook.cli.options.get_type_hints", lambda schema: {"count": int, "flag": bool, "one": int})
        assert [o.default for o in schema_options(Options)] == ["0", "false", "1"]


@pytest.mark.parametrize("verb", ["check", "train", "compare", "evaluate", "predict", "export", "chat"])
def test_each_verb_explains_itself(verb: str, tunebook: Tunebook):
    printed = said(tunebook(verb, "--help"))
    assert printed.startswith(f"usage: tunebook {verb} ")
    shown = {
        "check": "data.train",
        "train": "optim.lr",
        "compare": "compare.rungs",
        "evaluate": "data.test",
        "predict": "--output",
        "export": ".onnx",
        "chat": "--system",
    }
    assert shown[verb] in printed


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_help_names_every_verb(arguments: list[str], tunebook: Tunebook):
    printed = said(tunebook(*arguments))
    assert all(f"\n  {verb} " in printed or f"\n  {verb}" in printed for verb in VERBS)


def test_version(tunebook: Tunebook):
    assert said(tunebook("--version")) == f"tunebook {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["trian"],
            "There is no verb 'trian'.\n  where: tunebook trian\n  fix:   did you mean `tunebook train`?",
        ),
        (["show"], "`show` takes one recipe."),
        (["show", "review_sentimnt"], "did you mean recipe=review_sentiment?"),
        (["list", "all"], "`list` takes no arguments."),
        (["predict", "nowhere"], "There is no such folder."),
        (["train", "resume=nowhere"], "There is no such folder."),
    ],
)
def test_a_wrong_call_is_one_message(arguments: list[str], message: str, tunebook: Tunebook):
    done = tunebook(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and message in done.stderr and "Traceback" not in done.stderr


def test_cfg_job_prints_the_config_and_runs_nothing(tunebook: Tunebook, tmp_path: Path):
    for arguments in (
        ["recipe=review_sentiment", "optim.lr=0.5", "--cfg", "job"],
        ["--cfg", "job", "optim.lr=0.5", "recipe=review_sentiment"],
    ):
        printed = said(tunebook("train", *arguments))
        assert "  lr: 0.5\n" in printed and "name: review_sentiment" in printed
    assert list((tmp_path / "work").iterdir()) == []


def test_check_leaves_nothing_behind(tunebook: Tunebook, tmp_path: Path):
    rows = write_reviews(tmp_path / "rows.csv", 40)
    done = tunebook("check", "recipe=review_sentiment", "data.label=label", f"data.train={rows}")
    assert said(done).endswith("ready to train\n")
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.parametrize("flag", ["--experimental-rerun", "--exp"])
def test_no_pickle_is_read_back(flag: str, tunebook: Tunebook, tmp_path: Path):
    class Writes:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "pwned"),)

    (tmp_path / "job.pickle").write_bytes(pickle.dumps(Writes()))
    done = tunebook("train", "recipe=review_sentiment", f"{flag}={tmp_path / 'job.pickle'}")
    assert done.returncode == 2 and "a pickle can run any code" in done.stderr
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("call", ["show review_sentiment", "train --info plugins", "check --hydra-help"])
def test_a_reader_that_leaves_early_is_no_error(call: str, tmp_path: Path):
    # Nobody reads from the start, so that it does not depend on who is faster.
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "tunebook", *call.split()]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, cwd=tmp_path, timeout=120)
    os.close(write)
    # What logging writes it gives up on by itself, and the command goes on to its end.
    assert done.stderr == "" and done.returncode in ((0, 141) if "--info" in call else (141,))


SAMPLE = Path(__file__).parents[2] / "recipes/review_sentiment/samples/test.csv"
LIGHT = {
    "list": ["list"],
    "help": ["--help"],
    "verb help": ["train", "--help"],
    "typo": ["train", "recipe=review_sentiment", "optim.lrr=1"],
    "unknown recipe": ["train", "recipe=nothing"],
    "typo of a comparison": ["compare", "recipe=review_sentiment", "compare.seed=1"],
    "wrong type": ["train", "recipe=review_sentiment", "optim.lr=high"],
    "unknown optimizer": ["train", "recipe=review_sentiment", "optim.name=sdg"],
    "unknown schedule": ["train", "recipe=review_sentiment", "optim.schedule=cosin"],
    "option of another optimizer": ["train", "recipe=review_sentiment", "optim.momentum=0.9"],
    "unknown callback": ["train", "recipe=review_sentiment", "trainer.callbacks=[lr_monitor]"],
    "help of predict": ["predict", "--help"],
    "help of chat": ["chat", "--help"],
    "unknown bundle": ["predict", "nowhere"],
    "wrong output": ["export", "nowhere", "-o", "model.pt"],
    "unknown run": ["train", "resume=nowhere"],
    "ladder without a rung": ["compare", "recipe=review_sentiment", "compare.rungs=[]"],
    "added key": ["train", "recipe=review_sentiment", "+optim.lrr=1"],
    "missing rows": ["train", "recipe=review_sentiment", "data.train=nowhere.csv"],
    "missing column": ["train", "recipe=medical_diagnosis", f"data.train={SAMPLE}"],
    "missing column of a check": ["check", "recipe=medical_diagnosis", f"data.train={SAMPLE}"],
}


@pytest.mark.parametrize("call", LIGHT)
def test_light_verbs_and_typos_import_nothing_heavy(call: str, tmp_path: Path):
    said_lightly(tmp_path, *LIGHT[call])


def cpu_seconds(command: list[str], folder: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, capture_output=True, cwd=folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


@pytest.mark.parametrize("call", ["list", "help", "typo"])
def test_light_verbs_and_typos_cost_little_more_than_hydra_itself(call: str, tmp_path: Path):
    ours, hydra = [], []
    for _ in range(5):  # taking turns, so that a busy machine slows both
        hydra.append(cpu_seconds([sys.executable, "-c", "import hydra"], tmp_path))
        ours.append(cpu_seconds([sys.executable, "-m", "tunebook", *LIGHT[call]], tmp_path))
    assert min(ours) <= 2.75 * min(hydra)  # the least is what other work on the machine disturbs least
