"""Which architectures of timm and torchvision can be tuned, and how: one small member of each family, tried in full.

Each gets random weights in a folder or file as Tunebook reads them, and 24 drawn pictures of two classes. With each of
adapt=full, lora and head the rows are prepared as `check` and `train` do, two steps are trained, and a bundle is
written and opened. The opened model must answer as the one in memory, a picture alone as beside others, timm and
torchvision must open the bundle by themselves to the same answers, and with adapt=full a run that goes on from its
first step must end with the same weights, bit for bit.

    python benchmarks/image_architectures.py --work runs/architectures
    python benchmarks/image_architectures.py --work runs/architectures --table docs/image-architectures.md

The work folder remembers what is done, so that a sweep that was stopped goes on.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import re
import sys
import tempfile
import time
import traceback
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1]))

METHODS = ("full", "lora", "head")
SECONDS = 600
"""The longest that one adaptation may take."""
CLEANING = 30
"""Seconds for a process to end by itself."""
RESUMED = 30_000_000
"""Parameters up to which a run is also resumed: the checkpoints of larger ones take longest of all."""
SIZES = (64, 96, 112, 128, 160, 192, 224, 240, 256)
LARGE = re.compile(r"large|huge|giant|base|medium|xl|enormous|so\d+m|_l_|_l$|_[mb]$|b[3-8]|\d{3}gf|101|152|200")
CLOSE = 1e-3
RESULTS, MEMBERS = "results.jsonl", "members.json"


def timm_members() -> dict[str, str]:
    """Family, which is a module of timm's -> its smallest architecture, counted on shapes."""
    import timm
    import torch
    from timm.models import list_modules

    found = {}
    for family in list_modules():
        names = [name for name in timm.list_models(module=family) if not name.startswith("test_")]
        small = [name for name in names if not LARGE.search(name)] or names
        sizes = {}
        for name in small:
            with contextlib.suppress(Exception), torch.device("meta"):
                sizes[name] = sum(p.numel() for p in timm.create_model(name).parameters())
        if small:
            found[f"timm {family}"] = min(sizes or small, key=lambda name: sizes.get(name, 0))
    return found


def torchvision_members() -> dict[str, str]:
    """Module -> its smallest architecture, as torchvision counts them."""
    from torchvision import models

    from tunebook.families.image_classification.model.image_source import torchvision_names

    sizes: dict[str, dict[str, int]] = defaultdict(dict)
    for name in torchvision_names():
        module = models.get_model_builder(name).__module__.rpartition(".")[2]
        sizes[module][name] = models.get_model_weights(name).DEFAULT.meta["num_params"]
    return {
        f"torchvision {module}": f"torchvision/{min(names, key=lambda name: names[name])}"
        for module, names in sorted(sizes.items())
    }


def write_weights(name: str, folder: Path) -> list[str]:
    """Random weights as they are read, and the overrides that name them."""
    import torch
    from safetensors.torch import save_file
    from timm.models._hub import save_config_for_hf

    torch.manual_seed(0)
    if name.startswith("torchvision/"):
        from torchvision import models

        model, file = models.get_model(name.partition("/")[2], weights=None), folder / "w.safetensors"
        given = [f"model.name={name}", f"model.weights={file}"]
    else:
        import timm

        model, file = timm.create_model(name), folder / "model" / "model.safetensors"
        file.parent.mkdir()
        save_config_for_hf(model, file.with_name("config.json"))
        given = [f"model.name={file.parent}"]
    # tied weights are written twice: safetensors has no way to say that two names are one tensor
    save_file({key: tensor.clone().contiguous() for key, tensor in model.state_dict().items()}, file)
    return given


def typed_config(overrides: Sequence[str]) -> Any:
    """The config of a command line."""
    from hydra import compose, initialize_config_module
    from hydra.core.global_hydra import GlobalHydra

    from tunebook.composing.command import register_schemas
    from tunebook.pipeline.prepare import typed

    GlobalHydra.instance().clear()
    register_schemas()
    with initialize_config_module("tunebook.conf", version_base="1.3"):
        return typed(compose("train", overrides=list(overrides)))


def smallest_size(given: Sequence[str]) -> int | None:
    """The first size that fits; None where only that of the weights is left to try."""
    import torch

    from tunebook.errors import UserError
    from tunebook.families.image_classification.model.image import own_preprocessing
    from tunebook.families.image_classification.model.image_fill import fill
    from tunebook.families.image_classification.model.image_sizes import unseen
    from tunebook.families.image_classification.model.image_source import find_image_model

    source = find_image_model(typed_config(given).model)
    for size in SIZES:
        with contextlib.suppress(UserError):
            own_preprocessing(source, size=size)
            if not unseen(fill(source, 2, 3, size).model.eval(), torch.randn(1, 3, size, size)):
                return size
    return None


