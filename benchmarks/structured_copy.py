"""Copy of three parts from composed briefs: how much can be parsed with the structure kept, and without.

    python benchmarks/structured_copy.py [--model MODEL] [--rows 240] [--briefs 200]

Briefs and copies are those of `python -m tunebook.recipes.marketing_copy.compose`; the first sentence of a copy is its
headline, the last its call to action, and what is between them its body. One model is trained, and answers the same
test briefs twice: free, and kept to the structure. Intervals are 95 % over briefs.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tunebook.bundle.read import open_bundle
from tunebook.data.reading import read_rows
from tunebook.data.rejects import RejectLog
from tunebook.recipes.marketing_copy import compose  # its rows are what is parted
from tunebook.statistics.sums import score

PARTS = ("headline", "body", "call_to_action")


def parted(folder: Path, rows: dict[str, int]) -> dict[str, Path]:
    """Compose rows, and part their copy; the file of each split."""
    made: dict[str, list[str]] = {split: [] for split in rows}
    for split, row in compose.briefs(rows):
        first, *middle, last = re.split(r"(?<=[.!?])\s+", row.pop("copy")[0])
        parts = dict(zip(PARTS, (first, " ".join(middle), last), strict=True))
        made[split].append(json.dumps({**row, **parts}, ensure_ascii=False) + "\n")
    files = {split: folder / f"{split}.jsonl" for split in rows}
    for split, lines in made.items():
        files[split].write_text("".join(lines), encoding="utf-8")
        print(f"{split}: {len(lines)} rows, such as {lines[0]}", end="", flush=True)
    return files


def measure(bundle: Path, file: Path) -> None:
    """Answer the test briefs with the structure kept and without, and print what is found."""
    manifest, recipe, writer = open_bundle(bundle)
    with tempfile.TemporaryDirectory() as place:
        rejects = RejectLog(Path(place) / "rejects.jsonl", 0)
        columns = recipe.family.inputs.predict_columns(recipe, manifest, None, [str(file)])
        content = recipe.family.inputs.bundle_content(recipe, manifest, Path(place), False)
        rows = content.inspect(read_rows([str(file)], "files", columns, rejects, split="rows"), rejects)
        prompts = [writer.encode_prompt(messages) for messages in recipe.prompts(rows)]
        print("| answers | parsable | field coverage | clean | seconds |")
        print("|---|---:|---:|---:|---:|")
        kept, answers = writer.generation, []
        for name, generation in (("free", replace(kept, schema=None)), ("kept", kept)):
            writer.generation, start = generation, time.perf_counter()
            found = writer.completions(prompts)
            seconds = time.perf_counter() - start
            measures = recipe.measures(rows, range(len(rows)), found, None)
            scores = [score(measures[key]) for key in ("parsable", "field_coverage", "clean_share")]
            cells = [f"{one.value:.3f} ({one.low:.3f} to {one.high:.3f})" for one in scores]
            print(f"| {name} | {' | '.join(cells)} | {seconds:.1f} |", flush=True)
            answers.append([several[0].text for several in found])
        same = sum(free == structured for free, structured in zip(*answers, strict=True))
        print(f"the same: {same} of {len(rows)}; the first: {answers[0][0]} | {answers[1][0]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="starter_text", help="an option of `model=`, or a folder")
    parser.add_argument("--rows", type=int, default=240, help="training rows")
    parser.add_argument("--briefs", type=int, default=200, help="test briefs")
    parser.add_argument("--run", type=Path, help="folder of the run (default: a temporary one)")
    parser.add_argument("overrides", nargs="*", help="more of the config, such as adapt=lora")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder, run = Path(place), given.run or Path(place) / "run"
        files = parted(folder, {"train": given.rows, "validation": 40, "test": given.briefs})
        model = f"model.name={given.model}" if Path(given.model).is_dir() else f"model={given.model}"
        command = [sys.executable, "-m", "tunebook", "train", "recipe=marketing_copy", f"run_dir={run}", model]
        command += [f"data.{split}={file}" for split, file in files.items()]
        command += ["recipe.fields=[name,features,tone]", f"recipe.target_fields=[{','.join(PARTS)}]"]
        command += ["evaluation.max_generations=20", *given.overrides]
        subprocess.run(command, check=True)
        measure(run / "model", files["test"])


if __name__ == "__main__":
    main()
