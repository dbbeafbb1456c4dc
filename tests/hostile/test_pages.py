"""Config pages of strangers in `--config-dir`: one message, nothing of them runs, and none of them takes long."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from tests.conftest import write_reviews
from tests.hostile import damage as d
from tests.hostile.runner import Case, faults, run_cases

GLOBAL = "# @package _global_\n"


DOUBLING = ["text", "label", "group", "train", "validation", "test", "cache_dir", "text_pair", "leaks", "overlength"]
SWEPT = ", ".join(f"{key}: 'range(1,1000)'" for key in ("seed", "data.split_seed", "trainer.max_epochs", "data.shots"))


def pages(canary: Path) -> dict[str, str]:
    touch = f"touch {canary}/page"
    target = f"_target_: os.system\n_args_: ['{touch}']\n"
    callback = "hydra:\n  callbacks:\n    own:\n      _target_: "
    return {
        "a bomb": d.yaml_bomb(),
        "a bomb of keys": "a: &a {x: 1}\n" + "".join(f"b{i}: &b{i} [*a, *a]\n" for i in range(60_000)),
        "merged keys": "a: &a {x: 1}\n" + "b: {<<: *a}\n" * 3,
        "an alias of itself": "a: &a [*a]\n",
        "a mapping of itself": "a: &a {b: *a}\n",
        "deep lists": "a: " + "[" * 50_000 + "]" * 50_000,
        "deep mappings": "a: " + "{a: " * 5_000 + "1" + "}" * 5_000,
        "deep by indentation": "".join(" " * i + "a:\n" for i in range(2_000)),
        "deep dashes": "a: " + "- " * 5_000 + "1",
        "a tag of code": f"seed: !!python/object/apply:os.system ['{touch}']\n",
        "a tag of an object": "seed: !!python/object:tunebook.errors.UserError {}\n",
        "a tag of a module": "seed: !!python/module:os\n",
        "a tag of a name": "seed: !!python/name:os.system\n",
        "binary": "seed: !!binary aGVsbG8=\n",
        "a target": f"{GLOBAL}{target}",
        "a target in trainer": f"{GLOBAL}trainer:\n  callbacks:\n    - {{_target_: os.system, _args_: ['{touch}']}}\n",
        "a target in recipe": f"{GLOBAL}recipe:\n  _target_: os.system\n",
        "a target in data": f"{GLOBAL}data:\n  train: {{_target_: os.system, _args_: ['{touch}']}}\n",
        "a callback of Hydra": f"{GLOBAL}{callback}os.system\n      command: '{touch}'\n",
        "a callback that loads": f"{GLOBAL}{callback}torch.load\n      f: {canary}/nothing\n",
        "a launcher": f"{GLOBAL}hydra:\n  launcher:\n    _target_: os.system\n",
        "a sweeper": f"{GLOBAL}hydra:\n  sweeper:\n    _target_: os.system\n",
        "a folder of Hydra": f"{GLOBAL}hydra:\n  run:\n    dir: /proc/nowhere\n",
        "a search path": f"{GLOBAL}hydra:\n  searchpath: [file:///]\n",
        "a secret": f"{GLOBAL}recipe:\n  name: ${{oc.env:HOME}}\n",
        "a resolver that decodes": f"{GLOBAL}seed: ${{oc.decode:'__import__(1)'}}\n",
        "an interpolation of itself": f"{GLOBAL}seed: ${{seed}}\n",
        "a deep interpolation": f"{GLOBAL}seed: " + "${" * 300 + "seed" + "}" * 300 + "\n",
        "an unknown resolver": f"{GLOBAL}seed: ${{os.system:ls}}\n",
        "defaults that lead out": "defaults:\n  - ../../../../etc/passwd\n",
        "defaults of itself": "defaults:\n  - /experiment/own\n",
        "defaults of code": "defaults:\n  - {_target_: os.system}\n",
        "interpolations that double": GLOBAL
        + "data:\n"
        + "  text: aaaaaaaaaa\n"
        + "".join(f"  {key}: '{('${data.' + before + '}') * 10}'\n" for before, key in pairwise(DOUBLING)),
        "a sweep of millions": GLOBAL + "hydra: {mode: MULTIRUN, sweeper: {params: {seed: 'range(0,1000000000)'}}}\n",
        "a sweep of sweeps": f"{GLOBAL}hydra: {{mode: MULTIRUN, sweeper: {{params: {{{SWEPT}}}}}}}\n",
        "a list": "- 1\n- 2\n",
        "a text": "just a text\n",
        "nothing": "",
        "only a comment": "# nothing\n",
        "two documents": "a: 1\n---\nb: 2\n",
        "tabs": "a:\n\tb: 1\n",
        "twice the same key": f"{GLOBAL}seed: 1\nseed: 2\n",
        "an unclosed quote": 'a: "b\n',
        "a huge number": f"{GLOBAL}seed: " + "9" * 100_000 + "\n",
        "an infinite number": f"{GLOBAL}seed: .inf\n",
        "a date": f"{GLOBAL}seed: 2024-01-01\n",
        "sexagesimal": f"{GLOBAL}seed: 1:2:3:4\n",
        "a null byte": "a: \0\n",
        "escapes": f'{GLOBAL}seed: "\\e]0;title\\a\\e[2J"\n',
        "keys that are no texts": f"{GLOBAL}1: 2\ntrue: 3\n? [a]\n: 4\n",
        "a wide page": GLOBAL + "".join(f"k{i}: {i}\n" for i in range(120_000)),
        "a large page": GLOBAL + "seed: '" + "a" * (70 << 20) + "'\n",
    }


def cases(folder: Path, canary: Path) -> Iterator[Case]:
    rows = write_reviews(folder / "rows.csv", 40)
    usual = ["check", "recipe=review_sentiment", f"data.train={rows}", "data.label=label", "data.max_length=24"]

    def chosen(name: str, number: int) -> Case:
        return Case(name, [*usual, "+experiment=own", "--config-dir", str(folder / str(number))])

    for number, (name, text) in enumerate(pages(canary).items()):
        place = folder / str(number) / "experiment"
        place.mkdir(parents=True)
        (place / "own.yaml").write_text(text, encoding="utf-8")
        yield chosen(name, number)
    others = {
        "no UTF-8": lambda path: path.write_bytes(b"a: \xff\xfe\n"),
        "UTF-16": lambda path: path.write_text("a: 1\n", encoding="utf-16"),
        "a pickle": lambda path: path.write_bytes(d.pickled(canary)),
        "a pipe": os.mkfifo,
        "a device": lambda path: path.symlink_to("/dev/zero"),
        "a folder": lambda path: path.mkdir(),
        "a link to itself": lambda path: path.symlink_to(path),
        "not to be read": lambda path: path.symlink_to("/proc/self/mem"),
    }
    for number, (name, make) in enumerate(others.items(), 1000):
        place = folder / str(number) / "experiment"
        place.mkdir(parents=True)
        make(place / "own.yaml")
        yield chosen(name, number)
    shadows = folder / "2000"
    (shadows / "recipe").mkdir(parents=True)
    (shadows / "recipe" / "review_sentiment.yaml").write_text("name: ../../evil\n")
    yield Case("a page of a recipe's name", [*usual, "--config-dir", str(shadows)])


def test_hostile_pages_end_in_one_message_or_do_no_harm(tmp_path: Path, cache: Path) -> None:
    canary, folder = tmp_path / "canary", tmp_path / "pages"
    canary.mkdir()
    folder.mkdir()
    outcomes = run_cases(list(cases(folder, canary)), tmp_path / "run")
    wrong = faults(outcomes)
    assert not wrong, wrong
    assert not list(canary.iterdir())
    assert sum(each.code == 2 for each in outcomes) > len(outcomes) * 3 // 4
