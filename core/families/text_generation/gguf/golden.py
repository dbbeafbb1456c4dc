"""Golden prompts: what a bundle makes of them, and whether a GGUF file that was made of it does the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tunebook.errors import UserError
from tunebook.families.text_generation.data.proof import SYSTEM
from tunebook.families.text_generation.data.template import ChatTemplate
from tunebook.families.text_generation.model.generate import write
from tunebook.families.text_generation.model.generation import Generation
from tunebook.families.text_generation.predictor import TextGenerator, nothing
from tunebook.models.positions import positions

TOLERANCES = {"f32": 1e-3, "f16": 2e-2, "bf16": 1e-1, "q8_0": 1e-1}
"""By precision: how far the probability of a next token may be from the bundle's."""
ERRORS = {"f32": 1e-3, "f16": 1e-2, "bf16": 5e-2, "q8_0": 1e-1}
"""By precision: the largest error of the logits (root of the mean square), in their standard deviations."""
TOKENS = 32
"""Tokens of an answer that are compared."""
_QUESTIONS = (
    "Where is my parcel?",
    "I ordered 3 lamps for £42.50 on 12/11 (order 80-4416); they've sent 2, and I'LL need 1250 more.",
    "Größe 7½, naïve café, 你好 世界, 🙂👩‍👩‍👧!\n\n  - first\n\t- second...\n\n\nDON'T   forget    http://a.b/c?d=1_e",
)
_ANSWER = "I am sorry to hear that. It is on its way, and there are £12 back."


@dataclass(frozen=True)
class Reference:
    """What the bundle makes of the golden prompts.

    Attributes:
        texts: The prompts, as its template writes them.
        prompts: Their token ids.
        answers: Token ids of its greedy answers, with the one that ends them.
        logits: Of each token of an answer those of all tokens in its place, float32 ``[tokens, vocabulary]`` each.
    """

    texts: list[str]
    prompts: list[list[int]]
    answers: list[list[int]]
    logits: list[NDArray[np.float32]]


@dataclass(frozen=True)
class Verdict:
    """What was found of a file that is accepted.

    Attributes:
        prompts: Golden prompts.
        same: Those whose greedy answer is the bundle's.
        tokens: Tokens of the bundle's answers.
        chosen: Those that the file would choose too, behind the same ones.
        largest: The largest difference of a next token's probability.
        error: The error of the logits, in their standard deviations.
    """

    prompts: int
    same: int
    tokens: int
    chosen: int
    largest: float
    error: float

    @property
    def words(self) -> str:
        """All this for people."""
        answers = f"{self.same} of {self.prompts} greedy answers and {self.chosen} of their {self.tokens} tokens"
        differences = f"of a probability {self.largest:.2g}, error of the logits {self.error:.2g} deviations"
        return f"{answers} as the bundle's, largest difference {differences}"


def reference(writer: TextGenerator) -> Reference:
    """The bundle's answers to the golden prompts that fit its positions."""
    template, model = writer.template, writer.model.cpu().eval()
    assert isinstance(template, ChatTemplate)
    limit = positions(sizes_of(model)) or 2**31
    texts, prompts = [], []
    for turns in _conversations(not template.no_system):
        ids = template.prompt(turns).tolist()
        if len(ids) + TOKENS <= limit:
            texts.append(template.rendering.text(turns, prompt=True))
            prompts.append(ids)
    greedy = Generation(max_new_tokens=TOKENS)
    found = write(model, writer.tokenizer, prompts, greedy, template.end_of_turn_ids, 1, "cpu", nothing)
    answers = [several[0].ids for several in found]
    logits = [answer_logits(model, prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)]
    return Reference(texts, prompts, answers, logits)


def sizes_of(model: Any) -> dict[str, Any]:
    """What a model's config says of the part that reads and writes texts."""
    settings: dict[str, Any] = model.config.get_text_config().to_dict()
    return settings


def _conversations(system: bool) -> list[list[dict[str, str]]]:
    found = [[{"role": "user", "content": question}] for question in _QUESTIONS]
    found.append([*found[0], {"role": "assistant", "content": _ANSWER}, *found[1]])
    if system:
        found.append([{"role": "system", "content": SYSTEM}, *found[0]])
    return found


@torch.inference_mode()
def answer_logits(model: Any, prompt: Sequence[int], answer: Sequence[int]) -> NDArray[np.float32]:
    """The logits that each token of an answer was chosen by, float32 ``[tokens, vocabulary]``."""
    ids = torch.tensor([[*prompt, *answer]])
    logits = model(input_ids=ids[:, :-1], use_cache=False).logits[0, len(prompt) - 1 :]
    found: NDArray[np.float32] = logits.float().numpy()
    return found


def check_tokens(expected: Reference, got: Sequence[Sequence[int]], where: Path) -> None:
    """Refuse a file whose vocabulary reads a golden prompt otherwise than the bundle.

    Raises:
        UserError: It does.
    """
    for number, (wanted, found) in enumerate(zip(expected.prompts, got, strict=True), 1):
        if list(found) != wanted:
            equal = [a == b for a, b in zip(wanted, found, strict=False)]
            first = 1 + ([*equal, False].index(False))
            raise UserError(
                f"The GGUF file reads golden prompt {number} as other tokens than the bundle, from token {first} on.",
                code="export.other-answers",
                where=str(where),
                fix="use the bundle itself",
            )


def compare(expected: Reference, got: Sequence[NDArray[np.float32]], precision: str, where: Path) -> Verdict:
    """Refuse a file whose next tokens are too far from the bundle's.

    Args:
        expected: The bundle's.
        got: The file's logits for the bundle's answers.
        precision: Of the file.
        where: The file, for the message.

    Raises:
        UserError: They are.
    """
    same, chosen, largest, squares, variance = 0, 0, 0.0, [], []
    for answer, *both in zip(expected.answers, expected.logits, got, strict=True):
        width = min(each.shape[1] for each in both)  # either may have rows for tokens that nobody has
        wanted, found = (each[:, :width].astype(np.float64) for each in both)
        equal = found.argmax(axis=1) == np.array(answer)
        same, chosen = same + int(equal.all()), chosen + int(equal.sum())
        largest = max(largest, float(np.abs(_softmax(found) - _softmax(wanted)).max()))
        difference = found - wanted
        squares.append(np.square(difference - difference.mean(axis=1, keepdims=True)).mean())
        variance.append(wanted.var(axis=1).mean())
    error = float(np.sqrt(np.mean(squares) / np.mean(variance)))
    verdict = Verdict(len(got), same, sum(map(len, expected.answers)), chosen, largest, error)
    if not (largest <= TOLERANCES[precision] and error <= ERRORS[precision]):
        raise UserError(
            f"The GGUF file answers otherwise than the bundle: {verdict.words}.",
            code="export.other-answers",
            where=str(where),
            fix="--precision f32, or use the bundle itself" if precision != "f32" else "use the bundle itself",
        )
    return verdict


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = weights / weights.sum(axis=1, keepdims=True)
    return shares
