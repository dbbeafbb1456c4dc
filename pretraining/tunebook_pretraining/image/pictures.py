"""Formulas drawn once into a file of bytes, and batches read from it."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tunebook import UserError
from tunebook.data.batch import Batch
from tunebook.data.encoded import Encoded
from tunebook.data.module import Examples
from tunebook.progress import counting

from . import formulas

if TYPE_CHECKING:
    from tunebook.config.schema import TrainConfig
    from tunebook.data.load_and_validate import ValidatedData
    from tunebook.data.rows import Rows

MEAN, STD = 0.5, 0.5


@dataclass(frozen=True)
class Pictures(Sequence[Any]):
    """Pictures ``[rows, size, size, 3]`` and class numbers ``[rows]``."""

    pixels: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, row: Any) -> tuple[np.ndarray, int, int]:
        return self.pixels[row], int(self.targets[row]), int(row)


def stack_pictures(items: Sequence[tuple[np.ndarray, int, int]]) -> Batch:
    """A batch ``[batch, 3, size, size]`` of numbers from -1 to 1."""
    pixels = torch.from_numpy(np.stack([pixels for pixels, _, _ in items])).permute(0, 3, 1, 2)
    return {
        "inputs": ((pixels.float() / 255 - MEAN) / STD).contiguous(),
        "target": torch.tensor([target for _, target, _ in items]),
        "row": torch.tensor([row for _, _, row in items]),
    }


def draw_all(rows: Rows, size: int, cache_dir: Path, progress: bool) -> np.ndarray:
    """Draw every formula of a split, or map the file where that was done before."""
    version = hashlib.sha256(Path(formulas.__file__).read_bytes()).hexdigest()
    key = hashlib.sha256(f"{rows.fingerprint}\n{size}\n{version}".encode()).hexdigest()[:32]
    file = cache_dir / "formulas" / f"{key}.bin"
    shape = (len(rows), size, size, 3)
    if not file.is_file() or file.stat().st_size != int(np.prod(shape)):
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=file.parent)
        try:
            with os.fdopen(handle, "wb") as stream, counting(f"{rows.split} pictures", len(rows), progress) as advance:
                for formula in rows.texts("picture"):
                    family, kind, number = formula.split()
                    stream.write(formulas.picture(family, int(kind), int(number), size).tobytes())
                    advance(1)
            os.replace(partial, file)
        except BaseException:
            Path(partial).unlink(missing_ok=True)
            raise
    return np.memmap(file, dtype=np.uint8, mode="r", shape=shape)


def encode_pictures(checked: ValidatedData, config: TrainConfig, size: int) -> Encoded:
    """All splits as pictures and class numbers."""
    assert checked.labels is not None
    if not 16 <= size <= 512:
        raise UserError(
            f"recipe.size must be from 16 to 512 pixels, not {size}.",
            code="config.out-of-range",
            where="recipe.size",
            fix="recipe.size=64",
        )
    splits, rows, identity = {}, {}, {}
    for name in ("train", "validation", "test"):
        part: Rows = getattr(checked, name)
        pixels = draw_all(part, size, Path(config.data.cache_dir), config.trainer.progress)
        targets = np.array([checked.labels.index(label) for label in part.texts("label")], dtype=np.int64)
        splits[name] = Examples(Pictures(pixels, targets), np.ones(len(part), dtype=np.int64))
        rows[name], identity[name] = part, f"{part.fingerprint}\n{size}"
    return Encoded(splits, rows, stack_pictures, None, size, {"size": f"{size} x {size} pixels"}, identity)
