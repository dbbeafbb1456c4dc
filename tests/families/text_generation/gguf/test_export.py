"""`tunebook export -o model.gguf` with llama.cpp's real converter, where it is there."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from tests.chatted import STARTER, chatted, sentence, tiny_llama, write_chats
from tests.user_error import user_error
from tunebook.bundle.read import open_bundle
from tunebook.cli.export import export_command
from tunebook.errors import UserError
from tunebook.families.text_generation.gguf.convert import find_converter
from tunebook.families.text_generation.gguf.export import answers_elsewhere
from tunebook.families.text_generation.gguf.golden import Reference

SMALL = ["trainer.max_epochs=1", "trainer.max_steps=2", "evaluation.max_generations=2", "evaluation.zero_shot=false"]
gguf = pytest.importorskip("gguf", reason="gguf is not installed")


def converter() -> Path | None:
    """llama.cpp's script: at TUNEBOOK_CONVERTER, or where an export looks for it."""
    try:
        return find_converter(os.environ.get("TUNEBOOK_CONVERTER"))
    except UserError:
        return None


pytestmark = pytest.mark.skipif(
    converter() is None, reason="llama.cpp's convert_hf_to_gguf.py is not there: set TUNEBOOK_CONVERTER to its path"
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two steps of LoRA, whose adapters lie in the bundle besides the merged weights."""
    return chatted(tmp_path_factory.mktemp("gguf"), *SMALL, "adapt=lora", "optim.lr=0.01").bundle


def exported(bundle: Path, output: Path, *more: str, script: Path | None = None) -> None:
    export_command([str(bundle), "-o", str(output), "--converter", str(script or converter()), *more])


def tensors(file: Path) -> dict[str, Any]:
    found = gguf.GGUFReader(str(file)).tensors
    return {each.name: gguf.dequantize(each.data, each.tensor_type) for each in found}


def test_a_file_has_the_merged_weights_and_the_bundles_settings(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "model.gguf"
    exported(bundle, file, "--precision", "f32")
    said = capsys.readouterr().out
    assert said.startswith(f"{file}: f32: 5 of 5 greedy answers and ") and "note" not in said
    assert sorted(each.name for each in tmp_path.iterdir()) == ["Modelfile", "model.gguf"]

    written, merged, base = (
        tensors(file),
        load_file(bundle / "model.safetensors"),
        load_file(STARTER / "model.safetensors"),
    )
    value = "model.layers.0.self_attn.v_proj.weight"
    np.testing.assert_array_equal(written["blk.0.attn_v.weight"], merged[value])
    assert np.abs(merged[value] - base[value].astype(np.float32)).max() > 1e-3
    np.testing.assert_array_equal(written["token_embd.weight"], merged["model.embed_tokens.weight"])

    fields = {name: field.contents() for name, field in gguf.GGUFReader(str(file)).fields.items()}
    assert fields["tokenizer.ggml.pre"] == "qwen2" and fields["tokenizer.ggml.eos_token_id"] == 2
    assert not any(fields[f"tokenizer.ggml.add_{name}_token"] for name in ("bos", "eos", "sep"))
    assert "generation %}" not in fields["tokenizer.chat_template"]
    assert not [name for name, value in fields.items() if str(bundle.parent.parent) in str(value)], "a private path"

    head, *lines = (tmp_path / "Modelfile").read_text(encoding="utf-8").splitlines()
    assert head.startswith("# customer_chat, written by tunebook export") and "5 of 5 greedy answers" in head
    assert lines[:2] == ["#   ollama create customer_chat -f Modelfile", "FROM ./model.gguf"]
    assert lines[3].startswith('TEMPLATE """{{ if .System }}<|endoftext|><|system|>')
    assert lines[4:] == [
        'PARAMETER stop "<|end|>"',
        "PARAMETER num_ctx 1024",
        "PARAMETER num_predict 128",
        "PARAMETER repeat_penalty 1",
        "PARAMETER temperature 0",
    ]


def test_real_llama_cpp_answers_as_the_bundle(bundle: Path, tmp_path: Path) -> None:
    """The library itself, which none of the checks runs."""
    xllamacpp = pytest.importorskip("xllamacpp", reason="xllamacpp, llama.cpp for Python, is not installed")
    from urllib.request import Request, urlopen

    from tunebook.families.text_generation.data.message import Message
    from tunebook.families.text_generation.gguf.golden import reference

    file = tmp_path / "model.gguf"
    exported(bundle, file, "--precision", "f32")
    options = xllamacpp.CommonParams()
    options.model.path, options.n_ctx, options.n_parallel, options.n_gpu_layers = str(file), 1024, 1, 0
    options.port, options.cpuparams.n_threads, options.warmup = 0, 1, False
    server = xllamacpp.Server(options)

    def ask(path: str, **body: Any) -> Any:
        request = Request(server.listening_address + path, json.dumps(body).encode())
        with urlopen(request) as answer:
            return json.load(answer)

    writer = open_bundle(bundle)[2]
    for text, ids in zip(*(lambda found: (found.texts, found.prompts))(reference(writer)), strict=True):
        assert ask("/tokenize", content=text, add_special=True, parse_special=True)["tokens"] == ids
    for question in ("Where is my parcel?", "Do you sell trousers in 12?"):
        found = ask(
            "/v1/chat/completions", messages=[{"role": "user", "content": question}], temperature=0, max_tokens=40
        )
        own = "".join(writer.stream([Message("user", question)]))
        assert found["choices"][0]["message"]["content"] and own.startswith(found["choices"][0]["message"]["content"])


def made_by(model: Path, folder: Path, *more: str) -> Path:
    """The bundle of two steps of a model."""
    rows = write_chats(folder / "rows.jsonl", 40)
    return chatted(
        folder, f"model.name={model}", f"data.train={rows}", *SMALL, "recipe.max_new_tokens=16", *more
    ).bundle


def test_8_bits_of_a_gpt2_whose_sizes_transformers_does_not_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

    words = AutoTokenizer.from_pretrained(STARTER)
    words.save_pretrained(tmp_path / "gpt2")
    torch.manual_seed(0)
    ids = {"bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id}
    config = GPT2Config(vocab_size=len(words), n_embd=64, n_layer=2, n_head=2, n_positions=512, **ids)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "gpt2")
    exported(made_by(tmp_path / "gpt2", tmp_path), tmp_path / "model.gguf", "--precision", "q8_0")
    assert "q8_0: " in capsys.readouterr().out
    kinds = {each.tensor_type.name for each in gguf.GGUFReader(str(tmp_path / "model.gguf")).tensors}
    assert kinds == {"Q8_0", "F32"}


def sentencepiece(folder: Path) -> Path:
    """A small Llama with a tokenizer in the form of sentencepiece: a letter for spaces, bytes for unknown letters."""
    from tokenizers import Tokenizer, decoders, models, normalizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    space = normalizers.Replace(" ", "\u2581")
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), space])
    steps = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    backend.decoder = decoders.Sequence(steps)
    draw, special = random.Random(0), ["<unk>", "<s>", "</s>"]
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special)
    backend.train_from_iterator([sentence(draw) for _ in range(200)], trainer)
    settings = json.loads(backend.to_str())
    learned = [token for token in settings["model"]["vocab"] if token not in special]
    vocabulary = [*special, *(f"<0x{n:02X}>" for n in range(256)), *learned]
    settings["model"]["vocab"] = {token: number for number, token in enumerate(vocabulary)}
    words = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(settings)), bos_token="<s>", eos_token="</s>",
        unk_token="<unk>", pad_token="</s>",
    )  # fmt: skip
    words.save_pretrained(folder)
    return tiny_llama(folder / "model", positions=512, tokenizer=folder)


