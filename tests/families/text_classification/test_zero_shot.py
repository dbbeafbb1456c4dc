"""Zero-shot: texts against descriptions, with real weights and with tiny ones."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from tunebook.families.text_classification.predictor import TextClassifier
from tunebook.families.text_classification.wording import descriptions
from tunebook.families.text_classification.zero_shot import (
    SCALE,
    EmbeddingClassifier,
    LikelihoodClassifier,
    embed,
    load_zero_shot,
)
from tunebook.models.source import STARTERS, ModelSource
from tunebook.models.text import load_backbone, load_tokenizer
from tunebook.plugins import load_recipe_class
from tunebook.training.softmax_head import SoftmaxHead

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
    model = EmbeddingClassifier.from_texts(load_backbone(source), tokenizer, descriptions(recipe, LABELS))
    return TextClassifier(model, tokenizer, SoftmaxHead(2), 128, labels=LABELS)


def test_obvious_reviews_are_told_apart_without_training(minilm: str):
    probabilities, answers = classifier(minilm).predict(list(TEXTS))
    assert [LABELS[a] for a in answers] == list(TEXTS.values())
    assert abs(probabilities.sum(axis=1) - 1).max() < 1e-6


def test_a_description_is_most_like_itself(minilm: str):
    made = classifier(minilm)
    recipe_class = load_recipe_class("review_sentiment")
    described = descriptions(recipe_class(recipe_class.Config(name="review_sentiment")), LABELS)
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


# A language model: how likely the label's words come next.


def likelihoods(texts: list[str], described: list[str]) -> tuple[torch.Tensor, LikelihoodClassifier, Any]:
    source = ModelSource("starter_text", STARTERS / "starter_text")
    tokenizer = load_tokenizer(source)
    made = load_zero_shot(source, tokenizer, described)
    assert isinstance(made, LikelihoodClassifier)
    inputs = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        return made(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits, made, tokenizer


def by_hand(model: Any, tokenizer: Any, text: str, description: str) -> float:
    """Log p of the description after the text, one whole sequence through the model, nothing remembered."""
    before = tokenizer(text)["input_ids"]
    after = tokenizer(description, add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        believed = model(input_ids=torch.tensor([before + after])).logits[0].log_softmax(-1)
    return sum(float(believed[len(before) - 1 + i, token]) for i, token in enumerate(after))


def test_logits_are_what_the_text_adds_to_the_likelihood_of_each_description():
    texts = ["Good.", "It broke after two days, the seller never answered and I had to pay for the way back."]
    described = ["1 star, not recommended.", "5 stars"]
    logits, made, tokenizer = likelihoods(texts, described)
    for row, text in enumerate(texts):
        for label, description in enumerate(described):
            expected = by_hand(made.backbone, tokenizer, text, description)
            expected -= by_hand(made.backbone, tokenizer, "", description)
            assert float(logits[row, label]) == pytest.approx(expected, abs=1e-3)


def test_the_text_starter_has_a_notion_of_stars_before_any_training():
    source = ModelSource("starter_text", STARTERS / "starter_text")
    tokenizer = load_tokenizer(source)
    made = load_zero_shot(source, tokenizer, ["1 star", "5 stars"])
    ready = TextClassifier(made, tokenizer, SoftmaxHead(2), 128, labels=("1", "5"))
    _, answers = ready.predict(
        [
            "Gorgeous dress, so soft and comfortable, I love it!",
            "Perfect fit and beautiful color. I wear it all the time.",
            "Terrible quality. It fell apart after one wash, I returned it.",
            "Awful. Cheap fabric, looked nothing like the picture. Returned.",
        ]
    )
    assert list(answers) == [1, 1, 0, 0]


def test_a_recipe_has_other_words_for_what_follows_than_for_what_means_the_same():
    recipe_class = load_recipe_class("review_sentiment")
    recipe = recipe_class(recipe_class.Config(name="review_sentiment"))
    assert descriptions(recipe, ["1", "2", "3"], following=True) == ["1 star", "2 stars", "3 stars"]
    assert descriptions(recipe, ["1", "2", "3"]) != descriptions(recipe, ["1", "2", "3"], following=True)
    told = recipe_class(recipe_class.Config(name="review_sentiment", descriptions={"no": "bad", "yes": "good"}))
    assert descriptions(told, ["no", "yes"], following=True) == ["bad", "good"]


def test_a_language_model_keeps_room_for_the_descriptions():
    _, made, tokenizer = likelihoods(["Good."], ["1 star", "5 stars, recommended."])
    width = len(tokenizer("5 stars, recommended.", add_special_tokens=False)["input_ids"])
    assert made.longest(512) == 512 and made.longest(1024) == 1024 - width
