"""What README and docs say is so: their commands compose, their keys, files and links exist."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator
from dataclasses import fields
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import pytest

import tunebook
from tests.conftest import Tunebook, write_reviews
from tunebook.composing.command import BASES, Command, register_schemas
from tunebook.composing.overrides import readable
from tunebook.composing.own import family_of, own_config
from tunebook.composing.schemas import known_keys
from tunebook.composing.search_path import register_search_path
from tunebook.config.renamed import RENAMED
from tunebook.families.text_generation.completion import Completion
from tunebook.families.text_generation.data.message import Message
from tunebook.plugins import find_recipes, load_recipe_class
from tunebook.plugins.options import typed_recipe_options
from tunebook.testing import CHECKS as CHECKS_OF_RECIPES

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
GROUPS = ("data", "model", "adapt", "objective", "optim", "trainer", "logger", "evaluation", "compare", "recipe")
# The plugins that write-a-recipe.md and write-a-family.md speak of, those in docs/examples/, and the one in
# pretraining/; tests of their own install them.
OTHER_RECIPES = {
    "intent_routing",
    "local_news",
    "pretrain_text",
    "pretrain_image",
    "rating",
    "aspect_sentiment",
    "ticket_routing",
    "ultrasound_triage",
}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)


def commands() -> Iterator[tuple[str, str]]:
    """Every console command with the page it stands on; each side of a pipe by itself."""
    for page in PAGES:
        for block in blocks(page, "console"):
            for line in block.splitlines():
                assert line.startswith("$ "), f"{page.name}: a console block holds commands only: {line}"
                for part in split_pipe(line[2:]):
                    yield page.name, part


def split_pipe(line: str) -> list[str]:
    words = shlex.split(line, comments=True)
    parts: list[list[str]] = [[]]
    for word in words:
        if word == "|":
            parts.append([])
        elif word == ">":
            break
        else:
            parts[-1].append(word)
    return [shlex.join(part) for part in parts]


@pytest.fixture(scope="module", autouse=True)
def hydra() -> Iterator[None]:
    """Hydra set up as the command line does it."""
    from hydra import initialize_config_module

    register_schemas()
    register_search_path()
    with initialize_config_module("tunebook.conf", version_base="1.3"):
        yield


def compose_jobs(verb: str, arguments: list[str]) -> list[Any]:
    """The configs that a command stands for, one a job, as `--cfg job` would compose them."""
    from hydra import compose
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import OmegaConf

    overrides = [readable(a) for a in arguments if "=" in a]
    flags = [a for a in arguments if "=" not in a and a not in ("-m", "--cfg", "job")]
    assert not flags, f"not an option of Hydra that the docs use: {flags}"
    jobs = [overrides]
    if "-m" in arguments:
        parsed = OverridesParser.create().parse_overrides(overrides)
        jobs = [job for batch in BasicSweeper.split_arguments(parsed, None) for job in batch]
        assert len(jobs) > 1, "-m sweeps over nothing"
    made = [compose(verb, ["run_dir=here", *job]) for job in jobs]
    if verb == "evaluate":
        return made
    names = [str(config.recipe.name) for config in made]
    return [
        OmegaConf.to_object(own_config(config, name, family_of(name))) for config, name in zip(made, names, strict=True)
    ]


def check_composing(verb: str, arguments: list[str]) -> None:
    if any(a.startswith("resume=") for a in arguments):
        assert len(arguments) == 1, "nothing else can be given with resume="
        return
    if "optim.learning_rate=1e-4" in arguments:  # shown as a mistake
        return
    if "--config-dir" in arguments:  # which has a test of its own
        return
    named = {a.split("=", 1)[1] for a in arguments if a.startswith("recipe=")}
    if named & OTHER_RECIPES:
        return
    for config in compose_jobs(verb, arguments):
        if verb != "evaluate":
            name = config.recipe["name"]
            typed_recipe_options(config.recipe, load_recipe_class(name).Config, name)


def check_tunebook(arguments: list[str]) -> None:
    from tunebook.cli.predict import _parser

    verb, rest = arguments[0], arguments[1:]
    if verb in ("train", "check", "compare", "evaluate"):
        check_composing(verb, rest)
    elif verb == "predict":
        _parser().parse_args(rest)
    elif verb == "pick":
        from tunebook.cli.pick import _parser as pick_parser

        pick_parser().parse_args(rest)
    elif verb == "chat":
        from tunebook.cli.chat import _parser as chat_parser

        chat_parser().parse_args(rest)
    elif verb == "export":
        from tunebook.cli.export import _parser as export_parser

        export_parser().parse_args(rest)
    elif verb == "verify":
        from tunebook.cli.verify import _parser as verify_parser

        (name,) = verify_parser().parse_args([word for word in rest if "=" not in word]).names
        assert name in {*find_recipes(), *OTHER_RECIPES}
    elif verb == "new":
        from tunebook.cli.new import _parser as new_parser
        from tunebook.new_recipe.write import FAMILIES

        assert new_parser().parse_args(rest).family in FAMILIES
    elif verb == "show":
        assert rest[0] in find_recipes()
    else:
        assert arguments in (["list"], ["-sc", "install=bash"])


def check_make(arguments: list[str]) -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    assert set(arguments) <= set(targets)


def check_pip(arguments: list[str]) -> None:
    known = metadata("tunebook").get_all("Provides-Extra") or []
    assert set(re.findall(r"\[(\w+)\]", " ".join(arguments))) <= set(known)


def check_pytest(arguments: list[str]) -> None:
    for path in (a for a in arguments if a.startswith("tests")):
        assert (ROOT / path).exists()


def check_torchrun(arguments: list[str]) -> None:
    processes, module, name, *rest = arguments
    assert (processes.split("=")[0], module, name) == ("--nproc-per-node", "-m", "tunebook")
    check_tunebook(rest)


def check_transformers(arguments: list[str]) -> None:
    """Tests of `transformers serve` are in tests/families/text_generation/test_serving.py."""
    assert arguments[0] == "serve"


def nothing_to_check(arguments: list[str]) -> None:
    """A command of the system, with nothing of ours in it."""


CHECKS: dict[str, Callable[[list[str]], None]] = {
    "tunebook": check_tunebook,
    "torchrun": check_torchrun,
    "make": check_make,
    "pip": check_pip,
    "pytest": check_pytest,
    "transformers": check_transformers,
    **dict.fromkeys(
        [".", "cat", "cd", "echo", "eval", "export", "llama-server", "pre-commit", "python3", "tensorboard", "twine"],
        nothing_to_check,
    ),
}


@pytest.mark.parametrize(("page", "command"), list(dict.fromkeys(commands())))
def test_every_command_in_the_docs_is_one_that_works(page: str, command: str) -> None:
    program, *arguments = shlex.split(command)
    CHECKS[program](arguments)


def test_the_extras_in_running_text_exist() -> None:
    for page in PAGES:
        for argument in re.findall(r'"?(?:tunebook|\.)\[(\w+)\]', page.read_text(encoding="utf-8")):
            check_pip([f"[{argument}]"])


def all_keys() -> set[str]:
    keys = {key for verb in BASES if verb != "rung" for key in known_keys(Command(verb, (), {}).schema)} - set(RENAMED)
    for name in find_recipes():
        keys |= {f"recipe.{option.name}" for option in fields(load_recipe_class(name).Config)}
    return keys


def test_every_config_key_that_the_docs_name_exists() -> None:
    known = all_keys() | {
        "recipe.shortest",
        "recipe.entities",
        "recipe.miss_cost",
        "recipe.metrics",
    }  # of the plugins in docs
    pattern = rf"(?<![\w./])({'|'.join(GROUPS)})\.([a-z_0-9]+)(?![\w(/-])"  # data.missing-column is an error's code
    for page in PAGES:
        named = {
            f"{group}.{key}"
            for group, key in re.findall(pattern, page.read_text(encoding="utf-8"))
            if key not in ("py", "yaml", "md", "json", "onnx", "gguf", "safetensors", "learning_rate")
        }
        if page.name == "errors.md":  # codes are written like keys
            named -= set(re.findall(r"^\| `([a-z_]+\.[a-z_-]+)` ", page.read_text(encoding="utf-8"), re.M))
        # The log of changes names keys by what they were called too.
        named -= set(RENAMED) if page.name in ("CHANGELOG.md", "configuration.md") else set()
        assert named <= known, f"{page.name}: {sorted(named - known)}"


def test_every_config_key_is_explained_in_the_docs() -> None:
    guide = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").rglob("*.md"))
    keys = all_keys() - {"recipe", "recipe.name", "resume", "bundle"}
    missing = sorted(key for key in keys if f"`{key}" not in guide)
    assert not missing, f"docs/ says nothing of {missing}"


def test_every_group_option_stands_in_the_docs() -> None:
    guide = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    for path in (ROOT / "conf").glob("*/*.yaml"):
        if path.parent.name not in ("recipe", "family"):
            assert f"`{path.stem}`" in guide, f"docs/configuration.md: {path.parent.name}={path.stem}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_file_names_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        assert target.startswith("https://") or (page.parent / target).exists(), target
    for path in re.findall(r"(?<![\w/.(])((?:core|conf|recipes|tests)/[\w/]+\.\w+)", text):
        beside = page.parent if "examples" in page.parts else ROOT / "docs/examples/entity_tagging/entity_tagging"
        assert (ROOT / path).exists() or (beside / path).exists() or "intent_routing" in path, path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_are_python(page: Path) -> None:
    for block in blocks(page, "python"):
        ast.parse(block)


def test_readme_from_rows_to_labels(tunebook: Tunebook, tmp_path: Path) -> None:
    """The first command of the README, then those that need its run, on small rows and for two steps."""
    work = tmp_path / "work"
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    first = next(c for p, c in commands() if p == "README.md")
    assert first.startswith("tunebook train recipe=review_sentiment data.train=reviews.csv") and first in text
    write_reviews(work / "reviews.csv", 40, labels=("1", "5"))
    content = (work / "reviews.csv").read_text(encoding="utf-8").replace("text,label", "review,stars", 1)
    (work / "reviews.csv").write_text(content, encoding="utf-8")
    (work / "new_reviews.csv").write_text(content, encoding="utf-8")
    small = ["model=starter_text", "trainer=cpu", "trainer.max_steps=2", "run_dir=runs/first"]
    arguments = [a for a in shlex.split(first)[1:] if not a.startswith("model=")]

    done = tunebook(*arguments, *small)
    assert done.returncode == 0, done.stderr
    files = re.findall(r"^\| (`.*?) \|", text, re.M)
    for name in re.findall(r"`([\w.]+)/?`", " ".join(files)):
        assert (work / "runs/first" / name).exists() or name in (
            "rejects.jsonl",
            "losses.csv",
            "suspects.csv",
        )  # of some runs

    done = tunebook("predict", "runs/first", "new_reviews.csv", "-o", "labelled.csv")
    assert done.returncode == 0, done.stderr
    assert len((work / "labelled.csv").read_text(encoding="utf-8").splitlines()) == 41


def test_the_error_in_the_user_guide_is_the_error(tunebook: Tunebook) -> None:
    page = ROOT / "docs/index.md"
    command = next(c for p, c in commands() if p == "index.md" and "learning_rate" in c)
    shown = next(block for block in blocks(page, "") if block.startswith("error:"))
    done = tunebook(*shlex.split(command)[1:])
    assert (done.returncode, done.stderr) == (2, shown)


def test_the_experiment_of_the_guide_is_composed_and_weaker_than_the_command_line(
    tunebook: Tunebook, tmp_path: Path
) -> None:
    (block,) = blocks(ROOT / "docs/configuration.md", "yaml")
    name, content = block.removeprefix("# ").split("\n", 1)
    file = tmp_path / "work" / name
    file.parent.mkdir(parents=True)
    file.write_text(content, encoding="utf-8")
    typed = [shlex.split(c)[1:] for p, c in commands() if p == "configuration.md" and "+experiment=" in c]
    checked, trained, swept = typed
    shown = [tunebook(*arguments, "--cfg", "job") for arguments in (checked, trained)]
    for done in shown:
        assert done.returncode == 0, done.stderr
        assert all(
            line in done.stdout for line in ("  name: review_sentiment\n", "  lr: 5.0e-05\n", "  method: lora\n")
        )
    assert ["\nseed: 0\n" in shown[0].stdout, "\nseed: 1\n" in shown[1].stdout] == [True, True]
    done = tunebook(*checked, "optim.lr=0.1", "model=starter_text", "--cfg", "job")
    assert "  lr: 0.1\n" in done.stdout and "starter_text" in done.stdout and "distilbert" not in done.stdout

    file.with_name("quick.yaml").write_text("# @package _global_\noptim: {learning_rate: 1}\n", encoding="utf-8")
    refused = tunebook("check", "--config-dir", "settings", "recipe=review_sentiment", "+experiment=quick")
    assert refused.returncode == 2 and "There is no config key 'optim.learning_rate'" in refused.stderr
    assert "-m" in swept and "+experiment=careful,quick" in swept
    file.with_name("quick.yaml").write_text(content.replace("5e-5", "5e-4"), encoding="utf-8")
    write_reviews(tmp_path / "work" / "reviews.csv", 60, labels=("1", "5"))
    rows = tmp_path / "work" / "reviews.csv"
    rows.write_text(rows.read_text(encoding="utf-8").replace("text,label", "text,stars", 1), encoding="utf-8")
    done = tunebook("check", *swept[1:-1], "model=starter_text")
    assert done.returncode == 0, done.stderr
    assert [line.split()[:3] for line in done.stdout.splitlines()[-2:]] == [
        ["0", "+experiment=careful", "finished"],
        ["1", "+experiment=quick", "finished"],
    ]


def test_the_recipe_of_the_guide_is_made_checks_rows_and_is_sound(tunebook: Tunebook, tmp_path: Path) -> None:
    page, work, project = ROOT / "docs/write-a-recipe.md", tmp_path / "work", tmp_path / "work" / "intent-routing"
    (made,) = [command for name, command in commands() if name == page.name and command.startswith("tunebook new")]
    assert tunebook(*shlex.split(made)[1:]).returncode == 0
    for block in [*blocks(page, "python"), *blocks(page, "yaml")]:
        name, content = block.removeprefix("# ").split("\n", 1)
        if name.startswith("intent_routing/"):
            (project / name).write_text(content, encoding="utf-8")
    for file in (project / "intent_routing/samples").iterdir():
        file.write_text(file.read_text(encoding="utf-8").replace("text,label", "text,category", 1), encoding="utf-8")
    # As `pip install -e .` would leave it; tests/plugins/test_installed.py has pip do it.
    info = project / "intent_routing-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: intent-routing\nVersion: 0.1.0\n")
    (point,) = re.findall(r'^intent_routing = "(.*)"$', (project / "pyproject.toml").read_text(), re.M)
    (info / "entry_points.txt").write_text(f"[tunebook.recipes]\nintent_routing = {point}\n")
    environment = {"PYTHONPATH": str(project)}
    rows = write_reviews(work / "messages.csv", 40, labels=("card_arrival", "lost_card"))
    content = rows.read_text(encoding="utf-8").replace("text,label", "text,category", 1)
    rows.write_text(content + "Card,lost_card\n", encoding="utf-8")

    listed = tunebook("list", env=environment).stdout
    assert re.search(r"intent_routing +Sorts what customers write .* by intent\.  \(intent-routing 0\.1\.0\)\n", listed)
    refused = tunebook("check", "recipe=intent_routing", "data.train=messages.csv", env=environment)
    assert refused.returncode == 2
    assert "messages.csv:42 the row has 1 words, fewer than recipe.shortest" in refused.stderr
    given = ["data.train=messages.csv", "recipe.shortest=1"]
    checked = tunebook("check", "recipe=intent_routing", *given, env=environment)
    assert checked.returncode == 0, checked.stderr
    assert "ready to train" in checked.stdout
    verified = tunebook("verify", "intent_routing", env=environment)
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_the_methods_that_the_guide_shows_for_answers_do_what_it_says() -> None:
    given = [b for b in blocks(ROOT / "docs/write-a-recipe.md", "py") if b.startswith(("def measures", "@property"))]
    assert len(given) == 2
    indented = textwrap.indent("\n".join(given), "    ")
    known: dict[str, Any] = {"TextGeneration": tunebook.TextGeneration, "Any": Any}
    code = f"from collections.abc import Iterator, Sequence\nclass HelpDesk(TextGeneration):\n{indented}"
    exec(code, known)
    recipe = known["HelpDesk"](tunebook.TextGenerationConfig(name="help_desk"))
    completions = [[Completion("Thank you!")], [Completion("A refund is on its way.")]]
    assert recipe.measures(None, [0, 1], completions, None)["thanks"].value() == 0.5
    prompts = [[Message("user", "Where is it?")]] * 2
    assert recipe.answer_columns == ["prompt", "answer", "promises"]
    assert [cells[2] for cells in recipe.answers(None, prompts, completions)] == ["no", "yes"]


def test_the_training_loop_of_the_guide_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = blocks(ROOT / "docs/python.md", "python")
    assert len([line for line in code.splitlines() if line]) <= 40
    monkeypatch.chdir(tmp_path)
    known: dict[str, Any] = {"__name__": "example"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(code, known)
    assert list(tmp_path.iterdir()) == []
    trainer = known["trainer"]
    assert trainer.global_step == 5 * 25
    assert trainer.callback_metrics["validation/accuracy"] > 0.9


def test_the_guide_tells_every_check() -> None:
    guide = (ROOT / "docs/write-a-recipe.md").read_text(encoding="utf-8")
    lines = [f"| `{name}` | {what} |" for name, what in CHECKS_OF_RECIPES.items()]
    assert "\n".join(lines) in guide


@pytest.mark.parametrize("name", ["TextClassification", "ImageClassification", "TextGeneration"])
def test_the_guide_tells_each_part_of_a_recipe_as_it_is_in_the_code(name: str) -> None:
    guide = (ROOT / "docs/write-a-recipe.md").read_text(encoding="utf-8")
    table = guide.partition(f"| from the family `{name}` |\n")[2].partition("\n\n")[0].splitlines()[1:]
    family, told = getattr(tunebook, name), [re.split(r" *(?<!\\)\| *", line)[1:3] for line in table]
    for part, kind in told:
        written = part.strip("`").replace("\\|", "|")
        own = inspect.getattr_static(family, written.partition("(")[0])
        assert kind == ("property" if isinstance(own, property) else "method" if inspect.isfunction(own) else "value")
        function = own.fget if isinstance(own, property) else own
        signature = str(inspect.signature(function)).replace("'", "") if kind != "value" else ""
        assert written == (function.__name__ if kind != "value" else written) + signature
    assert {"Config", "watch"} < {part.strip("`") for part, _ in told}


def test_the_page_of_the_interface_is_made_of_the_docstrings() -> None:
    code = "import make_api, sys; sys.stdout.write(make_api.page())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT / "docs", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (ROOT / "docs/api.md").read_text(encoding="utf-8") == done.stdout, "run `make api`"