def test_a_vocabulary_of_sentencepiece_keeps_its_tokens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The converter alone gives all tokens the same score, and so cuts words otherwise."""
    bundle = made_by(sentencepiece(tmp_path / "words"), tmp_path, "model.chat_template=plain")
    exported(bundle, tmp_path / "model.gguf", "--precision", "f32")
    assert "f32: " in capsys.readouterr().out
    fields = gguf.GGUFReader(str(tmp_path / "model.gguf")).fields
    assert fields["tokenizer.ggml.model"].contents() == "llama"
    assert len(set(fields["tokenizer.ggml.scores"].contents())) > 100


BROKEN = """
import sys
sys.path.insert(0, {folder!r})
import convert_hf_to_gguf as real
from convert_hf_to_gguf import *
{change}
def main():
    real.main()
"""
CHANGES = {
    "answers otherwise": (
        "write = real.gguf.GGUFWriter.add_tensor\n"
        "def add(self, name, tensor, *more, **options):\n"
        "    write(self, name, tensor * 1.05 if 'ffn_down' in name else tensor, *more, **options)\n"
        "real.gguf.GGUFWriter.add_tensor = add"
    ),
    "other tokens than the bundle": (
        "write = real.gguf.GGUFWriter.add_tokenizer_pre\n"
        "real.gguf.GGUFWriter.add_tokenizer_pre = lambda self, name: write(self, 'gpt-2')"
    ),
    "would not stop at <.end.>; its chat template is another one": (
        "end, template = real.gguf.GGUFWriter.add_eos_token_id, real.gguf.GGUFWriter.add_chat_template\n"
        "real.gguf.GGUFWriter.add_eos_token_id = lambda self, token: end(self, token + 1)\n"
        "real.gguf.GGUFWriter.add_chat_template = lambda self, text: template(self, text + ' ')"
    ),
}


@pytest.mark.parametrize("said", sorted(CHANGES))
def test_a_converter_that_changes_the_model_is_found_out(bundle: Path, tmp_path: Path, said: str) -> None:
    real = converter()
    assert real is not None
    script, target = tmp_path / "broken.py", tmp_path / "out"
    target.mkdir()
    script.write_text(BROKEN.format(folder=str(real.parent), change=CHANGES[said]))
    with user_error("export.other-answers", where=str(target / "model.gguf"), match=said):
        exported(bundle, target / "model.gguf", "--precision", "f32", script=script)
    assert not list(target.iterdir())


def test_a_file_that_cannot_be_opened_is_not_checked(tmp_path: Path) -> None:
    file = tmp_path / "x.gguf"
    file.write_bytes(b"GGUF")
    with user_error("export.failed", where="x.gguf", match="could not be checked"):
        answers_elsewhere(file, STARTER, Reference([], [], [], []), tmp_path)
