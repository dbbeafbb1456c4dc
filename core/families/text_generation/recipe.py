"""The family of recipes whose models write: the next turn of a conversation, or what a prompt asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from tunebook.config.schema import DataConfig, TrainConfig
from tunebook.data.columns import Column
from tunebook.families.family import Family, node_as
from tunebook.families.text_generation.data.message import Message, own_conversations
from tunebook.families.text_generation.family import FAMILY
from tunebook.families.text_generation.model.generation import Generation
from tunebook.families.text_generation.options import ConversationData, TextGenerationConfig
from tunebook.recipe import ConfigT, Head, Recipe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torchmetrics import MetricCollection

    from tunebook.data.rows import Rows
    from tunebook.families.text_generation.completion import Completion
    from tunebook.families.text_generation.prompts import Prompts
    from tunebook.statistics.sums import RowSums


class TextGeneration(Recipe[ConfigT]):
    """A conversation in, the assistant's next turn out; a language model of transformers.

    A recipe whose rows hold something else says how they become conversations: `training_conversations`, `prompts`
    and `evaluation_prompts`.

    Attributes:
        architectures: Kinds of models: causal ones, and those with an encoder and a decoder (seq2seq).
        talks: Whether `chat` makes sense with its models.
        headline: Metrics that the task is about, the most telling first; a report begins with them.
    """

    architectures: ClassVar[Sequence[str]] = ("causal",)
    talks: ClassVar[bool] = True
    headline: ClassVar[Sequence[str]] = ("fact_recall", "chrf", "repetition", "unfinished", "perplexity")
    family: ClassVar[Family] = FAMILY
    Config: ClassVar[type] = TextGenerationConfig
    watch: ClassVar[str] = "perplexity"
    watch_mode: ClassVar[str] = "min"
    calls_tools: bool = False
    """Whether the training rows of the recipe's bundle offer tools."""

    def columns(self, data: DataConfig) -> Sequence[Column]:
        """Those of the form that the rows are in, the group, and the facts."""
        from tunebook.families.text_generation.columns import conversation_columns, training_files

        own = node_as(data, ConversationData)
        files = training_files(data, self)
        return conversation_columns(files, own.format, own.group, own.facts, own.delimiter, own.context)

    def head(self, labels: Sequence[str]) -> Head:
        """The model's own final layer, which writes words."""
        from tunebook.families.text_generation.heads import CausalHead

        return CausalHead()

    def metrics(self, labels: Sequence[str]) -> MetricCollection:
        """Perplexity of what the assistant says."""
        from torchmetrics import MetricCollection

        from tunebook.families.text_generation.heads import TokenPerplexity

        return MetricCollection({"perplexity": TokenPerplexity()})

    def evaluation_prompts(self, rows: Rows, wanted: int | None) -> Prompts:
        """The prompts of held-out rows, and their reference answers: every turn of the assistant.

        As many answers as ``wanted`` are enough: whole conversations are drawn, the same for every seed of a run.
        """
        from tunebook.families.text_generation.prompts import assistant_turns

        return assistant_turns(rows, wanted)

    def training_conversations(self, rows: Rows) -> Iterator[list[list[Message]]]:
        """The conversations to learn from, of each row in order: one, or several."""
        return own_conversations(rows)

    @property
    def cache_salt(self) -> str:
        """What shapes `training_conversations` besides the rows; another text, and the rows are encoded again."""
        return ""

    def prompts(self, rows: Rows) -> Iterator[list[Message]]:
        """The prompt of each row without an answer."""
        return (conversation for (conversation,) in self.training_conversations(rows))

    def generation(self) -> Generation:
        """How answers are chosen."""
        options: Any = self.options
        return Generation(max_new_tokens=options.max_new_tokens)

    def said(self, answer: str) -> str:
        """What an answer says to people: compared with references, and shown in reports; of a text all of it."""
        return answer

    @property
    def candidates(self) -> int:
        """Answers written for each row, of which the best is taken."""
        return 1

    def ranked(
        self, rows: Rows, which: Sequence[int], completions: Sequence[Sequence[Completion]]
    ) -> list[list[Completion]]:
        """The ``completions`` for each of some ``rows``, which ``which`` numbers, the best first."""
        return [list(each) for each in completions]

    def measures(
        self, rows: Rows, which: Sequence[int], completions: Sequence[Sequence[Completion]], train: Rows | None
    ) -> dict[str, RowSums]:
        """What is measured besides perplexity and similarity to the references.

        Args:
            rows: Held-out rows.
            which: The row that each answer is for.
            completions: What was written for it, the best first.
            train: The training rows, where they are at hand.
        """
        return {}

    def baselines(self, rows: Rows, which: Sequence[int], train: Rows) -> dict[str, list[str]]:
        """Answers that need no model, by the name of how they are made."""
        return {}

    @property
    def answer_columns(self) -> list[str]:
        """What `predict` reports of a row; the answer's tool calls too, where the training rows offer tools."""
        return ["prompt", "answer", *(["tool_calls"] if self.calls_tools else [])]

    def answers(
        self, rows: Rows, prompts: Sequence[Sequence[Message]], completions: Sequence[Sequence[Completion]]
    ) -> Iterator[Sequence[str | float]]:
        """The values of `answer_columns` of each row."""
        from tunebook.families.text_generation.data.tool_calls import Reading, openai_calls, read_calls

        for messages, several in zip(prompts, completions, strict=True):
            text = several[0].text
            if not self.calls_tools:
                yield messages[-1].text, text
                continue
            found = read_calls(text) if messages[0].tools else Reading(text)
            called = found.calls and not found.broken
            yield messages[-1].text, found.content if called else text, openai_calls(found.calls if called else ())

    def bundle_state(self, config: TrainConfig, train: Rows) -> dict[str, Any]:
        """What a bundle keeps for the recipe besides its options, as plain values, for `load_bundle_state`."""
        from tunebook.families.text_generation.data.message import offers_tools

        return {"calls_tools": True} if offers_tools(train) else {}

    def load_bundle_state(self, state: Mapping[str, Any]) -> None:
        """Take back what `bundle_state` gave, in the recipe of a bundle."""
        self.calls_tools = bool(state.get("calls_tools"))
