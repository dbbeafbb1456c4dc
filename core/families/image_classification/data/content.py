"""What only a look at the pictures shows: which cannot be used, and which are the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tunebook.data.content import Layout, Passages
from tunebook.data.duplicates import Duplicates
from tunebook.data.rejects import RejectLog
from tunebook.data.rows import FILE, IMAGE, LINE, PIXELS, Rows, RowWriter
from tunebook.families.image_classification.data.alike import find_alike
from tunebook.families.image_classification.data.arrays import inside
from tunebook.families.image_classification.data.decoded import Decoding
from tunebook.families.image_classification.data.resize import Square
from tunebook.families.image_classification.data.store import ImageStore, open_store
from tunebook.progress import counting


class ImageContent:
    """The pictures of rows, decoded once.

    Args:
        square: What each picture becomes.
        decoding: How a file's values become a picture.
        cache_dir: Where decoded pictures are kept.
        column: Name of the column with the paths, for messages.
        progress: Show on a terminal how far it is.
        full: Largest value that 16-bit files may have, which do not say what full brightness is; 0: none is taken;
            None: any, as in training, where it is found.
        tried: What was found where the model was tried, to be shown.
    """

    what = "image"
    adds = (PIXELS,)
    line = ""
    passages: Mapping[str, Passages] = {}
    ungrouped = (
        "no data.group is given: images of one patient may fall into different splits, and the scores may be too high"
    )

    def __init__(
        self,
        square: Square,
        decoding: Decoding,
        cache_dir: Path,
        column: str = "path",
        progress: bool = True,
        full: int | None = None,
        tried: Mapping[str, str] | None = None,
    ) -> None:
        self.square = square
        self.decoding = decoding
        self.cache_dir = cache_dir
        self.column = column
        self.progress = progress
        self.full = full
        self.tried = dict(tried or {})
        self.stores: list[ImageStore] = []
        self._places: dict[str, tuple[int, int]] = {}

    def inspect(self, rows: Rows, rejects: RejectLog) -> Rows:
        """Look at every picture; bad ones go to ``rejects``, the others get the digest of their pixels as a role.

        Raises:
            UserError: The decoded pictures cannot be kept.
        """
        references = rows.texts(IMAGE)
        with counting(f"images of {rows.split} rows", len(rows), self.progress) as advance:
            store = open_store(references, self.square, self.decoding, self.cache_dir, advance)
        too_deep = self._too_deep(store)
        for row, reason in sorted([*store.rejects, *too_deep.items()]):
            file, line = rows.column(FILE)[row].as_py(), rows.column(LINE)[row].as_py()
            rejects.add(file, line, self.column, f"{reason} ({_short(references[row])})", references[row])
        number = len(self.stores)
        self.stores.append(store)
        usable = np.flatnonzero(~np.isin(store.rows, list(too_deep)))
        digests = [bytes(store.digests[position]).hex() for position in usable]
        for position, digest in zip(usable.tolist(), digests, strict=True):
            self._places.setdefault(digest, (number, position))
        return _with_digests(rows.take(store.rows[usable]), digests)

    def _too_deep(self, store: ImageStore) -> dict[int, str]:
        """Rows whose values the model has no scale for, and why."""
        if self.full is None:
            return {}
        found = {}
        for position in np.flatnonzero(np.isnan(store.peaks) & (store.maxima > self.full)).tolist():
            reason = f"has values up to {store.maxima[position]}, above full brightness, which is {self.full} here"
            if not self.full:
                reason = "has 16 bits, but training used 8-bit images: save it as 8 bits, or train with recipe.bits"
            found[int(store.rows[position])] = reason
        return found

    def alike(self, layout: Layout, threshold: float) -> Duplicates:
        """Which pictures of all splits are the same, exactly or nearly."""
        thumbnails = self.thumbnails(layout.column(PIXELS).to_pylist())
        digests = np.array([list(bytes.fromhex(d)) for d in layout.column(PIXELS).to_pylist()], dtype=np.uint8)
        return find_alike(digests.reshape(-1, 16), thumbnails, threshold)

    def thumbnails(self, digests: list[str]) -> NDArray[np.uint8]:
        """The thumbnail of each picture by its digest, ``[pictures, 32, 32]``."""
        places = self.places(digests)
        found = np.zeros((len(places), 32, 32), dtype=np.uint8)
        for number, store in enumerate(self.stores):
            here = np.flatnonzero(places[:, 0] == number)
            found[here] = store.thumbnails[places[here, 1]]
        return found

    def places(self, digests: list[str]) -> NDArray[np.int64]:
        """Store and position of each picture by its digest, ``[rows, 2]``."""
        return np.array([self._places[digest] for digest in digests], dtype=np.int64).reshape(-1, 2)


def _short(reference: str) -> str:
    """An image's name with its folder, or its number in an .npz file."""
    within = inside(reference)
    return f"{within[1]}[{within[2]}]" if within else "/".join(Path(reference).parts[-2:])


def _with_digests(rows: Rows, digests: list[str]) -> Rows:
    """The rows with one more role."""
    roles = rows.table.select(list(rows.roles))
    table = roles.append_column(pa.field(PIXELS, pa.string()), pa.array(digests, pa.string()))
    for name in (FILE, LINE):
        table = table.append_column(rows.table.schema.field(name), rows.column(name))
    writer = RowWriter(table.schema, rows.split)
    writer.add_table(table)
    return writer.finish()
