"""LoRA on a language model for copy from briefs, beside TRL's SFTTrainer: held-out quality, CPU time and memory.

    pip install trl accelerate datasets
    python benchmarks/copy_beside_trl.py --model <SmolLM2-135M-Instruct> [--data <folder of e2e> --rows 2000]

The same weights, rows, prompts, batch size, steps, peak rate, schedule and adapters; float32 on one thread. TRL pads
and computes all logits, as it does by itself; gradient checkpointing is on for both with --checkpointing. Each
training is a process of its own, whose CPU time and peak memory count whole. The model that comes out of each is scored
by Tunebook on the same test briefs. Without --data the rows are the sample briefs. What is done is in the results file
and is not done again.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import random
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RANK, ALPHA, RATE, BATCH, WARMUP = 8, 16, 5e-4, 8, 0.1
SCORES = ("perplexity", "bits_per_byte", "chrf", "bleu", "fact_recall", "field_coverage", "clean_share", "repetition")
SYSTEMS = ("before tuning", "tunebook", "trl")


def train_trl(given: dict[str, Any]) -> None:
    """Train with TRL, in this process, and save the merged model."""
    import pyarrow as pa
    import torch
    from datasets import Dataset
    from datasets.table import InMemoryTable
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    torch.set_num_threads(1)
    with open(given["rows"], encoding="utf-8") as stream:
        table = pa.Table.from_pylist([json.loads(line) for line in stream])
    rows = Dataset(InMemoryTable(table), fingerprint="rows")  # made by datasets it fails with pyarrow 26
    tokenizer = AutoTokenizer.from_pretrained(given["model"])
    model = AutoModelForCausalLM.from_pretrained(given["model"], dtype=torch.float32)
    config = SFTConfig(
        output_dir=given["out"] + ".dir",
        max_steps=given["steps"],
        per_device_train_batch_size=BATCH,
        learning_rate=RATE,
        lr_scheduler_type="linear",
        warmup_steps=math.ceil(WARMUP * given["steps"]),
        weight_decay=0.01,
        max_grad_norm=1.0,
        max_length=512,
        bf16=False,
        use_cpu=True,
        seed=given["seed"],
        gradient_checkpointing=given["checkpointing"],
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    lora = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM")
    trainer = SFTTrainer(model, config, train_dataset=rows, processing_class=tokenizer, peft_config=lora)
    trainer.train()
    trainer.model.merge_and_unload().save_pretrained(given["out"])
    tokenizer.save_pretrained(given["out"])


def e2e(folder: Path, rows: int, place: Path) -> dict[str, Path]:
    """Rows of E2E, drawn with seed 0, its own validation and test briefs."""
    files = {}
    for split, name, most in (("train", "train", rows), ("validation", "validation", 100), ("test", "test", 0)):
        with next(folder.glob(f"{name}*.csv")).open(encoding="utf-8", newline="") as stream:
            found = list(csv.DictReader(stream))
        if most:
            found = random.Random(0).sample(found, most)
        files[split] = place / f"{split}.csv"
        with files[split].open("w", encoding="utf-8", newline="") as out:
            writer = csv.DictWriter(out, list(found[0]))
            writer.writeheader()
            writer.writerows(found)
    return files


def shared(given: argparse.Namespace, files: dict[str, Path]) -> list[str]:
    """What every run of ours is given."""
    made = ["recipe=marketing_copy", *(f"data.{split}={file}" for split, file in files.items())]
    made += ["recipe.brief=mr", "recipe.target_column=ref", "recipe.lowercase=true"] if given.data else []
    made += [
        f"data.batch_size={BATCH}",
        f"evaluation.max_generations={given.generations}",
        "evaluation.forgetting=false",
    ]
    return [*made, "trainer=cpu", "trainer.threads=1", "trainer.progress=false", "logger=csv"]


def process(command: Sequence[str]) -> tuple[float, float]:
    """CPU seconds and peak memory in MiB of a process."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    started = subprocess.Popen(command, env=environment, stdout=sys.stderr)
    _, status, used = os.wait4(started.pid, 0)
    if status:
        sys.exit(f"This failed: {' '.join(command)[:300]}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def conversations(config: Sequence[str], model: str, place: Path) -> Path:
    """The training rows as TRL reads them, with our prompts."""
    from hydra import compose, initialize_config_module

    from tunebook.composing.command import register_schemas
    from tunebook.composing.search_path import register_search_path
    from tunebook.pipeline.prepare import prepare, typed

    register_schemas()
    register_search_path()
    with initialize_config_module("tunebook.conf", version_base="1.3"):
        composed = compose("train", overrides=[*config, f"model.name={model}", f"run_dir={place / 'none'}"])
    prepared: Any = prepare(typed(composed), place / "rejects.jsonl")
    path = place / "rows.jsonl"
    with path.open("w", encoding="utf-8") as stream:
        for several in prepared.recipe.training_conversations(prepared.data.train):
            for *prompt, answer in several:
                turns = {
                    "prompt": [{"role": turn.role, "content": turn.content} for turn in prompt],
                    "completion": [{"role": answer.role, "content": answer.content}],
                }
                stream.write(json.dumps(turns, ensure_ascii=False) + "\n")
    return path


def scores(run: Path) -> dict[str, Any]:
    test = json.loads((run / "metrics.json").read_text())["test"]
    return {name: [test[name][key] for key in ("value", "low", "high")] for name in SCORES if name in test}


def run(system: str, seed: int, given: argparse.Namespace, config: Sequence[str], rows: Path, place: Path) -> Any:
    """Train one system with one seed, and score its model."""
    verb = [sys.executable, "-m", "tunebook", "train", *config]
    examples = sum(1 for _ in rows.open(encoding="utf-8"))
    steps = given.epochs * math.ceil(examples / BATCH)
    cost, folder = (0.0, 0.0), place / f"{system}-{seed}"
    if system == "tunebook":
        more = [f"model.name={given.model}", f"seed={seed}", "adapt=lora", f"adapt.lora_rank={RANK}"]
        more += [f"optim.lr={RATE}", f"optim.warmup={WARMUP}", f"trainer.max_epochs={given.epochs}"]
        more += ["trainer.early_stop=null", f"trainer.gradient_checkpointing={str(given.checkpointing).lower()}"]
        more += ["trainer.rehearse=false", "evaluation.zero_shot=false", "evaluation.max_generations=1"]
        cost = process([*verb, *more, f"run_dir={folder}"])
        model = folder / "model"
    elif system == "trl":
        settings = {"rows": str(rows), "model": given.model, "out": str(folder), "steps": steps, "seed": seed}
        settings |= {"checkpointing": given.checkpointing}
        cost = process([sys.executable, __file__, "--model", given.model, "--trl", json.dumps(settings)])
        model = folder
    else:
        model = Path(given.model)
    scored = place / f"scored-{system.replace(' ', '-')}-{seed}"
    process([*verb, f"model.name={model}", "adapt=none", "trainer.rehearse=false", f"run_dir={scored}"])
    return {"steps": steps, "cpu": cost[0], "peak": cost[1], "scores": scores(scored)}


def table(results: Path) -> None:
    """Means over seeds, with the range, beside ours."""
    found = defaultdict(list)
    for line in results.read_text().splitlines():
        each = json.loads(line)
        found[each["system"]].append(each)
    print(f"| system | seeds | CPU s | peak MiB | {' | '.join(SCORES)} |")
    print(f"|---|---:|---:|---:|{'---:|' * len(SCORES)}")
    for system in (name for name in SYSTEMS if name in found):
        runs = found[system]
        cells = []
        for name in SCORES:
            values = [each["scores"][name][0] for each in runs if name in each["scores"]]
            mean = sum(values) / len(values) if values else float("nan")
            cells.append(f"{mean:.3f} ({min(values):.3f} to {max(values):.3f})" if values else "")
        cpu, peak = (sum(each[key] for each in runs) / len(runs) for key in ("cpu", "peak"))
        print(f"| {system} | {len(runs)} | {cpu:.0f} | {peak:.0f} | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="folder of a chat model of transformers")
    parser.add_argument("--data", type=Path, help="folder of E2E (default: the sample briefs)")
    parser.add_argument("--rows", type=int, default=2000, help="training texts of E2E")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--generations", type=int, default=80, help="test briefs to write copy for")
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--results", type=Path, default=Path("runs/copy_beside_trl.jsonl"))
    parser.add_argument("--trl", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.trl:
        train_trl(json.loads(given.trl))
        return
    given.results.parent.mkdir(parents=True, exist_ok=True)
    given.results.touch()
    done = {tuple(map(json.loads(line).get, ("system", "seed"))) for line in given.results.open()}
    with tempfile.TemporaryDirectory(prefix="copy-beside-trl-") as name:
        place = Path(name)
        config = shared(given, e2e(given.data, given.rows, place) if given.data else {})
        rows = conversations(config, given.model, place)
        for seed in range(given.seeds):
            for system in SYSTEMS[0 if seed == 0 else 1 :]:
                if (system, seed) not in done:
                    found = {"system": system, "seed": seed, **run(system, seed, given, config, rows, place)}
                    with given.results.open("a") as stream:
                        stream.write(json.dumps(found) + "\n")
                    print(found, file=sys.stderr, flush=True)
    table(given.results)


if __name__ == "__main__":
    main()
