"""Ways to damage a file, and files that were made to do harm."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Damage = Callable[[bytes], bytes]


def damages(seed: int, flips: int = 4) -> Iterator[tuple[str, Damage]]:
    """Ways to damage any file, by name."""
    draw = random.Random(seed)
    yield "empty", lambda content: b""
    yield "half of it", lambda content: content[: len(content) // 2]
    yield "all but the last byte", lambda content: content[:-1]
    yield "its first bytes", lambda content: content[:9]
    yield "zeros of its size", lambda content: bytes(len(content))
    yield "a zero-filled tail", lambda content: content[: len(content) // 2] + bytes(len(content) - len(content) // 2)
    yield "twice", lambda content: content * 2
    yield "rubbish in front", lambda content: b"\x00\xff\xfe rubbish" + content
    for number in range(flips):
        yield f"flipped bytes {number}", flipped(draw.random())


def flipped(seed: float) -> Damage:
    """Some bytes changed, at random places."""

    def damage(content: bytes) -> bytes:
        draw, changed = random.Random(seed), bytearray(content)
        for _ in range(max(1, len(content) // 400)):
            if changed:
                changed[draw.randrange(len(changed))] = draw.randrange(256)
        return bytes(changed)

    return damage


class Payload:
    """What a pickle runs when it is loaded: it leaves a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.canary}/$$",)


def pickled(canary: Path) -> bytes:
    """A pickle that runs a command."""
    return pickle.dumps(Payload(canary))


def zipped_pickle(canary: Path) -> bytes:
    """The same as torch writes pickles."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", pickled(canary))
        archive.writestr("archive/version", "3\n")
    return stream.getvalue()


def npy(shape: tuple[int, ...], content: bytes = b"", descr: str = "|u1") -> bytes:
    """An array file whose header says what it likes."""
    header = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    header += b" " * (63 - (10 + len(header)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


def npz(arrays: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An .npz of such array files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in arrays.items():
            archive.writestr(f"{name}.npy", content)
    return stream.getvalue()


def gzip_of(piece: bytes, times: int, start: bytes = b"", end: bytes = b"") -> bytes:
    """A gzip of one piece many times over, packed once: members of a gzip read as one text."""
    return packed(start) + packed(piece) * times + packed(end)


def png(width: int, height: int) -> bytes:
    """A PNG that says that it is so large, and has a row of it."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def white_png(width: int, height: int) -> bytes:
    """A whole PNG of one colour: small as a file, large as a picture."""
    from PIL import Image

    stream = io.BytesIO()
    Image.new("1", (width, height), 1).save(stream, "PNG")
    return stream.getvalue()


def many_scans() -> bytes:
    """A progressive JPEG of 64 million pixels whose last scan comes a thousand times."""
    from PIL import Image

    stream = io.BytesIO()
    Image.new("L", (8000, 8000), 128).save(stream, "JPEG", progressive=True)
    whole = stream.getvalue()
    last, end = whole.rindex(b"\xff\xda"), whole.rindex(b"\xff\xd9")
    return whole[:end] + whole[last:end] * 1000 + whole[end:]


def deep_json(depth: int = 200_000) -> bytes:
    """Lists in lists."""
    return b'{"a": ' + b"[" * depth + b"]" * depth + b"}"


def yaml_bomb(levels: int = 12) -> str:
    """Aliases of aliases: a billion values and more."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, levels)]
    return "\n".join(lines) + "\n"


def changed_json(content: bytes) -> Iterator[tuple[str, bytes]]:
    """A JSON object with each of its values gone, or of another kind; nothing of a list."""
    found = json.loads(content)
    if not isinstance(found, dict):
        return
    others: list[Any] = [None, [], {}, "text", -1, 10**12, True, 1e308, ["a", 1]]
    for number, key in enumerate(found):
        yield f"no {key}", json.dumps({k: v for k, v in found.items() if k != key}).encode()
        for other in (others[number % len(others)], others[(number + 4) % len(others)]):
            if type(other) is not type(found[key]):
                yield f"{key} is {other}", json.dumps({**found, key: other}).encode()


def kinds(content: bytes) -> Iterator[tuple[str, bytes]]:
    """JSON that is no object, or no JSON."""
    yield from {
        "a list": b"[1]",
        "null": b"null",
        "a number": b"17",
        "a text": b'"text"',
        "an empty object": b"{}",
        "no JSON": b"{not json}",
        "deep": deep_json(),
        "a byte that is no UTF-8": content[:-1] + b"\xff" + content[-1:],
        "UTF-16": b"\xff\xfe" + content.decode().encode("utf-16-le"),
        "a huge number": b'{"format": ' + b"9" * 10_000 + b"}",
        "NaN": b'{"format": NaN}',
    }.items()


def packed(content: bytes) -> bytes:
    """Gzipped, without the time."""
    return gzip.compress(content, mtime=0)