def trained(config: Any, folder: Path) -> str:
    """Prepare, train two steps, write a bundle and open it; what is wrong, or "works"."""
    import torch

    from tunebook.bundle.read import read_manifest
    from tunebook.families.image_classification.model.image_files import load_saved_image_model
    from tunebook.pipeline.prepare import prepare
    from tunebook.pipeline.tune import tune
    from tunebook.run_folder import RunFolder

    run = RunFolder(folder)
    folder.mkdir()
    prepared = prepare(config, run.rejects)
    model, *_ = tune(prepared, run, {}, lambda line: None, resumed=False, main=True)
    stages = prepared.recipe.family.stages
    stages.write_bundle(prepared, model, None, run, {"data": {}, "training": {}, "scores": []})
    opened = stages.open_bundle(prepared.recipe, run.bundle, read_manifest(run.bundle))
    pre = prepared.encoded.tokenizer.preprocessing
    x = torch.randn(4, pre.channels, pre.size, pre.size, generator=torch.Generator().manual_seed(1))
    model, wrong = model.cpu().eval(), []
    with torch.no_grad():
        answers = model(x)
        for what, other in (
            ("the bundle answers otherwise", opened.model(x)),
            ("a picture alone is answered otherwise", torch.cat([opened.model(row[None]) for row in x])),
            ("the library opens another model", plain(run.bundle)(x)),
            ("opened twice it differs", load_saved_image_model(run.bundle)(x)),
        ):
            apart = float((answers - other).abs().max()) / max(1.0, float(answers.abs().max()))
            if not apart <= CLOSE:
                wrong.append(f"{what} ({apart:.2g})")
    if config.adapt.method.name == "full" and not wrong and sum(t.numel() for t in model.parameters()) < RESUMED:
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        last = max(run.checkpoints.glob("step-*.ckpt"), key=lambda path: int(path.stem.rpartition("-")[2]))
        last.unlink()
        again, *_ = tune(prepared, run, {}, lambda line: None, resumed=True, main=True)
        apart_ = [name for name, tensor in again.cpu().state_dict().items() if not torch.equal(tensor, before[name])]
        if apart_:
            wrong.append(f"resumed, {len(apart_)} tensors differ, such as {apart_[0]}")
    return f"FAILS: {'; '.join(wrong)}" if wrong else "works"


def plain(bundle: Path) -> Any:
    """The model of a bundle as its own library opens it."""
    settings = json.loads((bundle / "config.json").read_text())
    if settings.get("library") != "torchvision":
        import timm

        return timm.create_model(f"local-dir:{bundle}", pretrained=True).eval()
    from safetensors.torch import load_file
    from torchvision import models

    model = models.get_model(settings["architecture"], num_classes=settings["num_classes"], **settings["model_args"])
    state = model.state_dict()  # as the bundle's card says it
    state.update(load_file(bundle / "model.safetensors"))
    model.load_state_dict(state)
    return model.eval()


def sample(folder: Path) -> Path:
    """The rows: 24 pictures of two classes."""
    from tests.diagnosed import write_patients, write_table

    return write_table(folder / "rows.csv", write_patients(folder / "images", 24))


def try_member(name: str, methods: Sequence[str], work: Path, answer: Any) -> None:
    """What a process of its own does: say what becomes of one architecture under each adaptation."""
    import warnings

    from tunebook.errors import UserError

    sys.stdout = sys.stderr = (work / "said.txt").open("a", encoding="utf-8")
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="architecture-") as place:
        folder, size, given = Path(place), None, ["recipe=medical_diagnosis"]
        for method in methods:
            print(f"== {name} {method}", flush=True)
            try:
                if len(given) == 1:
                    model = write_weights(name, folder)
                    size = smallest_size([*given, *model])
                    given += [*model, *([] if size is None else [f"recipe.size={size}"])]
                    given += [
                        f"data.train={sample(folder)}",
                        "data.group=patient",
                        f"data.cache_dir={folder / 'cache'}",
                    ]
                    given += ["data.batch_size=8", "trainer=cpu", "trainer.threads=1", "trainer.max_steps=2"]
                    given += ["logger=csv", "trainer.progress=false", "trainer.checkpoint_every=1"]
                run = folder / method
                found = trained(typed_config([*given, f"adapt={method}", f"run_dir={run}"]), run)
            except UserError as error:
                found = f"refused: {error.code}: {error.what}"
            except BaseException as error:
                traceback.print_exc()
                found = f"FAILS: {type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"
            answer.send((found, size))


