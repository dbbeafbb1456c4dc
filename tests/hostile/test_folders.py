"""Bundles, runs and comparisons of strangers, damaged or made to do harm: one message, and nothing of them runs."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.aspected import finished_aspects
from tests.briefed import briefed, in_brackets, write_csv
from tests.briefed import briefs as made_briefs
from tests.chatted import chatted, tiny_llama, write_chats
from tests.conftest import write_reviews
from tests.diagnosed import diagnosed, write_patients, write_table
from tests.finished import finished
from tests.forked import run_forked
from tests.hostile import damage as d
from tests.hostile.runner import Case, Outcome, faults, run_cases
from tests.topical import finished_topics

LOOPS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
DOUBLES = (
    "{% set ns = namespace(x='aaaaaaaaaaaaaaaa') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}"
)
CODE = "import os\nos.system('touch {canary}/imported')\n"


class Copies:
    """Copies of a folder, each with one file changed.

    Args:
        whole: The folder.
        place: Where the copies go.
    """

    def __init__(self, whole: Path, place: Path) -> None:
        self.whole, self.place, self._count = whole, place, 0
        place.mkdir(parents=True, exist_ok=True)

    def copy(self) -> Path:
        """One more."""
        self._count += 1
        copy = self.place / str(self._count)
        shutil.copytree(self.whole, copy, symlinks=True)
        return copy

    def changed(self, name: str, content: bytes) -> Path:
        """One in which a file holds something else."""
        copy = self.copy()
        (copy / name).write_bytes(content)
        return copy

    def damaged(self, name: str, every: int = 1, start: int = 0) -> Iterator[tuple[str, Path]]:
        """One for each way to damage a file, or for every so many of them."""
        content = (self.whole / name).read_bytes()
        ways = [(kind, damage(content)) for kind, damage in d.damages(start)]
        if name.endswith(".json"):
            ways = [*ways[:5], *d.kinds(content), *d.changed_json(content)]
        for kind, changed in ways[start % every :: every]:
            yield f"{name}: {kind}", self.changed(name, changed)

    def replaced(self, name: str, by: Callable[[Path], object]) -> Path:
        """One in which something else than a file stands for it."""
        copy = self.copy()
        (copy / name).unlink(missing_ok=True)
        by(copy / name)
        return copy

    def edited(self, name: str, **values: object) -> Path:
        """One in which a JSON file says other things."""
        content = json.loads((self.whole / name).read_bytes())
        return self.changed(name, json.dumps({**content, **values}).encode())


def predicting(name: str, bundle: Path, *rows: str) -> Case:
    return Case(name, ["predict", str(bundle), *rows], "" if rows else "arrived broken and late\nall well\n")


def with_code(copies: Copies, canary: Path) -> Iterator[tuple[str, Path]]:
    """Bundles that bring code, in every way that one of the libraries runs it where it is asked to."""
    code = CODE.format(canary=canary).encode()
    mapped = {
        "AutoConfig": "evil.Config",
        "AutoModel": "evil.Model",
        "AutoModelForSequenceClassification": "evil.Model",
    }
    copy = copies.edited("config.json", auto_map=mapped, model_type="evil")
    (copy / "evil.py").write_bytes(code)
    yield "an auto_map with code", copy
    copy = copies.copy()
    for name in ("json", "ctypes", "torch", "transformers", "sitecustomize", "conftest", "__init__"):
        (copy / f"{name}.py").write_bytes(code)
    yield "modules of known names", copy
    copy = copies.copy()
    (copy / "model.safetensors").unlink()
    for name in ("pytorch_model.bin", "model.pt", "tf_model.h5", "flax_model.msgpack"):
        (copy / name).write_bytes(d.zipped_pickle(canary))
    yield "a pickle for weights", copy
    yield "a pickle called safetensors", copies.changed("model.safetensors", d.pickled(canary))
    yield "a torch file called safetensors", copies.changed("model.safetensors", d.zipped_pickle(canary))
    if (copies.whole / "seen_texts.npy").is_file():
        yield "a pickle for hashes", copies.changed("seen_texts.npy", d.pickled(canary))
    if (copies.whole / "seen_images.npy").is_file():
        yield "a pickle for sketches", copies.changed("seen_images.npy", d.pickled(canary))
    yield "a recipe of a path", copies.edited("tunebook.json", recipe="../../evil")
    yield "a recipe of a module", copies.edited("tunebook.json", recipe="os:system")
    yield "options that name code", copies.edited("tunebook.json", options={"_target_": "os.system", "name": "x"})
    yield "options that name a secret", copies.edited("tunebook.json", recipe_version="${oc.env:HOME}")


def no_files(copies: Copies, names: list[str]) -> Iterator[tuple[str, Path]]:
    """Bundles in which something else stands for a file."""
    for name in names:
        yield f"{name} is a pipe", copies.replaced(name, os.mkfifo)
        yield f"{name} is a device", copies.replaced(name, lambda path: path.symlink_to("/dev/zero"))
    yield "a folder for a file", copies.replaced(names[0], lambda path: path.mkdir())
    yield "a link to itself", copies.replaced(names[0], lambda path: path.symlink_to(path))


def review_bundles(folder: Path, place: Path, canary: Path) -> Iterator[Case]:
    run = finished(folder)
    copies = Copies(run.bundle, place)
    yield predicting("whole", copies.copy())
    for number, name in enumerate(("tunebook.json", "config.json", "tokenizer.json", "tokenizer_config.json")):
        for kind, bundle in copies.damaged(name, every=5, start=number):
            yield predicting(kind, bundle)
    for kind, bundle in copies.damaged("model.safetensors"):
        yield predicting(kind, bundle)
    for kind, bundle in [*with_code(copies, canary), *no_files(copies, ["tunebook.json", "model.safetensors"])]:
        yield predicting(kind, bundle)
    sizes = {"num_hidden_layers": 10**9, "hidden_size": 10**8, "intermediate_size": 10**12, "vocab_size": 10**13}
    for key, value in {
        **sizes,
        "num_labels": 10**9,
        "num_attention_heads": 10**9,
        "max_position_embeddings": 10**12,
    }.items():
        yield predicting(f"{key} is {value}", copies.edited("config.json", **{key: value}))
    yield predicting("max_length is 10**12", copies.edited("tunebook.json", max_length=10**12))
    tokenizer = json.loads((run.bundle / "tokenizer.json").read_text())
    doubling = [{"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}] * 30
    thousand = [{"type": "Replace", "pattern": {"Regex": "."}, "content": "a" * 1000}]
    special = {"SpecialToken": {"id": "<|end|>", "type_id": 0}}
    bombs = {
        "that doubles": {"normalizer": {"type": "Sequence", "normalizers": doubling}},
        "of a thousand": {"normalizer": {"type": "Sequence", "normalizers": thousand}},
        "that adds": {"post_processor": {**tokenizer["post_processor"], "single": [special] * 300_000}},
        "of many tokens": {"added_tokens": [{"id": i, "content": f"t{i}"} for i in range(300_000)]},
    }
    for name, part in bombs.items():
        yield predicting(f"a tokenizer {name}", copies.edited("tokenizer.json", **part))
    many = [f"t{i}" for i in range(200_000)]
    yield predicting("many special tokens", copies.edited("tokenizer_config.json", extra_special_tokens=many))
    large = b'{"a": [' + b"[{}]," * (20 << 20) + b"1]}"
    for name in ("tokenizer_config.json", "config.json", "tunebook.json"):
        yield predicting(f"{name} of megabytes", copies.changed(name, large))
    for value in ("kernels-community/flash-attn", "someone/else:function"):
        yield predicting(f"attention of {value}", copies.edited("config.json", _attn_implementation=value))
        yield predicting(f"attention, {value}", copies.edited("config.json", attn_implementation=value))
    header = b'{"a": {"dtype": "F32", "shape": [1000000, 1000000], "data_offsets": [0, 4]}}'
    lying = len(header).to_bytes(8, "little") + header + bytes(4)
    yield predicting("weights that are not there", copies.changed("model.safetensors", lying))
    yield predicting("a header of 2**63", copies.changed("model.safetensors", b"\xff" * 7 + b"\x7f" + bytes(100)))
    rows = str(folder / "test.csv")
    for kind, bundle in copies.damaged("seen_texts.npy", every=3):
        yield Case(f"evaluate, {kind}", ["evaluate", f"bundle={bundle}", f"data.test={rows}", "data.label=label"])
    many = copies.changed("seen_texts.npy", d.npy((10**10,), bytes(80), "<u8"))
    yield Case("evaluate, hashes that are not there", ["evaluate", f"bundle={many}", f"data.test={rows}"])


def image_bundles(folder: Path, place: Path, canary: Path) -> Iterator[Case]:
    table = write_table(folder / "train.csv", write_patients(folder / "train", 40, 0))
    run = diagnosed(folder, f"data.train={table}", "data.group=patient")
    picture = str(next((folder / "train").glob("*.png")))
    copies = Copies(run.bundle, place)
    yield predicting("whole", copies.copy(), picture)
    for number, name in enumerate(("tunebook.json", "config.json")):
        for kind, bundle in copies.damaged(name, every=6, start=number):
            yield predicting(kind, bundle, picture)
    for kind, bundle in [*copies.damaged("model.safetensors", every=4), *with_code(copies, canary)]:
        yield predicting(kind, bundle, picture)
    image = json.loads((run.bundle / "tunebook.json").read_text())["image"]
    for key in image:
        yield predicting(f"image without {key}", copies.edited("tunebook.json", image={**image, key: None}), picture)
    for size in (10**6, 0, -1, "large"):
        yield predicting(f"pictures of {size}", copies.edited("tunebook.json", max_length=size), picture)
    for args in ({"width": 10**9}, {"block_args": [["x"] * 10**5]}, {"depth": 10**9}, {"pretrained": True}):
        yield predicting(f"arguments {str(args)[:30]}", copies.edited("config.json", model_args=args), picture)
    for name in ("resnet200d", "../../evil", "os.system", "local-dir:/", "hf-hub:someone/model"):
        yield predicting(f"architecture {name}", copies.edited("config.json", architecture=name), picture)
    yield predicting("10**9 classes", copies.edited("config.json", num_classes=10**9), picture)


def chat_bundles(folder: Path, place: Path, canary: Path) -> Iterator[Case]:
    rows = write_chats(folder / "chats.jsonl", 30, rounds=1)
    small = ["trainer.max_steps=2", "recipe.max_new_tokens=4", "evaluation.max_generations=4", "data.batch_size=4"]
    model = tiny_llama(folder / "llama")
    run = chatted(folder, f"data.train={rows}", f"model.name={model}", "evaluation.zero_shot=false", *small)
    copies = Copies(run.bundle, place)
    yield predicting("whole", copies.copy())
    for name, template in {
        "loops": LOOPS,
        "doubles": DOUBLES,
        "a power": "{{ 9 ** 9 ** 9 ** 9 }}",
        "nothing": "",
    }.items():
        bundle = copies.changed("chat_template.jinja", template.encode())
        yield predicting(f"a template that {name}", bundle)
        yield Case(f"chat with a template that {name}", ["chat", str(bundle)], "hello\n")
    good = json.dumps([{"type": "function", "function": {"name": "f"}}])  # which its template leaves out
    lists = {"none": "[]", "deep": "[" * 100_000, "object": "{}", "no form": '[{"name": "f"}]', "good": good}
    for name, content in lists.items():
        tools = folder / f"tools-{name}.json"
        tools.write_text(content)
        yield Case(f"chat with tools: {name}", ["chat", str(run.path), "--tools", str(tools)], "a\n")
    yield Case("chat with tools of a device", ["chat", str(run.path), "--tools", "/dev/zero"], "a\n")
    for number, name in enumerate(("tunebook.json", "generation_config.json", "config.json", "tokenizer.json")):
        if (run.bundle / name).is_file():
            for kind, bundle in copies.damaged(name, every=6, start=number):
                yield predicting(kind, bundle)
    code = "{{ ''.__class__.__mro__[1].__subclasses__() }}{{ messages.__init__.__globals__ }}"
    yield predicting("a template of code", copies.changed("chat_template.jinja", code.encode()))
    for kind, bundle in list(with_code(copies, canary))[:5]:
        yield predicting(kind, bundle)


def brief_bundles(folder: Path, place: Path, canary: Path) -> Iterator[Case]:
    train = write_csv(folder / "briefs.csv", in_brackets(made_briefs(40)))
    small = ["trainer.max_steps=2", "recipe.max_new_tokens=4", "evaluation.max_generations=4", "data.batch_size=4"]
    model = tiny_llama(folder / "llama")
    given = [f"data.train={train}", "recipe.brief=mr", "recipe.target_column=ref", f"model.name={model}"]
    run = briefed(folder, *given, "evaluation.zero_shot=false", *small)
    copies = Copies(run.bundle, place)
    rows = str(train)
    yield predicting("whole", copies.copy(), rows)
    manifest = json.loads((run.bundle / "tunebook.json").read_text())
    generation = manifest["generation"]
    for name, template in {
        "loops": LOOPS,
        "doubles": DOUBLES,
        "a power": "{{ 9 ** 9 ** 9 ** 9 }}",
        "nothing": "",
    }.items():
        state = {**generation, "kept": {**generation["kept"], "template": template}}
        yield predicting(f"a template that {name}", copies.edited("tunebook.json", generation=state), rows)
    for key in generation["kept"]:
        for other in (None, "text", 10**12, {"a": 1}):
            state = {**generation, "kept": {**generation["kept"], key: other}}
            yield predicting(f"kept {key} is {other}", copies.edited("tunebook.json", generation=state), rows)
    for key in generation:
        for other in (None, "text", 10**12):
            state = {**generation, key: other}
            yield predicting(f"{key} is {other}", copies.edited("tunebook.json", generation=state), rows)


def topic_bundles(folder: Path, place: Path, canary: Path) -> Iterator[Case]:
    run = finished_topics(folder, "trainer.max_steps=2")
    copies = Copies(run.bundle, place)
    yield predicting("whole", copies.copy())
    several = json.loads((run.bundle / "tunebook.json").read_text())["several"]
    for key in several:
        for other in ("", "text", 10**12, [], {"a": 1}):
            edited = copies.edited("tunebook.json", several={**several, key: other})
            yield predicting(f"{key} is {other!r}", edited)
    chosen = several["chosen"]
    for key in chosen:
        for other in (None, "text", -1.5, [], {"a": 1}, dict.fromkeys(chosen["thresholds"], float("nan"))):
            edited = {**several, "chosen": {**chosen, key: other}}
            yield predicting(f"{key} is {other!r}", copies.edited("tunebook.json", several=edited))
    for other in (None, "text", [], {}):
        yield predicting(f"several is {other!r}", copies.edited("tunebook.json", several=other))


def aspect_bundles(folder: Path, place: Path, canary: Path) -> Iterator[Case]:
    run = finished_aspects(folder, "trainer.max_steps=2")
    copies, rows = Copies(run.bundle, place), str(folder / "test.csv")
    yield predicting("whole", copies.copy())
    manifest = json.loads((run.bundle / "tunebook.json").read_text())
    for number, name in enumerate(("tunebook.json", "config.json")):
        for kind, bundle in copies.damaged(name, every=5, start=number):
            yield predicting(kind, bundle)
    for key in ("aspects", "values"):
        for other in (None, "text", [], ["price"], ["price", "price"], ["delivery", 5], {"a": 1}, ["x"] * 10_000):
            edited = copies.edited("tunebook.json", options={**manifest["options"], key: other})
            yield predicting(f"{key} are {str(other)[:40]}", edited)
            yield Case(f"evaluate, {key} are {str(other)[:40]}", ["evaluate", f"bundle={edited}", f"data.test={rows}"])
    for labels in ([], manifest["labels"][:-1], list(reversed(manifest["labels"])), ["a"] * 8):
        yield predicting(f"labels {str(labels)[:40]}", copies.edited("tunebook.json", labels=labels))
    for state in (None, {}, {"aspects": 5}):
        yield predicting(f"state {state}", copies.edited("tunebook.json", state=state))
    columns = {role: name for role, name in manifest["columns"].items() if role != "aspect 1"}
    fewer = copies.edited("tunebook.json", columns=columns)
    yield Case("evaluate, a column less", ["evaluate", f"bundle={fewer}", f"data.test={rows}"])


def runs(folder: Path, place: Path, canary: Path) -> Iterator[Case]:
    whole = finished(folder, "trainer.checkpoint_every=2").path
    shutil.rmtree(whole / "model")
    for name in ("report.html", "metrics.json", "predictions.csv", "record.json"):
        (whole / name).unlink()  # as a kill would have left it: there are checkpoints
    copies = Copies(whole, place)
    newest = max((whole / "checkpoints").glob("step-*.ckpt")).relative_to(whole)

    def resumed(name: str, run: Path) -> Case:
        return Case(f"resume, {name}", ["train", f"resume={run}"])

    yield resumed("whole", copies.copy())
    for kind, run in copies.damaged("config.yaml", every=2):
        yield resumed(kind, run)
    for kind, run in copies.damaged(str(newest), every=4):
        yield resumed(kind, run)
    for kind, run in copies.damaged("logs/metrics.csv", every=6):
        yield resumed(kind, run)
    harmful = {
        "a pickle": d.pickled(canary),
        "a torch pickle": d.zipped_pickle(canary),
        "no zip": b"PK\x03\x04" + bytes(100),
    }
    for kind, content in harmful.items():
        copy = copies.copy()
        for file in (copy / "checkpoints").glob("step-*.ckpt"):
            file.write_bytes(content)
        yield resumed(f"checkpoints are {kind}", copy)
    copy = copies.copy()
    with zipfile.ZipFile(copy / newest, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(1 << 28))
    yield resumed("a checkpoint that unpacks to much", copy)
    pages = {
        "a bomb": d.yaml_bomb(),
        "deep": "a: " + "[" * 50_000,
        "a tag of code": f"recipe: !!python/object/apply:os.system ['touch {canary}/yaml']\n",
        "a list": "- 1\n",
        "nothing": "",
        "a target": f"recipe: {{name: review_sentiment, _target_: os.system, _args_: ['touch {canary}/x']}}\n",
    }
    for kind, page in pages.items():
        yield resumed(f"a config of {kind}", copies.changed("config.yaml", page.encode()))
    for name in ("config.yaml", str(newest), "logs/metrics.csv"):
        yield resumed(f"{name} is a pipe", copies.replaced(name, os.mkfifo))
    outside = place / "outside"
    outside.mkdir()
    for name in ("logs", "checkpoints"):
        copy = copies.copy()
        shutil.rmtree(copy / name)
        (copy / name).symlink_to(outside)
        yield resumed(f"{name} leads outside", copy)
    yield resumed("a checkpoint leads outside", copies.replaced(str(newest), lambda p: p.symlink_to("/etc/passwd")))
    yield resumed("a record of something else", copies.changed("record.json", b"[" * 10_000))
    yield resumed("a report leads outside", copies.replaced("report.html", lambda p: p.symlink_to("/tmp/nowhere")))


def comparisons(folder: Path, place: Path, canary: Path) -> Iterator[Case]:
    rows = write_reviews(folder / "rows.csv", 120)
    arguments = ["compare", "recipe=review_sentiment", f"data.train={rows}", "data.label=label", "data.max_length=24"]
    arguments += ["data.batch_size=8", "trainer=cpu", "trainer.max_epochs=1", "evaluation.resamples=50", "logger=csv"]
    arguments += ["compare=quick", "compare.rungs=[majority,head]", "evaluation.zero_shot=false"]
    whole = folder / "compared"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = run_forked([*arguments, f"run_dir={whole}"], environment, folder, 280)
    assert done.returncode == 0, done.stderr
    copies = Copies(whole, place)

    def again(name: str, copy: Path) -> Case:
        return Case(f"compare, {name}", [*arguments, f"run_dir={copy}"])

    yield again("whole", copies.copy())
    rung = next(whole.glob("*head*/*/metrics.json")).parent.relative_to(whole)
    names = ["plan.json", f"{rung}/metrics.json", f"{rung}/record.json", f"{rung}/predictions.csv"]
    names += [str(file.relative_to(whole)) for file in sorted((whole / rung).glob("*.json"))]
    for number, name in enumerate(dict.fromkeys(names)):
        for kind, copy in copies.damaged(name, every=7, start=number):
            yield again(kind, copy)
    yield again("a pipe", copies.replaced(f"{rung}/predictions.csv", os.mkfifo))
    yield again("a link outside", copies.replaced(f"{rung}/metrics.json", lambda p: p.symlink_to("/etc/passwd")))


KINDS = {
    "bundles of reviews": review_bundles,
    "bundles of images": image_bundles,
    "bundles of topics": topic_bundles,
    "bundles of chats": chat_bundles,
    "bundles of briefs": brief_bundles,
    "bundles of aspects": aspect_bundles,
    "runs": runs,
    "comparisons": comparisons,
}


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_folders_end_in_one_message_or_do_no_harm(tmp_path: Path, cache: Path, kind: str) -> None:
    canary, made = tmp_path / "canary", tmp_path / "made"
    canary.mkdir()
    made.mkdir()
    outcomes: list[Outcome] = run_cases(list(KINDS[kind](made, tmp_path / "copies", canary)), tmp_path / "run")
    wrong = faults(outcomes)
    assert not wrong, wrong
    assert not list(canary.iterdir())
    whole = next(each for each in outcomes if each.case.name.endswith("whole"))
    assert whole.code == 0, whole.stderr
    assert sum(each.code == 2 for each in outcomes) > len(outcomes) // 4
