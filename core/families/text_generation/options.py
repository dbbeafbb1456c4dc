"""The typed options of recipes whose models write; a string beneath a field is its help.

What is called Generation here is for conversations and for whatever else a prompt is made of.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from tunebook.config.evaluate import EvaluateDataConfig
from tunebook.config.schema import (
    ONLY_WITH,
    AdaptConfig,
    DataConfig,
    FamilyConfig,
    Method,
    ModelConfig,
    ObjectiveConfig,
    TrainerConfig,
)
from tunebook.config.score import BASELINE, SubgroupScoreConfig
from tunebook.config.texts import PersonalDataConfig

PLAIN = "plain"
"""The built-in template, by the name that ``model.chat_template`` takes it by."""


class Overlength(Enum):
    """What happens to a conversation over ``data.max_length``; none is ever cut in an answer."""

    split_turns = "split_turns"
    reject = "reject"
    error = "error"


class ConversationFormat(Enum):
    """How the rows of a file hold conversations."""

    messages = "messages"
    """OpenAI: ``messages``, a list of ``{"role", "content"}``."""
    sharegpt = "sharegpt"
    """ShareGPT: ``conversations``, a list of ``{"from", "value"}``, and ``system``."""
    alpaca = "alpaca"
    """Alpaca: ``instruction`` and ``output``, perhaps ``input``, ``system``, ``history``."""
    prompt_completion = "prompt_completion"
    """TRL: ``prompt`` and ``completion``, each a text or a list of messages."""


class ContextPlace(Enum):
    """Where the documents of a row stand in the prompt."""

    system = "system"
    """At the end of the system turn, or as one."""
    user = "user"
    """Before the first user turn, for templates without a system turn."""


@dataclass
class TextGenerationConfig(FamilyConfig):
    """Options of every recipe whose model writes."""

    max_new_tokens: int = 128
    """Longest answer, in tokens."""
    lowercase: bool = False
    """Compare answers with their references in lower case; the signatures of BLEU and chrF show it."""
    bleu_tokenizer: str = "13a"
    """sacreBLEU's tokenizer for BLEU: 13a, intl, zh, ja-mecab, char ..."""


@dataclass
class GenerationData(PersonalDataConfig, DataConfig):
    """Rows that become prompts with answers."""

    max_length: int | None = None
    """Longest prompt with its answer in tokens (default: the model's limit, at most 1024)."""
    overlength: Overlength = Overlength.split_turns
    """Conversations over max_length: split_turns (into several rows), reject or error."""
    pack: bool = True
    """Pack several conversations into one sequence, with attention kept within each, to reduce padding."""
    group_by_length: bool = True
    """Batch texts of similar length together, to reduce padding."""


@dataclass
class ConversationData(GenerationData):
    """Rows that hold conversations."""

    format: ConversationFormat | None = None
    """Format of conversations: messages, sharegpt, alpaca or prompt_completion (default: detected from the columns)."""
    facts: str | None = None
    """Column with the facts that answers must state, a list of texts: each is scored at the turn whose reference
    states it (default: `facts`, where there is such a column)."""
    context: str | None = None
    """Column with the documents that answers are drawn from, a text or a list of texts: part of the prompt, never
    learned (default: `context`, where there is such a column)."""
    context_place: ContextPlace = ContextPlace.system
    """Where the context stands in the prompt: system (at the end of the system turn) or user (before the first user
    turn)."""
    distractors: int = 0
    """Documents of other rows of the split that are mixed into each context, drawn by `seed`."""


@dataclass
class GenerationModel(ModelConfig):
    """The language model that is tuned."""

    chat_template: str | None = None
    """Jinja chat template, or `plain`, which is built in (default: the model's own)."""


@dataclass
class GenerationAdapt(AdaptConfig):
    """How the language model is adapted: which of its weights learn."""

    quantize: bool = field(default=False, metadata={ONLY_WITH: Method.lora})
    """Load the frozen weights in 4 bits (QLoRA: adapt=lora, a GPU and bitsandbytes)."""


@dataclass
class PreferenceObjective(ObjectiveConfig):
    """What a model that talks learns from: answers, or what people think of answers."""

    beta: float = 0.1
    """DPO and KTO: how strongly the model is held to the one before tuning: the larger, the less it moves."""
    desirable_weight: float = 1.0
    """KTO: weight of the loss of good answers."""
    undesirable_weight: float = 1.0
    """KTO: weight of the loss of bad answers."""


@dataclass
class GenerationTrainer(TrainerConfig):
    """How long and on what the language model is trained."""

    gradient_checkpointing: bool = False
    """Gradient checkpointing: recompute activations for less memory, a third slower."""


@dataclass
class GenerationScore(SubgroupScoreConfig):
    """How many answers are scored, and how surely."""

    max_generations: int | None = 200
    """Most answers generated for evaluation on test rows, sampled by whole conversations (null: all)."""


@dataclass
class GenerationEvaluation(GenerationScore):
    """What is measured on the test rows, and how surely."""

    zero_shot: bool = field(default=True, metadata={BASELINE: True})
    """Also score the backbone without any training, as a baseline."""
    forgetting: bool = True
    """Compare the model with itself before tuning on general questions, and say so if it has forgotten much."""


@dataclass
class NewConversationData(EvaluateDataConfig):
    """Conversations to score a finished model on."""

    format: ConversationFormat | None = None
    """Format of conversations: messages, sharegpt, alpaca or prompt_completion (default: detected from the columns)."""
    facts: str | None = None
    """Column with the facts that answers must state, a list of texts (default: `facts`, where there is such a one)."""
    context: str | None = None
    """Column with the documents that answers are drawn from (default: the one in training)."""
