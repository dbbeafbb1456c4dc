"""Whether an ONNX file answers as the bundle does that it was made of: run by onnxruntime, in another process."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tunebook.bundle.manifest import Manifest
from tunebook.children import child_environment, python_command
from tunebook.data.batch import Batch
from tunebook.data.pairs import joined
from tunebook.errors import UserError
from tunebook.families.text_predictor import TextPredictor
from tunebook.models.pairs import has_pair_format
from tunebook.models.text_answers import golden_pairs
from tunebook.models.text_batches import TextItems, pad_batch
from tunebook.models.tokens import TokenRows, tokenize
from tunebook.training.head import Head

TOLERANCE, RELATIVE = 1e-4, 1e-5
"""Of float32: between probabilities or, in deviations of the training rows, numbers; last digits differ anyway."""
MARGIN, FARTHEST = 0.1, 0.25
"""Of int8: the smallest lead of a label that must stay, and the farthest that a number may move, in deviations."""
_LENGTHS, _LONGEST = (1, 4, 9, 24, 65, 130, 300, 1000), 1024
_PLAIN = [
    "Arrived on time and works exactly as described.",
    "The zip broke on the first day, and the shop does not answer.",
    "It is okay for the price, nothing special.",
    "How do I change the address of an order that has already been sent?",
    "Fits well, but the colour is much darker than in the picture.",
    "Two screws were missing, the manual is in another language, and the wheels squeak. I sent it back.",
    "Best purchase of the year!",
    "My card was charged twice yesterday.",
]
_LONG = "The seat is comfortable, the frame is light, and after a week of rain nothing has rusted yet. "


@dataclass(frozen=True)
class Reference:
    """Rows to be checked, with what the bundle answers to each of them alone.

    Attributes:
        rows: Inputs of each row, ``[1, tokens]`` each.
        together: The inputs of all rows in one batch, padded, ``[rows, tokens]``.
        answers: The bundle's, float64 ``[rows, outputs]``.
        texts: The golden rows as text, or pairs of them, for ``tokenizer.json`` alone.
    """

    rows: list[dict[str, NDArray[np.int64]]]
    together: dict[str, NDArray[np.int64]]
    answers: NDArray[np.float64]
    texts: list[list[str]] = field(default_factory=list)

    @property
    def golden(self) -> NDArray[np.float64]:
        """Answers to the golden rows, which come first."""
        return self.answers[: len(self.texts)]


@dataclass(frozen=True)
class Verdict:
    """What was found of a file that is accepted.

    Attributes:
        rows: Rows that were compared.
        largest_difference: Between its answers and the bundle's: of a probability, or of a number.
        labels_equal: Rows with the bundle's label, or all of its labels; None where answers are numbers.
        golden: Its answers to the golden rows.
        words: All this for people.
    """

    rows: int
    largest_difference: float
    labels_equal: int | None
    golden: list[list[float]]
    words: str


@dataclass(frozen=True)
class Answers:
    """What a file gave.

    Attributes:
        alone: For each row by itself, ``[rows, outputs]``.
        together: For all in one batch, ``[rows, outputs]``.
    """

    alone: NDArray[np.float64]
    together: NDArray[np.float64]


def reference(predictor: TextPredictor, manifest: Manifest) -> Reference:
    """The rows that an export is checked on: the golden ones, plain sentences, and texts of many lengths."""
    golden, parts = [each.text for each in manifest.golden], []
    for texts in (golden, _PLAIN):  # apart: the golden rows' second texts are the golden rows themselves
        if texts:
            parts.append(_tokens(predictor, texts, golden_pairs(texts, predictor.paired), predictor.max_length))
    longest = min(predictor.max_length, _LONGEST)
    for length in sorted({min(each, longest) for each in (*_LENGTHS, longest)}):
        if length >= 3:  # what a tokenizer adds must fit
            text = _LONG * (1 + length // 8)
            parts.append(_tokens(predictor, [text], [text] if predictor.paired else None, length))
    items = [item for part in parts for item in (TextItems(part, np.zeros(len(part)))[i] for i in range(len(part)))]
    pad = predictor.tokenizer.pad_token_id
    batches = [pad_batch([item], pad) for item in items]
    with torch.inference_mode():
        predictor.model.cpu().eval()
        answers = np.concatenate([_answer(predictor, batch) for batch in batches])
    shown = [list(each.values()) for each in golden_inputs(predictor, golden)]
    return Reference([_inputs(each) for each in batches], _inputs(pad_batch(items, pad)), answers, shown)


def golden_inputs(predictor: TextPredictor, golden: list[str]) -> list[dict[str, str]]:
    """The golden rows as a tokenizer is given them: ``text``, and ``text_pair`` where it has a format for two."""
    pairs = golden_pairs(golden, predictor.paired)
    if pairs is not None and has_pair_format(predictor.tokenizer):
        return [{"text": text, "text_pair": pair} for text, pair in zip(golden, pairs, strict=True)]
    return [{"text": text} for text in joined(golden, pairs)]


def _tokens(predictor: TextPredictor, texts: list[str], pairs: list[str] | None, length: int) -> TokenRows:
    return tokenize(texts, predictor.tokenizer, length, pairs)


def _inputs(batch: Batch) -> dict[str, NDArray[np.int64]]:
    return {name: tensor.numpy() for name, tensor in batch["inputs"].items()}


def _answer(predictor: TextPredictor, batch: Batch) -> NDArray[np.float64]:
    head = predictor.head
    answers: NDArray[np.float64] = head.probabilities(head.forward(predictor.model, batch)).double().numpy()
    return answers


def answers_elsewhere(
    file: Path, output: str, expected: Reference, folder: Path, scratch: Path
) -> tuple[Answers, list[NDArray[np.int64]]]:
    """What onnxruntime and tokenizers make of the rows in a process of their own.

    Args:
        file: The ONNX file.
        output: The output with the answers.
        expected: The rows.
        folder: Has ``tokenizer.json``.
        scratch: Takes what is passed between the two.

    Returns:
        The answers, and the token ids of the golden rows.

    Raises:
        UserError: The other process failed.
    """
    batches = {f"{i}/{name}": value for i, row in enumerate(expected.rows) for name, value in row.items()}
    batches |= {f"all/{name}": value for name, value in expected.together.items()}
    given, texts, found = scratch / "batches.npz", scratch / "texts.json", scratch / f"{file.stem}.npz"
    np.savez(given, **batches)  # type: ignore[arg-type]
    texts.write_text(json.dumps(expected.texts), encoding="utf-8")
    code = "import runpy; runpy.run_module('tunebook.models.onnx_texts', run_name='__main__', alter_sys=True)"
    arguments = map(str, (file, output, folder / "tokenizer.json", given, texts, found))
    done = subprocess.run(
        [*python_command(code), *arguments], env=child_environment(), capture_output=True, text=True, errors="replace"
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"it ended with {done.returncode}"
        raise UserError(
            f"onnxruntime cannot answer with {file.name}: {last[:300]}",
            code="export.failed",
            where=file.name,
            fix="use the bundle itself",
        )
    with np.load(found, allow_pickle=False) as stored:
        alone = np.concatenate([stored[f"answers/{i}"] for i in range(len(expected.rows))]).astype(np.float64)
        together = stored["answers/all"].astype(np.float64)
        return Answers(alone, together), [stored[f"ids/{i}"] for i in range(len(expected.texts))]


def check_tokens(expected: Reference, ids: list[NDArray[np.int64]], max_length: int, where: Path) -> None:
    """Refuse a ``tokenizer.json`` that by itself reads the golden rows otherwise than the bundle does.

    Raises:
        UserError: It does.
    """
    for number, (row, got) in enumerate(zip(expected.rows, ids, strict=False)):
        if len(got) <= max_length and not np.array_equal(got, row["input_ids"][0]):
            raise UserError(
                f"tokenizer.json alone gives other tokens than the bundle for its golden row {number + 1}.",
                code="export.other-answers",
                where=str(where),
                fix="use the bundle itself",
            )


def check_float32(expected: Reference, got: Answers, head: Head, deviation: float | None, where: Path) -> Verdict:
    """Refuse answers that differ by more than the tolerance, alone or padded.

    Raises:
        UserError: They do.
    """
    verdict = _verdict(expected, got, head, deviation)
    for answers in (got.alone, got.together):
        if not np.allclose(answers, expected.answers, atol=TOLERANCE * (deviation or 1.0), rtol=RELATIVE):
            raise UserError(
                f"The ONNX file answers otherwise than the bundle: {verdict.words}.",
                code="export.other-answers",
                where=str(where),
                fix="use the bundle itself",
            )
    return verdict


def check_int8(expected: Reference, got: Answers, head: Head, deviation: float | None, where: Path) -> Verdict:
    """Refuse 8 bits that change a label which led by more than the margin, or move a number too far.

    Raises:
        UserError: They do.
    """
    verdict = _verdict(expected, got, head, deviation)
    if deviation is None:
        changed = np.flatnonzero((_clear(expected, head) & ~_equal(expected, got, head)).any(axis=1))
        why = f"{len(changed)} labels change that led by more than {MARGIN}" if len(changed) else ""
    else:
        why = f"numbers move by more than {FARTHEST} deviations" * (verdict.largest_difference > FARTHEST * deviation)
    if why:
        raise UserError(
            f"The weights in 8 bits answer otherwise than the bundle: {why} ({verdict.words}).",
            code="export.other-answers",
            where=str(where),
            fix="--precision float32",
        )
    return verdict


def _verdict(expected: Reference, got: Answers, head: Head, deviation: float | None) -> Verdict:
    differences = [np.abs(each - expected.answers).max() for each in (got.alone, got.together)]
    largest, rows = float(max(differences)), len(expected.answers)
    equal = None if deviation is not None else int(_equal(expected, got, head).all(axis=1).sum())
    golden = got.alone[: len(expected.texts)].tolist()
    of = "probability" if deviation is None else "answer"
    words = f"largest difference of a{'n' * (of == 'answer')} {of} {largest:.2g}"
    if equal is not None:
        words = f"{equal} of {rows} labels as the bundle's, {words}"
    return Verdict(rows, largest, equal, golden, words)


def _clear(expected: Reference, head: Head) -> NDArray[np.bool_]:
    """What the bundle decides by more than the margin: the label of a row ``[rows, 1]``, or each ``[rows, labels]``."""
    if head.multilabel:
        thresholds = getattr(head, "thresholds", None)
        edges = 0.5 if thresholds is None else thresholds.numpy()
        return np.asarray(np.abs(expected.answers - edges) > MARGIN)
    top = np.sort(expected.answers, axis=1)
    return np.asarray(top[:, -1:] - top[:, -2:-1] > MARGIN)


def _equal(expected: Reference, got: Answers, head: Head) -> NDArray[np.bool_]:
    """What is decided as in the bundle, alone and padded, in the form of `_clear`."""
    wanted, *found = (
        head.decide(torch.from_numpy(each)).numpy().reshape(len(each), -1)
        for each in (expected.answers, got.alone, got.together)
    )
    return np.asarray((found[0] == wanted) & (found[1] == wanted))
