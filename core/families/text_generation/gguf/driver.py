"""llama.cpp's converter in a process of its own, with answers to what it asks and a bundle knows better.

Run as a program: the converter's file, llama.cpp's name of the pre-tokenizer or "", the id of the token that ends a
turn, and then the converter's own arguments.

- The converter recognises a pre-tokenizer by a hash of token ids, so not that of a vocabulary that it has not seen.
  Where it gives up, it is given the name that was proved (`pre_tokenizers`), and without one the process ends with
  `UNKNOWN`. A name that it finds itself stays.
- A chat template writes the beginning of a text and the end of a turn itself, so no token is added to a prompt,
  whatever the tokenizer adds to plain texts.
- A vocabulary in the form of sentencepiece has a score for each token, which ``tokenizer.json`` has not, and the
  converter writes the same one for all. The merges say it too: the earlier one makes a token, the higher its score.
- Generation stops at the end of a turn, also where the tokenizer's end of text is another token.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

UNKNOWN = 9
"""How the process ends where neither the converter nor a proof knows the pre-tokenizer."""


def main(script: str, pre_tokenizer: str, end_of_turn: str, *arguments: str) -> None:
    """Be the converter."""
    sys.path.insert(0, str(Path(script).parent))  # as for a script; the parts of the converter lie there
    sys.argv = [script, *arguments]
    spec = spec_from_file_location(Path(script).stem, script)
    assert spec is not None and spec.loader is not None
    converter = module_from_spec(spec)
    sys.modules[converter.__name__] = converter
    spec.loader.exec_module(converter)
    for kind in _classes(converter):
        if "get_vocab_base_pre" in vars(kind):
            _name_pre_tokenizer(kind, pre_tokenizer)
    import gguf  # the converter's own

    _set_special_tokens(gguf.SpecialVocab, int(end_of_turn))
    if hasattr(gguf, "LlamaHfVocab"):
        _set_scores(gguf.LlamaHfVocab)
    converter.main()


def _classes(module: ModuleType) -> Iterator[Any]:
    """The classes that a module names, and all that derive from them."""
    waiting: list[Any] = [each for each in vars(module).values() if isinstance(each, type)]
    seen = set(waiting)
    while waiting:
        kind = waiting.pop()
        yield kind
        more: set[Any] = set(type.__subclasses__(kind)) - seen
        seen |= more
        waiting += more


def _name_pre_tokenizer(kind: Any, name: str) -> None:
    asked = kind.get_vocab_base_pre

    def answered(self: Any, tokenizer: Any) -> Any:
        try:
            return asked(self, tokenizer)
        except NotImplementedError:
            return name or sys.exit(UNKNOWN)

    kind.get_vocab_base_pre = answered


def _set_special_tokens(vocabulary: Any, end_of_turn: int) -> None:
    write = vocabulary.add_to_gguf

    def written(self: Any, *arguments: Any, **options: Any) -> None:
        self.add_special_token = {**dict.fromkeys(self.add_special_token, False), "bos": False, "eos": False}
        if self.special_token_ids.get("eos") != end_of_turn:
            self.special_token_ids["eot"] = end_of_turn
        write(self, *arguments, **options)

    vocabulary.add_to_gguf = written


def _set_scores(vocabulary: Any) -> None:
    prepare = vocabulary.__init__

    def prepared(self: Any, folder: Path) -> None:
        prepare(self, folder)
        model = json.loads((Path(folder) / "tokenizer.json").read_text(encoding="utf-8"))["model"]
        scores: dict[int, float] = {}
        for rank, merge in enumerate(model["merges"]):
            made = merge.replace(" ", "") if isinstance(merge, str) else "".join(merge)
            scores.setdefault(model["vocab"][made], -float(rank))
        self.get_token_score = lambda token: scores.get(token, -float(len(model["merges"])))

    vocabulary.__init__ = prepared


if __name__ == "__main__":
    main(*sys.argv[1:])
