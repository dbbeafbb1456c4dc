"""One training step, looked at closely: dropout, the loss, and what stops it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from sklearn.metrics import log_loss
from torch.utils.data import DataLoader
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy
from transformers import AutoModelForSequenceClassification

from tests.user_error import user_error
from tunebook import FineTuneData, FineTuner, SoftmaxHead
from tunebook.config.optim import OptimConfig
from tunebook.data.module import Examples
from tunebook.models.text_batches import TextItems, pad_batch
from tunebook.models.tokens import TokenRows


def examples(lengths: list[int], targets: list[int]) -> Examples:
    ids = np.concatenate([np.arange(5, 5 + n) for n in lengths]).astype(np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    tokens = TokenRows(ids, offsets, np.diff(offsets))
    return Examples(TextItems(tokens, np.array(targets)), tokens.lengths)


def data(batch_size: int, accumulate: int = 1, rows: int = 12) -> FineTuneData:
    split = examples([3 + i % 5 for i in range(rows)], [i % 2 for i in range(rows)])
    return FineTuneData(
        {"train": split, "validation": split},
        lambda items: pad_batch(items, 0),
        batch_size=batch_size,
        accumulate=accumulate,
    )


def tiny(dropout: float = 0.0) -> torch.nn.Module:
    from transformers import BertConfig

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=64,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        num_labels=2,
    )
    return AutoModelForSequenceClassification.from_config(config)


def module(model: torch.nn.Module, **options) -> FineTuner:
    metrics = MetricCollection({"accuracy": MulticlassAccuracy(2, average="micro")})
    return FineTuner(model, SoftmaxHead(2), metrics, OptimConfig(lr=1e-3, warmup=0.0), 100, **options)


def fit(made: FineTuner, rows: FineTuneData, **options) -> None:
    settings = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False, "num_sanity_val_steps": 0}
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "use_distributed_sampler": False}
    Trainer(max_epochs=1, **settings, **quiet, **options).fit(made, datamodule=rows)


def test_a_pretrained_model_trains_with_its_dropout_and_is_validated_without(tmp_path):
    tiny(0.1).save_pretrained(tmp_path)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert not model.training, "transformers hands models out in evaluation mode"
    seen: dict[str, set[bool]] = {"train": set(), "validation": set()}

    class Watched(FineTuner):
        def _step(self, batch, stage):
            seen[stage] |= {m.training for m in self.model.modules() if isinstance(m, torch.nn.Dropout)}
            return super()._step(batch, stage)

    made = module(model)
    made.__class__ = Watched
    fit(made, data(4))
    assert seen == {"train": {True}, "validation": {False}}


@pytest.mark.parametrize(("batch_size", "accumulate"), [(12, 1), (4, 3), (5, 3), (3, 4)])
def test_an_optimizer_step_averages_over_all_its_rows_however_they_are_batched(batch_size, accumulate):
    model = tiny()
    rows = data(batch_size, accumulate)
    gradients = {}

    class Caught(FineTuner):
        def on_before_optimizer_step(self, optimizer):
            gradients.update({n: p.grad.clone() for n, p in self.model.named_parameters() if p.grad is not None})

    expected = tiny()
    split = rows.splits["train"]
    batch = pad_batch([split.items[i] for i in range(len(split))], 0)
    loss = torch.nn.functional.cross_entropy(expected(**batch["inputs"]).logits, batch["target"])
    loss.backward()
    made = module(model)
    made.__class__ = Caught
    fit(made, rows, accumulate_grad_batches=accumulate)
    for name, parameter in expected.named_parameters():
        if parameter.grad is not None:
            assert torch.allclose(gradients[name], parameter.grad, atol=1e-6), name


def test_validation_loss_is_the_mean_over_rows():
    model, rows = tiny(), data(5)
    made = module(model)
    made.optim.lr = 1e-12  # the weights stay as they are
    trainer_metrics = {}

    class Told(FineTuner):
        def on_validation_epoch_end(self):
            super().on_validation_epoch_end()
            trainer_metrics.update({k: float(v) for k, v in self.trainer.callback_metrics.items()})

    made.__class__ = Told
    fit(made, rows)
    split = rows.splits["validation"]
    batch = pad_batch([split.items[i] for i in range(len(split))], 0)
    probabilities = model.eval()(**batch["inputs"]).logits.detach().double().softmax(-1).numpy()
    assert trainer_metrics["validation/loss"] == pytest.approx(
        log_loss(batch["target"].numpy(), probabilities), abs=1e-5
    )


@pytest.mark.parametrize("poison", ["loss", "gradient"])
def test_what_is_not_finite_stops_the_step_and_names_the_rows(poison):
    model, rows = tiny(), data(4)
    weights = [p.detach().clone() for p in model.parameters()]
    with torch.no_grad():
        bad = {int(r) for r in rows.loader("train", shuffle=True).plan.batches(0)[0][0]}

    class Poisoned(FineTuner):
        def _step(self, batch, stage):
            loss = super()._step(batch, stage)
            if stage == "train" and poison == "gradient":
                loss = loss + (self.model.classifier.weight.sum() * 0).sqrt()  # 0, with an infinite slope
            return loss

    if poison == "loss":
        with torch.no_grad():
            model.classifier.bias.fill_(float("nan"))
        weights[-1] = model.classifier.bias.detach().clone()
    made = module(model, where=lambda i: f"reviews.csv:{i + 2}")
    made.__class__ = Poisoned
    with user_error("training.not-finite", match=f"The {poison} is not finite at step 1") as caught:
        fit(made, rows)
    named = {int(w.split(":")[1].split(" ")[0]) - 2 for w in str(caught.value.where).removeprefix("rows ").split(", ")}
    assert named == bad
    for before, after in zip(weights, model.parameters(), strict=True):
        assert torch.equal(before, after) or (before.isnan() & after.isnan()).any()


@pytest.mark.parametrize(
    ("options", "clipped"),
    [
        ({"gradient_clip_val": 1e-4}, "norm"),
        ({"gradient_clip_val": 1e-5, "gradient_clip_algorithm": "value"}, "value"),
        ({}, None),
    ],
)
def test_the_trainers_limit_of_the_gradient_holds(options, clipped):
    seen: list[torch.Tensor] = []

    class Caught(FineTuner):
        def optimizer_step(self, *given, **named):
            super().optimizer_step(*given, **named)
            gradients = [p.grad for p in self.parameters() if p.grad is not None]
            seen.append(torch.cat([gradient.flatten() for gradient in gradients]))

    made = module(tiny())
    made.__class__ = Caught
    fit(made, data(4), **options)
    assert len(seen) == 3
    for gradient in seen:
        if clipped == "norm":
            assert gradient.norm().item() == pytest.approx(1e-4, rel=1e-2)  # torch adds 1e-6 to the norm
        elif clipped == "value":
            assert gradient.abs().max().item() == pytest.approx(1e-5)
        else:
            assert gradient.norm().item() > 3e-4 and gradient.abs().max().item() > 1e-4


def test_two_limits_of_the_gradient_are_refused():
    with user_error("config.conflict", match="The gradient has two limits") as caught:
        fit(module(tiny(), gradient_clip=1.0), data(4), gradient_clip_val=0.5)
    assert "gradient_clip=1)" in (caught.value.where or "") and "gradient_clip_val=0.5" in (caught.value.where or "")


def test_a_trainer_that_accumulates_otherwise_is_refused():
    with user_error("config.conflict", match="averaged over 1 batches to an optimizer step, and the Trainer takes 2"):
        fit(module(tiny()), data(4), accumulate_grad_batches=2)


def test_a_loader_of_ones_own_needs_the_normalizer_and_no_data_module():
    rows = data(4)
    plain = [rows.collate([rows.splits["train"].items[i] for i in range(j, j + 4)]) for j in (0, 4)]
    whole = [{**batch, "normalizer": 4.0} for batch in plain]
    settings = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    validation = DataLoader(plain, batch_size=None)
    with user_error("training.bad-batch", match="A training batch has no 'normalizer'"):
        Trainer(max_epochs=1, **settings).fit(module(tiny()), DataLoader(plain, batch_size=None), validation)
    trainer = Trainer(max_epochs=1, **settings)
    trainer.fit(module(tiny()), DataLoader(whole, batch_size=None), validation)
    assert trainer.global_step == 2 and 0 <= trainer.callback_metrics["validation/accuracy"] <= 1


def test_a_learning_rate_that_is_open_is_one_message():
    made = module(tiny())
    made.optim.lr = None
    with user_error("config.missing-value", match="The learning rate is not set"):
        fit(made, data(4))


def test_layers_that_ask_for_their_version_are_restored_from_a_checkpoint_without() -> None:
    from torchvision.models import mnasnet0_5

    metrics = MetricCollection({"accuracy": MulticlassAccuracy(2)})
    made = [FineTuner(mnasnet0_5(num_classes=2), SoftmaxHead(2), metrics, OptimConfig(lr=1e-3), 100) for _ in range(2)]
    saved = dict(made[0].state_dict())
    made[1].load_state_dict(saved)
    assert all(torch.equal(tensor, saved[name]) for name, tensor in made[1].state_dict().items())
