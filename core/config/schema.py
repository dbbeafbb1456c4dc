"""The typed schema that all runs share: names, types, defaults and a line of help for each option.

Each family adds options of its own to its nodes, in its ``options.py``. YAML under ``conf/`` only sets values. The
string beneath a field is its help text: ``tunebook show`` prints it. Members of enums are named as they are typed.
Nothing heavy is imported, so that a typo is answered at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from omegaconf import MISSING

from tunebook.config.optim import OptimConfig
from tunebook.config.score import ScoreConfig


class Leaks(Enum):
    """What happens when rows are shared between splits."""

    error = "error"
    drop = "drop"
    allow = "allow"


class Method(Enum):
    """How the backbone is adapted to the task."""

    full = "full"
    lora = "lora"
    head = "head"
    contrastive = "contrastive"
    scratch = "scratch"
    none = "none"


class Objective(Enum):
    """What the model learns from: the answers of rows, or what people think of answers."""

    sft = "sft"
    """Supervised: the truth of each row."""
    dpo = "dpo"
    """Pairs of a chosen and a rejected answer (Rafailov et al. 2023)."""
    kto = "kto"
    """Answers that are each good or bad (Ethayarajh et al. 2024)."""


class Accelerator(Enum):
    """The device to train on."""

    auto = "auto"
    cpu = "cpu"
    gpu = "gpu"
    mps = "mps"


class Strategy(Enum):
    """How several devices share the work."""

    auto = "auto"
    ddp = "ddp"
    fsdp = "fsdp"


class Precision(Enum):
    """Number format of training. ``auto`` is bf16 on a GPU that has it and float32 elsewhere."""

    auto = "auto"
    float32 = "float32"
    bf16 = "bf16"
    fp16 = "fp16"


class LoggerName(Enum):
    """Where training curves are written besides the screen."""

    csv = "csv"
    tensorboard = "tensorboard"
    wandb = "wandb"
    mlflow = "mlflow"


@dataclass
class FamilyConfig:
    """The options that every recipe has; a recipe's ``Config`` derives from its family's."""

    name: str = MISSING
    """Name of the recipe."""


@dataclass
class DataConfig:
    """Rows: where they are, what their columns are called, how they are checked, split and batched."""

    train: Any = None
    """Training rows: a file, a glob, a list of them or a `datasets` folder (default: the recipe's sample rows)."""
    validation: Any = None
    """Validation rows; without it they are split off the training rows."""
    test: Any = None
    """Test rows; without it they are split off the training rows."""
    split: str | None = None
    """Column of the training rows that says which split each belongs to: train, validation (valid, val, dev) or test;
    a split with no rows is split off the training rows."""
    group: str | None = None
    """Column whose equal values must stay on one side of a split (customer, product, patient ...)."""
    delimiter: str | None = None
    """Character that separates the columns of .csv files, or \\t (default: a comma)."""
    validation_fraction: float = 0.1
    """Share of the rows split off for validation when no validation rows are given."""
    test_fraction: float = 0.1
    """Share of the rows split off for testing when no test rows are given."""
    split_seed: int | None = None
    """Seed of the splits (default: `seed`): runs with other seeds then share their test rows."""
    max_rows: int | None = None
    """Keep only this many training rows, drawn with the seed and stratified by label."""
    max_rejects: int = 0
    """Stop when more rows than this are rejected."""
    leaks: Leaks = Leaks.error
    """Rows or groups shared between given splits: error, drop (the training side) or allow."""
    near_duplicate: float = 0.9
    """Similarity from which two rows count as near duplicates: of texts Jaccard's of their word 3-grams, of images
    the correlation of their thumbnails (1.0: exact only)."""
    batch_size: int = 32
    """Rows in a batch, over all devices together."""
    num_workers: int = 0
    """Processes that prepare batches."""
    cache_dir: str = '${oc.env:TUNEBOOK_CACHE,"~/.cache/tunebook"}'
    """Folder for encoded rows and frozen features; safe to delete."""


@dataclass
class LabelledDataConfig(DataConfig):
    """Rows with labels."""

    label: str = "label"
    """Column that holds the label."""
    labels: list[str] | None = None
    """Label names in the order wanted (default: sorted, numbers by value)."""
    shots: int | None = None
    """Keep only this many training rows per class (few-shot)."""


@dataclass
class AugmentedDataConfig(LabelledDataConfig):
    """Rows with a label, whose training batches installed packages can change."""

    augmentations: list[Any] = field(default_factory=list)
    """Augmentations of training rows, by the names that installed packages offer, each optionally with options:
    [speckle,{word_dropout:{share: 0.1}}] (not with adapt=head)."""


@dataclass
class ModelConfig:
    """The pre-trained model that is tuned."""

    name: str = MISSING
    """A local folder, a hub id, or the name of a starter that ships with Tunebook."""
    revision: str | None = None
    """Branch, tag or commit of a hub id."""
    dropout: float | None = None
    """Dropout while training (default: the model's own)."""


ONLY_WITH = "only_with"
"""In the metadata of an option of ``adapt``: the one method that it is for."""


@dataclass
class AdaptConfig:
    """How the model is adapted: which of its weights learn."""

    method: Method = Method.full
    """full (all weights), lora (low-rank adapters), head (frozen backbone), contrastive (the encoder on pairs of texts,
    then the head), scratch (fresh weights), none."""
    lora_rank: int = field(default=8, metadata={ONLY_WITH: Method.lora})
    """Rank of the LoRA matrices: higher learns more and costs more memory."""
    lora_alpha: int = field(default=16, metadata={ONLY_WITH: Method.lora})
    """LoRA scaling; the update is multiplied by lora_alpha / lora_rank."""
    lora_rslora: bool = field(default=False, metadata={ONLY_WITH: Method.lora})
    """Rank-stabilized LoRA: the update is multiplied by lora_alpha / √lora_rank, so that high ranks learn as fast."""
    lora_dropout: float = field(default=0.0, metadata={ONLY_WITH: Method.lora})
    """Dropout on the input of the LoRA matrices."""
    lora_targets: list[str] | None = field(default=None, metadata={ONLY_WITH: Method.lora})
    """Names of the layers that get adapters (default: every linear layer of the backbone)."""
    unfreeze_epochs: float = field(default=0.0, metadata={ONLY_WITH: Method.full})
    """Epochs over which the backbone is unfrozen from the top, one layer group after the other (0: all learn from the
    start)."""
    temperature: float = field(default=0.1, metadata={ONLY_WITH: Method.contrastive})
    """What the similarities of texts are divided by: the smaller, the more the nearest ones count."""


@dataclass
class ObjectiveConfig:
    """What the model learns from."""

    name: Objective = Objective.sft
    """sft (the truth of rows), or of models that talk dpo (pairs of answers) or kto (answers with a thumb up or
    down)."""


@dataclass
class TrainerConfig:
    """How long and on what the model is trained."""

    max_epochs: int | None = None
    """Passes over the training rows (default: 3; on few rows as many as make 500 steps, up to 10; head: up to 20)."""
    max_steps: int | None = None
    """Stop after this many optimizer steps, if that comes first."""
    accelerator: Accelerator = Accelerator.auto
    """Device: auto, cpu, gpu or mps."""
    devices: int = 1
    """Number of devices (processes on the CPU)."""
    num_nodes: int = 1
    """Number of machines, when started by torchrun."""
    strategy: Strategy = Strategy.auto
    """auto (ddp for more than one device), ddp or fsdp."""
    precision: Precision = Precision.auto
    """auto, float32, bf16 or fp16."""
    accumulate_grad_batches: int = 1
    """Batches whose gradients are summed before each optimizer step."""
    gradient_clip: float | None = 1.0
    """Largest norm of the gradient (null: no clipping)."""
    early_stop: int | None = None
    """Stop after this many validations without a better watched metric (null: never)."""
    validate_every: float = 1.0
    """Epochs between two validations, at most 1.0."""
    checkpoint_every: int | None = None
    """Optimizer steps between two checkpoints (default: ten a run, and one at each validation)."""
    rehearse: bool = True
    """Try everything with a few rows before training: a step, the bundle, its answers (weights up to 2 GiB)."""
    callbacks: list[Any] = field(default_factory=list)
    """Lightning callbacks by name, ema_weight_averaging, learning_rate_monitor, model_summary, timer or an installed
    package's, each optionally with options: [learning_rate_monitor,{ema_weight_averaging:{decay: 0.99}}]."""
    threads: int | None = None
    """CPU threads of torch (default: torch's own choice)."""
    progress: bool = True
    """Show progress bars on a terminal."""


@dataclass
class LoggerConfig:
    """Where training curves go."""

    names: list[LoggerName] = field(default_factory=lambda: [LoggerName.csv, LoggerName.tensorboard])
    """Any of csv, tensorboard, wandb, mlflow."""
    project: str = "tunebook"
    """Project (W&B) or experiment (MLflow) name."""
    uri: str | None = None
    """Tracking address (MLflow; default: a folder inside the run)."""


@dataclass
class TrainConfig:
    """Everything a training run is made of (`tunebook train`, `tunebook check`); a family's own options come to it."""

    recipe: Any = MISSING
    """The recipe and its own options; `tunebook list` names the recipes."""
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    adapt: AdaptConfig = field(default_factory=AdaptConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    logger: LoggerConfig = field(default_factory=LoggerConfig)
    evaluation: ScoreConfig = field(default_factory=ScoreConfig)
    seed: int = 0
    """Seed of everything random: splits (unless data.split_seed), fresh weights, order, dropout."""
    run_dir: str = MISSING
    """Folder that this run writes to; it must not exist yet."""
    resume: str | None = None
    """Run folder to resume; it uses that run's own config, so nothing else may be given."""
