"""Made-up sample rows of each family: enough to train for a few steps, and alike on no two sides of a split."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path

SPLITS = {"train": 36, "validation": 12, "test": 18}
"""Rows of each split."""

_TROUBLES = {
    "billing": ("charged twice for", "sent a wrong invoice for", "still waiting for a refund of", "asked to pay for"),
    "delivery": ("waiting for the parcel with", "told of a delay of", "given another street for", "sent half of"),
    "repair": ("left with a broken", "missing a screw of", "unable to switch on", "looking for spare parts of"),
}
_THINGS = ("a kettle", "two lamps", "our tent", "the blue rug", "my radio", "that desk")
_OPENINGS = ("Good morning, I was", "We have been", "Since Monday I am", "Hello again, my mother was", "My team is")
_TASKS = (
    ("paint", "rooms", 4.5),
    ("oil", "door hinges", 0.25),
    ("repair", "garden fences", 3.0),
    ("clean", "windows", 0.5),
)
"""What is to be done, to what, and the hours that each takes."""
_OPENERS = ("Please", "We need you to", "Could you", "Before the summer,", "The landlord asks us to")
_COLOURS = ("red", "blue", "green", "grey")
_LABELS = ("spots", "stripes")
_SIDE = 48  # pixels
_SHADES = 8


def text_rows() -> dict[str, list[tuple[str, str]]]:
    """Texts with their labels, by split; what is said of which thing and how goes through all its combinations."""
    said = list(product(range(4), range(len(_THINGS)), range(len(_OPENINGS))))
    picked = [said[(7 * i) % len(said)] for i in range(len(said))]  # 7 and 120 share no factor: each comes once
    rows = [
        (f"{_OPENINGS[o]} {phrases[p]} {_THINGS[t]}, order {100 + 37 * i % 900}.", label)
        for i, (p, t, o) in enumerate(picked)
        for label, phrases in _TROUBLES.items()
    ]
    return _by_split(rows)


def _by_split(rows: Sequence[tuple[str, str]]) -> dict[str, list[tuple[str, str]]]:
    found, start = {}, 0
    for split, count in SPLITS.items():
        found[split] = list(rows[start : start + count])
        start += count
    return found


def conversations() -> dict[str, list[dict[str, object]]]:
    """A question and its answer, by split; each split asks about things of its own."""
    things = {
        "train": ("kettle", "lamp", "tent", "rug", "radio", "desk", "clock", "bench", "drill"),
        "validation": ("ladder", "mirror", "stove"),
        "test": ("blender", "hammock", "suitcase", "armchair"),
    }
    exchanges: Sequence[Callable[[str, str], tuple[str, str]]] = (
        lambda thing, colour: (f"Do you have the {thing} in {colour}?", f"Yes, the {thing} comes in {colour}."),
        lambda thing, colour: (f"Can I return a {colour} {thing}?", f"Any {thing} can be returned within 30 days."),
    )
    return {
        split: [
            {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}
            for i, thing in enumerate(names)
            for j, ask in enumerate(exchanges)
            for question, answer in [ask(thing, _COLOURS[(i + 2 * j) % 4]), ask(thing, _COLOURS[(i + 2 * j + 1) % 4])]
        ]
        for split, names in things.items()
    }


def picture(label: str, number: int) -> bytes:
    """A grey PNG with stripes or spots, of a width, a direction and a place of its own."""
    import numpy as np
    from PIL import Image

    draw = np.random.default_rng([_LABELS.index(label), number])
    turn, period = draw.uniform(0, np.pi), draw.uniform(7, 15)
    first, second = draw.uniform(0, 2 * np.pi, 2)
    y, x = np.mgrid[:_SIDE, :_SIDE] * (2 * np.pi / period)
    along, across = x * np.cos(turn) + y * np.sin(turn) + first, y * np.cos(turn) - x * np.sin(turn) + second
    wave = np.cos(along) if label == "stripes" else np.cos(along) * np.cos(across)
    low, high = np.sort(draw.uniform(0, 1, 2)) * 0.4 + [0, 0.6]
    shades = np.round((low + (high - low) * (wave + 1) / 2) * (_SHADES - 1)) * (255 // (_SHADES - 1))
    stream = io.BytesIO()
    Image.fromarray(shades.astype(np.uint8)).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def image_files() -> dict[str, bytes]:
    """Pictures, and a table of each split that names them."""
    files: dict[str, bytes] = {}
    number = 0
    for split, count in SPLITS.items():
        rows = []
        for _ in range(count):
            label = _LABELS[number % 2]
            files[f"images/{label}_{number:02}.png"] = picture(label, number)
            rows.append((f"images/{label}_{number:02}.png", label))
            number += 1
        files[f"{split}.csv"] = _csv([("path", "label"), *rows])
    return files


def _csv(rows: Sequence[tuple[str, str]]) -> bytes:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue().encode("utf-8")


def _text_files() -> dict[str, bytes]:
    return {f"{split}.csv": _csv([("text", "label"), *rows]) for split, rows in text_rows().items()}


def _conversation_files() -> dict[str, bytes]:
    return {
        f"{split}.jsonl": "".join(json.dumps(row) + "\n" for row in rows).encode("utf-8")
        for split, rows in conversations().items()
    }


def number_rows() -> dict[str, list[tuple[str, str]]]:
    """Texts with the hours that something takes, by split; the task and its size make the number."""
    drawn = list(product(range(len(_TASKS)), range(2, 11), range(len(_OPENERS))))
    picked = [drawn[(17 * i) % len(drawn)] for i in range(len(drawn))]  # shares no factor: each comes once
    rows = []
    for i, (t, count, o) in enumerate(picked):
        task, things, hours = _TASKS[t]
        rows.append((f"{_OPENERS[o]} {task} {count} {things}, job {100 + 37 * i % 900}.", f"{count * hours:g}"))
    return _by_split(rows)


def _number_files() -> dict[str, bytes]:
    return {f"{split}.csv": _csv([("text", "hours"), *rows]) for split, rows in number_rows().items()}


FILES: Mapping[str, Callable[[], dict[str, bytes]]] = {
    "text_classification": _text_files,
    "image_classification": image_files,
    "text_generation": _conversation_files,
    "text_regression": _number_files,
}
"""Family -> what makes its samples, by name within the folder of samples."""


def write_samples(family: str, folder: Path) -> None:
    """Write the sample rows of a family."""
    for name, content in FILES[family]().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
