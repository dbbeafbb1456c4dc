"""``python -m tunebook.recipes.marketing_copy.compose <folder>``: the sample briefs, or more of their kind.

The rows are narrow on purpose: a model of a few million parameters learns from some hundred of them to write what a
brief says, which it cannot learn from as many briefs about everything.
"""

from __future__ import annotations

import argparse
import errno
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .vocabulary import NAMES, THINGS, Thing

ROWS = {"train": 240, "validation": 40, "test": 80}
MOST = 100_000
"""Of over a million different ones."""

# What a tone begins and ends with.
OPENINGS = {
    "plain": ("The {name} is made of {material}.", "{material}: that is the {name}."),
    "playful": ("Hello, {name}! Hello, {material}!", "Say hello to the {name}, all {material}."),
}
ENDINGS = {
    "plain": ("It costs {price}.", "The price is {price}."),
    "playful": ("All that for {price}.", "And it is only {price}!"),
}
AVOIDED = ("cheap", "luxury", "perfect")


def briefs(rows: dict[str, int], seed: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    """Briefs with their copy, each with its split; none has the name and the features of another.

    Args:
        rows: How many of each split.
        seed: Another one gives other briefs.
    """
    draw = random.Random(seed)
    seen: set[tuple[str, ...]] = set()
    number = 0
    for split, count in rows.items():
        wanted = count
        while wanted:
            row = _brief(draw)
            key = (row["name"], *row["features"])
            if key not in seen:
                seen.add(key)
                wanted -= 1
                number += 1
                yield split, {"id": f"brief-{number:04d}", **row}


def _brief(draw: random.Random) -> dict[str, Any]:
    kind = draw.choice(list(THINGS))
    thing: Thing = THINGS[kind]
    tone, name, number = draw.choice(list(OPENINGS)), f"{draw.choice(NAMES)} {kind}", draw.choice(thing.sizes)
    perk, said = draw.choice(thing.perks)
    values = {"name": name, "material": draw.choice(thing.material), "price": f"${draw.randrange(9, 99)}"}
    size = thing.size[1].format(number)
    copies = [
        f"{_sentence(opening, values)} {size} and {said}. {ending.format(**values)}"
        for opening, ending in zip(OPENINGS[tone], ENDINGS[tone], strict=True)
    ]
    return {
        "name": name,
        "features": [values["material"], thing.size[0].format(number), perk, values["price"]],
        "tone": tone,
        "must_mention": [values["price"]],
        "must_avoid": [draw.choice(AVOIDED)] if draw.random() < 0.1 else [],
        "copy": draw.sample(copies, 2) if draw.random() < 0.2 else [draw.choice(copies)],
    }


def _sentence(pattern: str, values: dict[str, str]) -> str:
    made = pattern.format(**values)
    return made[0].upper() + made[1:]


def write(folder: Path, rows: dict[str, int], seed: int = 0) -> None:
    """Write ``train.jsonl``, ``validation.jsonl`` and ``test.jsonl``, or none where one of them is there.

    Args:
        folder: Where; it is made.
        rows: How many of each split.
        seed: Another one gives other briefs.

    Raises:
        FileExistsError: There is one of the files already.
        OSError: The folder cannot be written.
    """
    files = {split: folder / f"{split}.jsonl" for split in rows}
    for file in files.values():
        if file.exists():
            raise FileExistsError(errno.EEXIST, "it is there already", str(file))
    folder.mkdir(parents=True, exist_ok=True)
    made: dict[str, list[str]] = {split: [] for split in rows}
    for split, row in briefs(rows, seed):
        made[split].append(json.dumps(row, ensure_ascii=False) + "\n")
    for split, file in files.items():
        file.write_text("".join(made[split]), encoding="utf-8", newline="\n")


def main(words: Sequence[str] | None = None) -> None:
    """Write briefs as the words of the command line say."""
    prog = "python -m tunebook.recipes.marketing_copy.compose"
    parser = argparse.ArgumentParser(prog=prog, description="Compose briefs and their copy, split for training.")
    parser.add_argument("folder", type=Path, help="where to write train.jsonl, validation.jsonl and test.jsonl")
    parser.add_argument("--rows", type=int, default=ROWS["train"], help="briefs to train on (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other briefs (default: 0)")
    options = parser.parse_args(words)
    if not 1 <= options.rows <= MOST:
        parser.error(f"--rows is {options.rows}, but must be 1 to {MOST}")
    try:
        write(options.folder, {**ROWS, "train": options.rows}, options.seed)
    except OSError as error:
        parser.error(f"{error.filename} cannot be written: {error.strerror}")


if __name__ == "__main__":
    main()
