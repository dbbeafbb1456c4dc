"""Zero-shot: texts against descriptions, with real weights and with tiny ones."""

from __future__ import annotations

import torch
from transformers import AutoModel, AutoTokenizer

from tunebook.models.source import ModelSource
from tunebook.models.text import load_backbone, load_tokenizer
from tunebook.models.zero_shot import SCALE, EmbeddingClassifier, embed
from tunebook.plugins import load_recipe_class
from tunebook.tasks.heads import SoftmaxHead
from tunebook.tasks.text_classifier import TextClassifier

LABELS = ("negative", "positive")
TEXTS = {
    "I love it, it is wonderful and works perfectly.": "positive",
    "Best purchase I have made in years, highly recommended!": "positive",
    "Beautiful, soft, fits like a dream.": "positive",
    "Terrible. It broke on the first day and nobody answered.": "negative",
    "A complete waste of money, I am sending it back.": "negative",
    "Awful quality, I hate it.": "negative",
}


def classifier(folder: str) -> TextClassifier:
    from pathlib import Path

    recipe_class = load_recipe_class("review_sentiment")
    recipe = recipe_class(recipe_class.Config(name="review_sentiment"))
    source = ModelSource(folder, Path(folder))
    tokenizer = load_tokenizer(source)
    model = EmbeddingClassifier.from_texts(load_backbone(source), tokenizer, recipe.descriptions(LABELS))
    return TextClassifier(model, tokenizer, SoftmaxHead(2), LABELS, 128)


def test_obvious_reviews_are_told_apart_without_training(minilm: str):
    probabilities, answers = classifier(minilm).predict(list(TEXTS))
    assert [LABELS[a] for a in answers] == list(TEXTS.values())
    assert abs(probabilities.sum(axis=1) - 1).max() < 1e-6


def test_a_description_is_most_like_itself(minilm: str):
    made = classifier(minilm)
    recipe_class = load_recipe_class("review_sentiment")
    described = recipe_class(recipe_class.Config(name="review_sentiment")).descriptions(LABELS)
    with torch.no_grad():
        inputs = made.tokenizer(described, padding=True, return_tensors="pt")
        logits = made.model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
    torch.testing.assert_close(logits.diagonal(), torch.full((2,), SCALE), atol=1e-3, rtol=0)


def test_embeddings_are_unit_means_over_real_tokens(minilm: str):
    backbone, tokenizer = AutoModel.from_pretrained(minilm).eval(), AutoTokenizer.from_pretrained(minilm)
    inputs = tokenizer(["short", "a much longer text than the other one"], padding=True, return_tensors="pt")
    inputs = {k: inputs[k] for k in ("input_ids", "attention_mask")}
    with torch.no_grad():
        together = embed(backbone, inputs)
        alone = backbone(**tokenizer("short", return_tensors="pt")).last_hidden_state[0].mean(0)
    torch.testing.assert_close(together[0], alone / alone.norm(), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(2))
