"""What does tuning buy a small language model that writes copy from briefs, and how far is it from published models?

python benchmarks/marketing_copy_quality.py [--data ../shared/data] [--work runs/copy] [--rows 14000]

E2E (Novikova et al. 2017), its official splits, all references of each test brief, the official protocol:
mteval-13a BLEU in lower case, which `recipe.lowercase=true` gives. The starter as it is, tuned in full, by LoRA, and
the same architecture from scratch, through `tunebook train`, one epoch, greedy. Beside them the brief read out, the
copy of the nearest training brief, and what the LoRA authors published for GPT-2 medium. The same with GPT-2 medium:

    tunebook train recipe=marketing_copy data.train=train.csv data.validation=valid.csv data.test=test.csv \\
        recipe.brief=mr recipe.target_column=ref recipe.lowercase=true evaluation.max_generations=null \\
        model.name=gpt2-medium model.chat_template=plain adapt=lora recipe.decoding=beam trainer.max_epochs=5

Finished runs are not run again.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tunebook.families.text_generation.metrics.answers import GeneratedAnswers
from tunebook.families.text_generation.metrics.differences import paired_differences

DATA = Path(__file__).parents[2] / "shared" / "data"
SHOWN = ("perplexity", "bleu", "rouge_l", "chrf", "field_coverage", "invented_numbers_share", "copied_whole")
# README of github.com/microsoft/LoRA: BLEU on the E2E test set, GPT-2 medium (354 M weights), beam search.
PUBLISHED = {"GPT-2 medium, full": 68.2, "GPT-2 medium, LoRA": 70.4}


def train(system: str, options: argparse.Namespace) -> Path:
    """The folder of a finished run."""
    folder = Path(options.work) / f"starter_{system}_{options.seed}"
    if (folder / "report.html").is_file():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    e2e = options.data.resolve() / "e2e"
    words = ["train", "recipe=marketing_copy", f"adapt={'none' if system == 'before' else system}"]
    words += [f"data.train={e2e / 'train_full.csv'}", f"data.validation={e2e / 'valid.csv'}"]
    words += [f"data.test={e2e / 'test.csv'}", "recipe.brief=mr", "recipe.target_column=ref", "recipe.lowercase=true"]
    words += ["recipe.max_new_tokens=96", "evaluation.max_generations=null", "evaluation.zero_shot=false"]
    words += [f"data.max_rows={options.rows}"] if options.rows else []
    words += ["trainer.max_epochs=1", f"seed={options.seed}", f"run_dir={folder}", "trainer.progress=false"]
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "tunebook", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    (folder / "seconds.json").write_text(json.dumps(time.monotonic() - began))
    return folder


def answers(run: Path) -> GeneratedAnswers:
    """What a run's model wrote."""
    rows = list(csv.DictReader((run / "predictions.csv").open(encoding="utf-8")))
    references = [row["reference"] for row in rows]
    return GeneratedAnswers(
        prompts=[row["prompt"] for row in rows],
        references=[json.loads(each) if each.startswith("[") else [each] for each in references],
        outputs=[row["answer"] for row in rows],
        files=[row["file"] for row in rows],
        lines=[int(row["line"]) for row in rows],
    )


def line(name: str, scores: dict[str, dict[str, float]]) -> str:
    """The scores of one system."""
    found = {key: scores[key] for key in SHOWN if key in scores and scores[key]["value"] is not None}
    return f"{name:24} " + "; ".join(
        f"{key} {score['value']:.3f} ({score['low']:.3f}-{score['high']:.3f})" for key, score in found.items()
    )


def main() -> None:
    """Run what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--work", type=Path, default=Path("runs/copy"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=int, help="training texts, drawn with the seed (default: all 42,061)")
    parser.add_argument("--only", nargs="*", default=["full", "scratch", "lora", "before"])
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    options.work.mkdir(parents=True, exist_ok=True)
    made = {}
    for system in options.only:
        run = train(system, options)
        metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
        if not made:
            for name, scores in metrics["baselines"].items():
                print(line(name, scores))
            print(metrics["signatures"], "; ".join(f"{name}: BLEU {value}" for name, value in PUBLISHED.items()))
        made[system] = answers(run)
        print(line(system, metrics["test"]), f"; {json.loads((run / 'seconds.json').read_text()):.0f} s", flush=True)
    for other in [name for name in made if name != options.only[0]]:
        first = options.only[0]
        for name, found in paired_differences(made[first], made[other], lowercase=True).items():
            if name in SHOWN:
                said = "significant" if found.distinguishable else "not significant"
                print(f"{first} - {other}: {name} {found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f}), {said}")


if __name__ == "__main__":
    main()
