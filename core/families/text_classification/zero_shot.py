"""Zero-shot classification: labels described in words, and a model that was never trained for them.

An encoder says how close a text is to a description; a language model says how likely the description comes next.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from tunebook.errors import UserError
from tunebook.models.key_values import key_values, key_values_argument
from tunebook.models.language_model import load_language_model
from tunebook.models.positions import positions
from tunebook.models.sentence_model import Pooling
from tunebook.models.source import ModelSource
from tunebook.models.text import load_backbone

# What sentence-transformers multiplies cosines by in its losses: a difference of 0.1 is odds of 7 to 1.
SCALE = 20.0


class ZeroShotClassifier(nn.Module):
    """A model without any layer of its own for the labels.

    Attributes:
        backbone: The transformers model, as it is saved.
        described: Description of each label, in the labels' order.
    """

    described: Sequence[str]

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def longest(self, wanted: int) -> int:
        """Tokens that a text may have, at most those wanted."""
        return wanted


def is_language_model(source: ModelSource) -> bool:
    """Whether a model's folder holds a causal language model."""
    architectures = source.settings.get("architectures") or []
    return any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in architectures)


def load_zero_shot(source: ModelSource, tokenizer: Any, descriptions: Sequence[str]) -> ZeroShotClassifier:
    """The zero-shot classifier that fits a model: by likelihood for language models, else by embeddings.

    Args:
        source: Where the model is.
        tokenizer: Its tokenizer.
        descriptions: What each label means, in the labels' order.
    """
    made: ZeroShotClassifier
    if is_language_model(source):
        made = LikelihoodClassifier.from_texts(load_language_model(source), tokenizer, descriptions)
    else:
        made = EmbeddingClassifier.from_texts(load_backbone(source), tokenizer, descriptions)
    made.described = tuple(descriptions)
    return made


def embed(backbone: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    """Unit-length mean of the last hidden states over real tokens, ``[batch, hidden]``."""
    return Pooling("mean", normalize=True)(backbone(**inputs).last_hidden_state, inputs["attention_mask"])


class EmbeddingClassifier(ZeroShotClassifier):
    """An encoder and its embeddings of the label descriptions; logits are scaled cosines.

    Args:
        backbone: A transformers model without a head.
        descriptions: Embeddings of the labels' descriptions, ``[labels, hidden]``.
    """

    descriptions: Tensor

    def __init__(self, backbone: nn.Module, descriptions: Tensor) -> None:
        super().__init__(backbone)
        self.register_buffer("descriptions", descriptions)

    @classmethod
    def from_texts(cls, backbone: nn.Module, tokenizer: Any, descriptions: Sequence[str]) -> EmbeddingClassifier:
        """Embed the descriptions, one a label, in the labels' order."""
        backbone.eval()
        inputs = tokenizer(list(descriptions), padding=True, truncation=True, return_tensors="pt")
        inputs = {k: inputs[k] for k in ("input_ids", "attention_mask")}
        try:
            with torch.no_grad():
                return cls(backbone, embed(backbone, inputs))
        except ValueError as error:
            if not getattr(backbone.config, "is_encoder_decoder", False):
                raise
            raise UserError(
                "This model has an encoder and a decoder, and no embedding of a whole text to compare with labels.",
                code="model.wrong-kind",
                where="model.name",
                fix="evaluation.zero_shot=false",
            ) from error

    def forward(self, **inputs: Tensor) -> SimpleNamespace:
        """``logits`` ``[batch, labels]``."""
        return SimpleNamespace(logits=SCALE * embed(self.backbone, inputs) @ self.descriptions.T)


class LikelihoodClassifier(ZeroShotClassifier):
    """A language model and the tokens of the label descriptions.

    A label's logit is how much likelier the text makes its description: log p(description | text) minus
    log p(description) alone, so that no label wins because its words are common (Holtzman et al. 2021,
    arXiv:2104.08315).

    Args:
        backbone: A transformers causal language model.
        descriptions: Token ids of each label's description as it continues a text, padded, ``[labels, tokens]``.
        real: Which of them are no padding, ``[labels, tokens]``.
        empty: Token ids of a text without content, ``[tokens]``.
    """

    descriptions: Tensor
    real: Tensor
    prior: Tensor

    def __init__(self, backbone: nn.Module, descriptions: Tensor, real: Tensor, empty: Tensor) -> None:
        super().__init__(backbone)
        self.register_buffer("descriptions", descriptions)
        self.register_buffer("real", real)
        backbone.eval()
        with torch.no_grad():
            alone = self._likelihoods(empty[None], torch.ones_like(empty)[None])[0]
        self.register_buffer("prior", alone)

    @classmethod
    def from_texts(cls, backbone: nn.Module, tokenizer: Any, descriptions: Sequence[str]) -> LikelihoodClassifier:
        """Tokenise the descriptions, one a label, in the labels' order."""
        empty = tokenizer("")["input_ids"]
        closed = bool(empty) and empty[-1] == tokenizer.eos_token_id
        # Where the tokenizer does not close a text by itself, a new line does.
        texts = [described if closed else f"\n{described}" for described in descriptions]
        ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
        start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        padded = nn.utils.rnn.pad_sequence([torch.tensor(i) for i in ids], batch_first=True)
        real = nn.utils.rnn.pad_sequence([torch.ones(len(i), dtype=torch.bool) for i in ids], batch_first=True)
        return cls(backbone, padded, real, torch.tensor(empty or [start]))

    def longest(self, wanted: int) -> int:
        """What the model's positions leave next to the longest description."""
        config: Any = self.backbone.config
        limit = positions(config.to_dict())
        return wanted if limit is None else min(wanted, limit - self.descriptions.shape[1])

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> SimpleNamespace:
        """``logits`` ``[batch, labels]`` of texts ``[batch, tokens]`` that are padded on the right."""
        return SimpleNamespace(logits=self._likelihoods(input_ids, attention_mask) - self.prior)

    def _likelihoods(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Log p of each label's description after each text, ``[batch, labels]``; the texts are read once."""
        labels, width = self.descriptions.shape
        batch = len(input_ids)
        last = attention_mask.sum(1) - 1
        # The last token is masked in the cache and sent again, so that its answer comes with the others.
        mask = attention_mask.clone()
        mask[torch.arange(batch), last] = 0
        read = self.backbone(input_ids=input_ids, attention_mask=attention_mask, use_cache=True, logits_to_keep=1)
        memory = key_values(read)
        memory.batch_repeat_interleave(labels)
        last_token = input_ids[torch.arange(batch), last].repeat_interleave(labels)[:, None]
        continued = self.descriptions.repeat(batch, 1)
        positions = last.repeat_interleave(labels)[:, None] + torch.arange(width, device=last.device)
        logits = self.backbone(
            input_ids=torch.cat([last_token, continued[:, :-1]], dim=1),
            attention_mask=torch.cat([mask.repeat_interleave(labels, 0), mask.new_ones(batch * labels, width)], dim=1),
            position_ids=positions,
            **{key_values_argument(self.backbone): memory},
        ).logits
        log_probabilities = logits.float().log_softmax(-1).gather(-1, continued[:, :, None]).squeeze(-1)
        likelihoods: Tensor = (log_probabilities * self.real.repeat(batch, 1)).sum(1).view(batch, labels)
        return likelihoods
