"""Models that read images too: those that transformers has a causal class for write texts; of others it is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from transformers import AutoTokenizer, Gemma3Config, Gemma3ForConditionalGeneration

from tests.chatted import write_chats
from tests.conftest import Tunebook
from tunebook.models.source import STARTERS

STARTER = STARTERS / "starter_text"


def gemma(folder: Path) -> Path:
    """A tiny Gemma 3 with its part for images."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(STARTER)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2}
    text = {"vocab_size": len(tokenizer), "num_hidden_layers": 2, "num_key_value_heads": 1, "head_dim": 16, **sizes}
    ids = {"pad_token_id": 0, "eos_token_id": 0, "bos_token_id": 0, "max_position_embeddings": 1024}
    image = {"num_hidden_layers": 1, "image_size": 28, "patch_size": 14, **sizes}
    config = Gemma3Config(text_config={**text, **ids}, vision_config=image, mm_tokens_per_image=4, image_token_index=1)
    Gemma3ForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_model_with_a_part_for_images_is_tuned_on_texts(tmp_path: Path, tunebook: Tunebook) -> None:
    rows = write_chats(tmp_path / "chats.jsonl", 12, rounds=1)
    given = ["recipe=customer_chat", f"data.train={rows}", "model.chat_template=plain", "trainer.max_steps=2"]
    given += ["data.batch_size=4", "recipe.max_new_tokens=2", "evaluation.resamples=20", f"run_dir={tmp_path / 'run'}"]
    done = tunebook("train", *given, f"model.name={gemma(tmp_path / 'gemma')}")
    assert done.returncode == 0, done.stderr
    answers = tunebook("predict", str(tmp_path / "run"), input="Where is my parcel?\n")
    assert answers.returncode == 0, answers.stderr


def test_the_class_of_another_one_is_named(tmp_path: Path, tunebook: Tunebook) -> None:
    folder = tmp_path / "qwen2_vl"
    shutil.copytree(STARTER, folder)
    config = {"model_type": "qwen2_vl", "architectures": ["Qwen2VLForConditionalGeneration"]}
    (folder / "config.json").write_text(json.dumps(config))
    refused = tunebook("check", "recipe=customer_chat", f"model.name={folder}")
    assert refused.returncode == 2
    assert "transformers opens it as Qwen2VLForConditionalGeneration, which reads images with texts" in refused.stderr
