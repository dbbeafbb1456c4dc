"""predictions.csv of written answers, and losses.csv: the tables that a model which writes leaves behind.

Each is written next to its place and renamed, so that a file with that name is always whole.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunebook.families.text_generation.metrics.answers import GeneratedAnswers
from tunebook.families.text_generation.metrics.facts import stated
from tunebook.files import written_whole


def write_answers(
    path: Path,
    answers: GeneratedAnswers,
    others: Mapping[str, GeneratedAnswers] | None = None,
    turns: Sequence[int] | None = None,
) -> None:
    """Write one line a row: file, line, prompt, reference, the answer, and `answer_<other>` of each other model.

    Where the answer has a place in a conversation its `turn` follows the line; where rows have required facts,
    `facts_stated` and `facts_required` count them. Several references, or one that begins with `[`, are a JSON list.
    As in `write_predictions` no text is changed for the sake of a spreadsheet.

    Args:
        path: The file.
        answers: Of the tuned model.
        others: Another model -> its answers to the same rows.
        turns: Place of each answer in its conversation, `[rows]`.
    """
    columns: dict[str, Sequence[Any]] = {"file": answers.files, "line": answers.lines}
    if turns is not None:
        columns["turn"] = turns
    columns |= {"prompt": answers.prompts, "reference": [_references(each) for each in answers.references]}
    columns |= {"answer": answers.outputs}
    columns |= {f"answer_{name.replace(' ', '_')}": other.outputs for name, other in (others or {}).items()}
    if answers.facts is not None:
        stated_facts = [stated(output, facts) for output, facts in zip(answers.outputs, answers.facts, strict=True)]
        columns |= {"facts_stated": stated_facts, "facts_required": [len(facts) for facts in answers.facts]}
    with written_whole(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def write_losses(
    path: Path, files: Sequence[str], lines: Sequence[int], sums: NDArray[np.float64], said: NDArray[np.float64]
) -> None:
    """Write what each test row adds to perplexity and to bits per byte: file, line, loss in nats, tokens, bytes.

    Args:
        path: The file.
        files: Source file of each row.
        lines: Line in that file of each row.
        sums: Loss and supervised tokens of each row, `[rows, 2]`.
        said: Bytes of the answers of each row, `[rows]`.
    """
    with written_whole(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", "line", "loss", "tokens", "bytes"])
        # repr of a float is read back as the same number
        writer.writerows(
            [name, line, repr(float(loss)), int(tokens), int(count)]
            for name, line, (loss, tokens), count in zip(files, lines, sums, said, strict=True)
        )


def _references(references: Sequence[str]) -> str:
    if len(references) == 1 and not references[0].startswith("["):
        return references[0]
    return json.dumps(references, ensure_ascii=False)