def outcomes(name: str, methods: Sequence[str], work: Path) -> Iterator[tuple[str, str, int | None]]:
    """The same from outside, method by method: a crash or an endless loop is an outcome, too."""
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=try_member, args=(name, methods, work, theirs))
    process.start()
    theirs.close()
    try:
        for number, method in enumerate(methods):
            if not ours.poll(SECONDS):
                yield method, f"FAILS: takes more than {SECONDS} s", None
                process.kill()
                yield from outcomes(name, methods[number + 1 :], work) if methods[number + 1 :] else ()
                return
            yield method, *ours.recv()
    except EOFError:
        process.join()
        yield method, f"FAILS: the process ended with {process.exitcode}", None
        yield from outcomes(name, methods[number + 1 :], work) if methods[number + 1 :] else ()
    finally:
        process.join(CLEANING)  # its folder of weights goes with it
        process.kill()
        process.join()


def remembered(work: Path) -> list[dict[str, Any]]:
    file = work / RESULTS
    return [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []


def sweep(work: Path, only: str, again: str) -> None:
    """All families that are not done."""
    members_file = work / MEMBERS
    if not members_file.is_file():
        members_file.write_text(json.dumps({**timm_members(), **torchvision_members()}, indent=1))
    last = {(each["family"], each["method"]): each["result"] for each in remembered(work)}
    done = {key for key, result in last.items() if not (again and re.search(again, result))}
    for family, name in json.loads(members_file.read_text()).items():
        methods = [method for method in METHODS if (family, method) not in done]
        if not methods or not re.search(only, family):
            continue
        started = time.time()
        for method, result, size in outcomes(name, methods, work):
            row = {"family": family, "model": name, "size": size, "method": method, "result": result}
            row["seconds"] = round(time.time() - started)
            with (work / RESULTS).open("a") as stream:
                stream.write(json.dumps(row) + "\n")
            print(family, name, size, method, result, f"{row['seconds']} s", flush=True)


def table(work: Path) -> Iterator[str]:
    """The page's lines: counts, then a family a line."""
    import timm
    import torchvision

    rows: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for each in remembered(work):
        rows[each["family"]][each["method"]] = each
    members = json.loads((work / MEMBERS).read_text())
    cells = [each["result"] for methods in rows.values() for each in methods.values()]
    works, refused = (sum(cell.startswith(word) for cell in cells) for word in ("works", "refused"))
    yield f"timm {timm.__version__}, torchvision {torchvision.__version__.partition('+')[0]}: {len(rows)} of "
    yield f"{len(members)} families, {len(cells)} combinations. {works} work, {refused} are refused by `check`, "
    yield f"{len(cells) - works - refused} fail."
    yield ""
    yield "| family | model | pixels | full | lora | head | note |\n|---|---|---|---|---|---|---|"
    for family, methods in sorted(rows.items()):
        shown = {method: _cell(methods.get(method)) for method in METHODS}
        first = next(iter(methods.values()))
        name = first["model"].removeprefix("torchvision/")
        sizes = [str(each["size"]) for each in methods.values() if each["size"]]
        notes = dict.fromkeys(_note(each["result"]) for each in methods.values())
        note = "; ".join(each for each in notes if each)
        yield f"| {family} | `{name}` | {(sizes or ['own'])[0]} | {' | '.join(shown.values())} | {note} |"


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    if "no-linear-layers" in row["result"]:
        return "none"
    return str(row["result"].partition(":")[0])


def _note(result: str) -> str:
    if result == "works" or "no-linear-layers" in result:
        return ""
    return result.partition(": ")[2].replace("|", "/")[:160]


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder that remembers the results")
    parser.add_argument("--only", default="", help="families whose name matches this pattern")
    parser.add_argument("--again", default="", help="repeat results that match this pattern, such as FAILS")
    parser.add_argument("--table", type=Path, help="write the table into this page, below its marker, and stop")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    if arguments.table is None:
        preload = ["torch", "timm", "torchvision.models", "lightning.pytorch", "peft", "torchmetrics.classification"]
        multiprocessing.get_context("forkserver").set_forkserver_preload([*preload, "sklearn.linear_model"])
        sweep(arguments.work.resolve(), arguments.only, arguments.again)
        return
    page = arguments.table.read_text(encoding="utf-8")
    above = page.partition("<!-- table -->")[0]
    arguments.table.write_text(f"{above}<!-- table -->\n\n" + "\n".join(table(arguments.work)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
