"""Commands as people mistype them, over all verbs: each ends in one message that says what, where and how to fix it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.aspected import write_aspects
from tests.chatted import write_chats
from tests.conftest import write_reviews
from tests.diagnosed import diagnosed, write_patients, write_table
from tests.finished import finished
from tests.hostile.runner import Case, faults, run_cases
from tunebook.plugins.failures import TRACEBACK

NUMBERS = {
    "seed": ("-1", "1.5", "x", "null"),
    "data.batch_size": ("0", "-3", "2.5", "many"),
    "data.max_length": ("0", "2", "-1", "1e9"),
    "data.test_fraction": ("0", "1", "1.5", "-0.1"),
    "data.validation_fraction": ("0", "1.0", "inf", "null"),
    "data.near_duplicate": ("0", "1.1", "-1", "nan"),
    "data.max_rejects": ("-1", "2.5", "x"),
    "data.shots": ("0", "-1", "1.5", "999"),
    "data.max_rows": ("0", "-1", "1"),
    "data.num_workers": ("-1", "1.5", "x"),
    "trainer.max_epochs": ("0", "-1", "x", "1e99"),
    "trainer.max_steps": ("0", "-5", "x"),
    "trainer.threads": ("0", "-1", "100000", "x"),
    "trainer.devices": ("0", "-1", "1000", "two"),
    "trainer.num_nodes": ("0", "2", "-1"),
    "trainer.validate_every": ("0", "-1", "x", "nan"),
    "trainer.checkpoint_every": ("0", "-1", "x"),
    "trainer.accumulate_grad_batches": ("0", "-1", "1.5"),
    "trainer.gradient_clip": ("-1", "nan", "x"),
    "trainer.early_stop": ("0", "-1", "x"),
    "evaluation.confidence": ("0", "1", "2", "-1"),
    "evaluation.resamples": ("0", "-1", "1", "x"),
    "evaluation.abstain_error": ("0", "1", "-0.1", "nan", "x"),
    "optim.lr": ("0", "-1", "nan", "inf"),
    "optim.weight_decay": ("-1", "nan", "x"),
    "optim.warmup": ("-1", "2", "x"),
    "model.dropout": ("-0.1", "1", "1.5", "nan"),
    "adapt.unfreeze_epochs": ("-1", "x"),
    "adapt.lora_rank": ("0", "-1", "x"),
}
"""Values that no run can have, by key."""
MISSPELT = (
    *(
        "data.trian=a.csv",
        "data.txt=x",
        "dta.train=a.csv",
        "traner.max_epochs=1",
        "trainer.epochs=1",
        "optim.learning_rate=1",
    ),
    *("data.disagreement=majority", "data.disagreement=true"),
    *("recipe.calibrate=maybe", "evaluation.not_sure=auto", "evaluation.abstain=0.1"),
    *("evaluation.suspects=some", "evaluation.suspect=true", "evaluation.suspects=true adapt=scratch"),
    *("evaluation.resample=9", "adapt=lroa", "adapt.methd=full", "model=x", "model.nam=x", "recipe=review_sentimnt"),
    *(
        "recipe=",
        "recipe",
        "seed=",
        "=1",
        "==",
        "a=b=c",
        "data.train=[",
        "data.train={",
        "data.train='",
        'data.train="',
    ),
    *("+data.train2=x", "++nothing=1", "~data", "~data.train", "~nothing", "-data.train=x", "data..train=x", ".data=x"),
    *("data.=x", "trainer=ddpp", "trainer=mps", "trainer=gpu", "trainer=fsdp", "logger=csvv", "logger=wandbb"),
    *("trainer.accelerator=cuda", "trainer.accelerator=tpu", "trainer.precision=fp16", "trainer.precision=8"),
    *(
        "trainer.strategy=deepspeed",
        "trainer.callbacks=[x]",
        "trainer.callbacks=x",
        "trainer.callbacks=[{timer:{a:1}}]",
    ),
    *(
        "data.augmentations=[x]",
        "data.leaks=ignore",
        "data.overlength=cut",
        "optim.name=adamw2",
        "optim.schedule=stairs",
    ),
    *(
        "hydra.run.dir=/proc/x",
        "hydra/launcher=nothing",
        "hydra.job.chdir=true",
        "hydra.mode=MULTIRUN",
        "hydra=nothing",
    ),
    *(
        "run_dir=/proc/1/x",
        "run_dir=/dev/null",
        "run_dir=",
        "run_dir=null",
        "data.cache_dir=/dev/null/x",
        "data.cache_dir=",
    ),
    *(
        "data.train=5",
        "data.train=true",
        "data.train=1.5",
        "data.train={a:b}",
        "data.train=[1,2]",
        "data.train=[[a.csv]]",
    ),
    *(
        "data.train=''",
        "data.train=' '",
        "data.train=nothing.csv",
        "data.train=/",
        "data.train=.",
        "data.train='*.nothing'",
    ),
    *("data.test=nothing.csv", "data.label=nothing", "data.text=nothing", "data.text=[text]", "data.group=nothing"),
    *("data.split=nothing", "data.split=label", "data.split=", "data.split=''", "data.split=[label]"),
    *("data.text_with=[nothing]", "data.text_with=[label]", "data.text_with=[text]", "data.text_with=[a,a]"),
    *("data.text_with=x", "data.text_with=['']", "data.text_with=[a.b]", "data.text_template='{text}'"),
    *(
        f"data.text_with=[a] data.text_template={each}"
        for each in ("'{text}'", "'{a.b}{text}'", "'{a:9}{text}'", "'{'")
    ),
    *("evaluation.subgroups=[nothing]", "evaluation.subgroups=[a,a]", "evaluation.subgroups=['']"),
    *("evaluation.subgroups=x", "evaluation.gap=[a]", "evaluation.gap=x", "evaluation.gap=[label,bad,bad]"),
    *("evaluation.gap=[label,bad,nothing]", "evaluation.gap=['',a,b]", "evaluation.gap=[[a],b,c]"),
    *("data.labels=[]", "data.labels=[a]", "data.labels=x", "data.labels=[good,good]", "data.labels=[good,bad,ugly]"),
    *("adapt.quantize=true", "recipe.findings=[x]", "data.pack=true", "evaluation.max_generations=1", "recipe.size=32"),
    *(
        "model.name=nothing/here/at/all",
        "model.name=/",
        "model.name=.",
        "model.name=''",
        "model.name=5",
        "model.name=[a]",
    ),
    *("model.revision=x", "model.args={a:1}", "model.chat_template=plain", "adapt.lora_targets=[nothing]"),
    *(
        "--nothing",
        "--cfg",
        "--cfg=nothing",
        "--info=nothing",
        "--config-dir",
        "--config-dir=nothing",
        "-z",
        "--run",
        "-x",
    ),
    *("--config-name=nothing", "--config-path=/", "--package=x", "--experimental-rerun=x", "--multirun", "-m -m"),
    *("experiment=nothing", "+experiment=nothing", "data=nothing", "trainer@x=cpu", "trainer@=cpu", "@trainer=cpu"),
    *(
        "seed=${x}",
        "seed=${oc.env:NOTHING_AT_ALL}",
        "seed=${seed}",
        "seed=${",
        "seed=}",
        "seed=choice(1,2",
        "seed=range(x)",
    ),
    *(
        "\0",
        "seed=\u202e1",
        "sEed=1",
        "SEED=1",
        "données=1",
        "🎈=1",
        " seed=1",
        "seed =1",
        "seed= 1x",
        "a" * 3000,
        "[" * 900,
    ),
)
"""What people type by mistake after ``check recipe=review_sentiment``."""
OTHERS = (
    *(
        "-sc",
        "-sc install=tcsh",
        "-sc nothing",
        "train -sc install=tcsh",
        "predict x --max-rejects -3",
        "predict x y -z",
        "pick",
        "pick x",
        "pick nothing nothing.csv",
        "pick . nothing.csv --n 0",
        "pick . nothing.csv --n many",
        "pick . nothing.csv -o x.txt",
        "pick . nothing.csv --label-studio x",
    ),
    *(
        "",
        "nothing",
        "--help nothing",
        "--version x",
        "list x",
        "list --nothing",
        "show",
        "show nothing",
        "show a b",
        "verify",
    ),
    *(
        "verify nothing",
        "verify a b c",
        "new",
        "new x",
        "new x y z",
        "new recipe",
        "new recipe Bad-Name",
        "export",
        "export x",
    ),
    *(
        "export x y z",
        "predict",
        "predict nothing",
        "predict . nothing.csv",
        "predict / a",
        "predict --nothing",
        "chat",
        "chat x",
    ),
    *(
        "chat . --nothing",
        "evaluate",
        "evaluate bundle=nothing",
        "evaluate bundle=",
        "evaluate x=1",
        "evaluate --bundle x",
    ),
    *(
        "resume",
        "resume x",
        "train",
        "train resume=",
        "train resume=nothing",
        "train resume=. seed=1",
        "train resume=. data.train=",
        "train resume=. data.train=[",
        "train resume=. model.name='",
        "train resume=a resume=b",
    ),
    *(
        "train recipe=nothing",
        "train recipe=review_sentiment data.train",
        "compare",
        "compare recipe=nothing",
        "compare x",
    ),
    *("compare recipe=review_sentiment compare=nothing", "compare recipe=review_sentiment compare.rungs=[nothing]"),
    *("compare recipe=review_sentiment compare.rungs=[]", "compare recipe=review_sentiment compare.seeds=0"),
    *("compare recipe=review_sentiment compare.curve=[2]", "compare recipe=review_sentiment compare.metric=nothing"),
    *(
        "completion",
        "completion nothing",
        "TRAIN",
        "trian recipe=review_sentiment",
        "train,check",
        "-h x",
        "--",
        "-",
        "=",
        "''",
    ),
)


def in_words(command: str) -> list[str]:
    return command.split(" ") if command else [""]


def commands(folder: Path) -> Iterator[Case]:
    rows = write_reviews(folder / "rows.csv", 40)
    usual = ["check", "recipe=review_sentiment", f"data.train={rows}", "data.label=label", "trainer.progress=false"]
    for key, values in NUMBERS.items():
        for value in values:
            yield Case(f"{key}={value}", [*usual, f"{key}={value}"])
    for typed in MISSPELT:
        several = typed in ("-m -m", "evaluation.suspects=true adapt=scratch") or " data." in typed
        words = in_words(typed) if several else [typed]
        yield Case(typed[:60], [*usual, *words] if not typed.startswith("recipe") else ["check", typed, *usual[2:]])
    for typed in OTHERS:
        yield Case(f"tunebook {typed}", in_words(typed))


def of_other_recipes(folder: Path) -> Iterator[Case]:
    chats = write_chats(folder / "chats.jsonl", 20, rounds=1)
    chat = ["check", "recipe=customer_chat", f"data.train={chats}"]
    for typed in (
        *(
            "recipe.max_new_tokens=0",
            "recipe.max_new_tokens=-1",
            "recipe.temperature=-1",
            "recipe.top_p=2",
            "recipe.beams=0",
        ),
        *(
            "data.format=nothing",
            "data.pack=maybe",
            "data.max_length=1",
            "model.chat_template=nothing.jinja",
            "data.context=nothing",
            "data.context=",
            "data.context_place=nothing",
            "data.distractors=-1",
            "data.distractors=2",
            "data.label=x",
        ),
        *("evaluation.max_generations=0", "evaluation.zero_shot=maybe", "adapt.quantize=maybe", "adapt.quantize=true"),
        *("objective=ppo", "objective.beta=0", "objective.beta=-1", "objective.beta=nan", "objective.beta=0.2"),
        *("objective=dpo", "objective=kto", "objective.name=dpo", "objective.desirable_weight=2"),
    ):
        yield Case(f"chat, {typed}", [*chat, typed])
    table = write_table(folder / "images.csv", write_patients(folder / "images", 20, 0))
    image = ["check", "recipe=medical_diagnosis", f"data.train={table}", "data.group=patient"]
    for typed in (
        *(
            "recipe.size=0",
            "recipe.size=-1",
            "recipe.size=large",
            "recipe.size=1000000",
            "recipe.channels=7",
            "data.image=x",
        ),
        *(
            "data.image_root=nothing",
            "recipe.findings=[nothing]",
            "recipe.findings=blob",
            "recipe.window=[1]",
            "model.name=resnet999",
        ),
        *(
            "recipe.operating_points=[2]",
            "recipe.operating_points=x",
            "data.group=nothing",
            "data.augmentations=[{flip:2}]",
        ),
    ):
        yield Case(f"images, {typed}", [*image, typed])
    weights = folder / "other.safetensors"
    save_file({"module.conv1.0.weight": torch.ones(16, 3, 3, 3)}, weights)
    for more in (
        ["model.name=test_convnext", "adapt=scratch", "recipe.size=50"],  # its edge is cut off
        ["model.name=test_vit", "adapt=scratch", "recipe.size=100"],
        ["model.name=test_resnet", "adapt=scratch", "recipe.size=64", "model.args={global_pool: ''}"],
        ["model.name=test_vit", "adapt=scratch", "recipe.size=64", "model.args={global_pool: ''}"],
        ["model.name=test_resnet", "recipe.size=64", f"model.weights={weights}"],
        ["adapt=head", "recipe.size=1000000"],
        ["adapt=lora"],
    ):
        yield Case(f"images, {' '.join(more)}", [*image, *more])
    copy = ["check", "recipe=marketing_copy"]
    for typed in (
        *("recipe.fields=[]", "recipe.fields=[nothing]", "recipe.brief=nothing", "recipe.target_column=nothing"),
        *(
            "recipe.template=nothing.jinja",
            "recipe.template=/",
            "recipe.bleu_tokenizer=nothing",
            "recipe.max_new_tokens=x",
        ),
    ):
        yield Case(f"copy, {typed}", [*copy, typed])
    aspects = ["check", "recipe=review_aspects", f"data.train={write_aspects(folder / 'aspects.csv', 40)}"]
    for typed in (
        *("recipe.aspects=[]", "recipe.aspects=x", "recipe.aspects=['']", "recipe.aspects=[nothing]"),
        *("recipe.aspects=[price,price]", "recipe.aspects=[price,text]", "recipe.aspects=[[price]]"),
        *("recipe.aspects=null", "recipe.aspects={a:price}", "recipe.aspects=[price,delivery,text]"),
    ):
        yield Case(f"aspects, {typed}", [*aspects, typed])
    for typed in (
        *("recipe.values=[]", "recipe.values=[none]", "recipe.values=[none,none]", "recipe.values=x"),
        *("recipe.values=[none,'']", "recipe.values=[a,b]", "recipe.values=[none,negative,neutral,positive,more]"),
        *("recipe.values=null", "recipe.values=[[none],good]", "recipe.normalize=maybe", "data.label=price"),
        *("data.labels=[a]", "data.shots=2"),
        *("data.group=price", "data.text_with=[price]", "data.text=price", "data.text_pair=delivery"),
        *("adapt=none", "adapt=contrastive", "evaluation.zero_shot=true", "evaluation.suspects=true"),
    ):
        yield Case(f"aspects, {typed}", [*aspects, "recipe.aspects=[delivery,price]", typed])


def on_a_bundle(folder: Path) -> Iterator[Case]:
    run = finished(folder)
    bundle, rows = str(run.bundle), str(folder / "test.csv")
    lines = folder / "rows.jsonl"
    lines.write_text(json.dumps({"other": "x"}) + "\n")
    commands: Sequence[Sequence[str]] = [
        *(
            ["predict", bundle, extra]
            for extra in ("nothing.csv", "/", "/dev/null", str(lines), "--nothing", "-o", "--batch")
        ),
        *(["predict", bundle, rows, "-o", out] for out in ("/", "/proc/x", "/dev/full", "", rows, bundle)),
        ["predict", bundle, rows, rows, "-o"],
        ["predict", bundle, "data.train=x"],
        *(
            ["pick", bundle, rows, *more]
            for more in ([], ["--n", "1000"], ["--text", "x"], ["-o", rows], ["--seed", "-1"])
        ),
        *(["pick", bundle, extra] for extra in ("nothing.csv", "/", "/dev/null", str(lines), "--nothing")),
        ["predict", rows],
        ["predict", rows, bundle],
        ["chat", bundle],
        ["export", bundle],
        ["export", bundle, "-o", "/proc/x"],
        ["export", bundle, "-o", "model.onnx"],
        ["export", bundle, "-o", "out", "--precision", "int4"],
        ["export", bundle, "-o", bundle, "--overwrite"],
        *(["predict", bundle, rows, "--not-sure", value] for value in ("auto", "1.5", "-0.1", "nan", "some", "")),
        ["predict", bundle, rows, "--engine", "onnx"],
        ["predict", bundle, rows, "--engine", "tensorrt"],
        ["train", f"resume={run.path}"],
        ["train", f"resume={run.path / 'config.yaml'}"],
        ["train", "recipe=review_sentiment", f"data.train={rows}", "data.label=label", f"run_dir={run.path}"],
        *(
            ["evaluate", f"bundle={bundle}", *more]
            for more in (
                [],
                [f"data.test={rows}", "data.label=nothing"],
                [f"data.test={rows}", "evaluation.confidence=2"],
                [f"data.test={rows}", "evaluation.resamples=0"],
                *([f"data.test={rows}", f"evaluation.not_sure={value}"] for value in ("auto", "1.5", "nan", "some")),
                [f"data.test={rows}", "seed=-5"],
                [f"data.test={rows}", "trainer.max_epochs=1"],
                [f"data.test={rows}", f"run_dir={run.path}"],
                [f"data.test={folder / 'train.csv'}"],
                ["data.test=5"],
                [f"data.train={rows}"],
                [f"data.test={lines}"],
                [f"data.test={rows}", "trainer.accelerator=cuda"],
            )
        ),
    ]
    for command in commands:
        yield Case(" ".join(command).replace(str(folder), ""), command)


def on_a_bundle_of_images(folder: Path) -> Iterator[Case]:
    table = write_table(folder / "train.csv", write_patients(folder / "train", 40))
    bundle = str(diagnosed(folder, f"data.train={table}", "data.group=patient").bundle)
    rows = [{"path": row["path"]} for row in write_patients(folder / "pool", 3, seed=500_000)]
    pool = str(write_table(folder / "pool.csv", rows))
    (folder / "cut.png").write_bytes((folder / "pool" / "0_0.png").read_bytes()[:99])
    (folder / "empty").mkdir()
    np.savez(folder / "packed.npz", images=np.zeros((3, 9, 9), np.uint8))
    (folder / "objects.npz").write_bytes(b"PK\x05\x06" + bytes(18))
    tasks = {"relations": [{"data": {"path": "x.png"}, "annotations": [{"result": [{"type": "relation"}]}]}]}
    tasks["urls"] = [{"data": {"path": "https://example.org/1.png"}, "annotations": []}]
    tasks["no_images"] = [{"data": {"text": "x"}, "annotations": []}]
    tasks["numbers"] = [{"data": {"path": 5}, "predictions": []}]
    for name, each in tasks.items():
        (folder / f"{name}.json").write_text(json.dumps(each))
    sources = ("cut.png", "empty", "objects.npz", *(f"{name}.json" for name in tasks))
    commands: Sequence[Sequence[str]] = [
        *(["pick", bundle, str(folder / name), "--n", "1"] for name in sources),
        *(["pick", bundle, str(table), *more] for more in ([], ["--n", "1"], ["--image", "label", "--n", "1"])),
        *(["pick", bundle, pool, *more] for more in ([], ["--image", "x"], ["--n", "1", "-o", pool])),
        ["pick", bundle, str(folder / "packed.npz"), "--n", "1", "--label-studio", str(folder / "tasks.json")],
        ["pick", bundle, pool, "--n", "1", "--label-studio", "/proc/tasks.json"],
        ["pick", str(folder / "pool"), pool],
    ]
    for command in commands:
        yield Case(" ".join(command).replace(str(folder), ""), command)


KINDS = {
    "commands": commands,
    "other recipes": of_other_recipes,
    "a bundle": on_a_bundle,
    "a bundle of images": on_a_bundle_of_images,
}
NO_MISTAKE = {
    *("hydra.job.chdir=true", "hydra.mode=MULTIRUN", "--run", "--package=x", "--multirun", "-m -m"),
    *("run_dir=/proc/1/x", "run_dir=/dev/null", "run_dir="),  # a check writes to none
    "adapt.lora_targets=[nothing]",  # of the method that is not chosen
    *("tunebook --help nothing", "tunebook --version x", "tunebook -h x", "images, recipe.channels=7"),
    "predict /run/model /test.csv -o ",  # standard output
}
"""Commands of these that do what they say."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_mistyped_command_ends_in_one_message(tmp_path: Path, cache: Path, kind: str) -> None:
    made = tmp_path / "made"
    made.mkdir()
    assert TRACEBACK not in os.environ
    outcomes = run_cases(list(KINDS[kind](made)), tmp_path / "run")
    wrong = faults(outcomes)
    assert not wrong, wrong
    accepted = [each.case.name for each in outcomes if each.code == 0]
    assert set(accepted) <= NO_MISTAKE
    for each in outcomes:
        if each.code == 2:
            assert each.stderr.count("error: ") == 1, each.stderr
            assert "  fix:   " in each.stderr, f"{each.case.name}\n{each.stderr}"
