"""Callbacks by name: Lightning's own that are offered, those of packages, and what is refused."""

from __future__ import annotations

import csv
import inspect
import json

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging, LearningRateMonitor, ModelSummary, Timer

from tests.conftest import write_reviews
from tests.finished import finished
from tests.training.offered import offer
from tunebook.bundle.read import open_bundle
from tunebook.config.callbacks import CALLBACKS
from tunebook.errors import UserError
from tunebook.training.callbacks import check_callback_options, make_callbacks
from tunebook.training.checkpoints import AtomicCheckpointIO, read_checkpoint, step_checkpoint, step_checkpoints

COOLING = """
import torch
from lightning.pytorch import Callback


class Cooling(Callback):
    '''Makes gradients smaller from step to step: what it remembers changes the weights.'''

    def __init__(self, factor):
        self.factor = factor
        self.scale = torch.ones(())

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        for parameter in pl_module.parameters():
            if parameter.grad is not None:
                parameter.grad *= self.scale
        self.scale = self.scale * self.factor

    def state_dict(self):
        return {"scale": self.scale}

    def load_state_dict(self, state_dict):
        self.scale = state_dict["scale"]


class Broken(Cooling):
    def state_dict(self):
        return {"scale": self}


def text():
    return "no callback"
"""
OFFERED = {"cooling": "Cooling", "broken": "Broken", "text": "text"}


def test_ours_are_lightnings_with_the_options_told_without_it():
    made = make_callbacks(
        ["learning_rate_monitor", {"ema_weight_averaging": {"decay": 0.5}}, "model_summary", {"timer": None}]
    )
    assert [type(each).__mro__[i] for each, i in zip(made, (0, 1, 0, 0), strict=True)] == [
        LearningRateMonitor,
        EMAWeightAveraging,
        ModelSummary,
        Timer,
    ]
    for (name, options), theirs in zip(sorted(CALLBACKS.items()), sorted(made, key=_name), strict=True):
        assert set(options) <= set(inspect.signature(type(theirs).__init__).parameters), name


def _name(callback):
    return {
        "AveragedWeights": "ema_weight_averaging",
        "LearningRateMonitor": "learning_rate_monitor",
        "ModelSummary": "model_summary",
        "Timer": "timer",
    }[type(callback).__name__]


MISTAKES = {
    "unknown": (["learning_rate_moniter"], "no callback named 'learning_rate_moniter'", "learning_rate_monitor?"),
    "option": ([{"timer": {"durations": "1"}}], "no option 'durations'", "did you mean duration?"),
    "value": ([{"timer": {"duration": "an hour"}}], "'timer' cannot be created", "correct its options: duration"),
    "twice": (["timer", {"timer": {}}], "names 'timer' twice", "once"),
    "not offered": (["stochastic_weight_averaging"], "were never validated", "ema_weight_averaging"),
    "our own": (["early_stopping"], "'early_stopping' is not offered", "trainer.early_stop=3"),
    "a class": ([{"_target_": "os.system"}], "a list of names", "trainer.callbacks=[one"),
    "code": (["os.system"], "There is no callback named 'os.system'", "the callbacks are:"),
    "no callback": (["text"], "'text' is a builtins.str", "derive it from lightning.pytorch.Callback"),
    "no value": (["cooling"], "The option 'factor' has no value", "add factor"),
    "option of a package": ([{"cooling": {"factr": 1}}], "no option 'factr'", "did you mean factor?"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_message(tmp_path, monkeypatch, case):
    offer(tmp_path, monkeypatch, "cooling_told", COOLING, callbacks=OFFERED)
    given, said, fix = MISTAKES[case]
    with pytest.raises(UserError) as caught:
        make_callbacks(given)
    assert said in caught.value.what
    assert fix in (caught.value.fix or "")
    assert (caught.value.where or "").startswith("trainer.callbacks")


def test_a_callback_that_cannot_be_imported_names_its_package(tmp_path, monkeypatch):
    offer(tmp_path, monkeypatch, "no_parts", "import nothing_of_the_kind", callbacks={"absent": "Absent"})
    with pytest.raises(UserError, match="The callback 'absent' cannot be imported: ModuleNotFoundError") as caught:
        check_callback_options(["absent"])
    assert "no_parts 1.0" in (caught.value.where or "")


def test_a_run_with_an_average_keeps_the_average(tmp_path, cache):
    run = finished(tmp_path, "trainer.callbacks=[{ema_weight_averaging:{decay:0.5}},learning_rate_monitor]")
    newest = read_checkpoint(step_checkpoints(run.checkpoints)[-1])
    best = read_checkpoint(step_checkpoint(run.checkpoints, newest["callbacks"]["Checkpoints"]["best_step"]))
    average, moved = best["state_dict"], best["current_model_state"]
    name = next(name for name in average if name.endswith("score.weight"))
    assert not torch.equal(average[name], moved[name])
    from safetensors.torch import load_file

    assert torch.equal(load_file(run.bundle / "model.safetensors")["score.weight"], average[name])
    header = (run.logs / "metrics.csv").read_text().splitlines()[0]
    assert "lr-AdamW" in header
    assert "lr-AdamW" not in run.report.read_text()
    assert json.loads((run.path / "metrics.json").read_text())


def test_validation_is_of_the_average(tmp_path, cache):
    given = write_reviews(tmp_path / "validation.csv", 30, seed=3)
    average = "trainer.callbacks=[{ema_weight_averaging:{decay:0.8}}]"
    run = finished(tmp_path, average, f"data.validation={given}", "optim.lr=3e-3")
    with (run.logs / "metrics.csv").open() as stream:
        logged = [float(row["validation/loss"]) for row in csv.DictReader(stream) if row["validation/loss"]]
    with given.open() as stream:
        rows = list(csv.DictReader(stream))
    _, _, predictor = open_bundle(run.bundle)

    def loss():
        probabilities, _ = predictor.predict([row["text"] for row in rows])
        own = [p[predictor.labels.index(row["label"])] for p, row in zip(probabilities, rows, strict=True)]
        return -np.log(own).mean()

    assert min(abs(each - loss()) for each in logged) < 1e-4
    newest = read_checkpoint(step_checkpoints(run.checkpoints)[-1])
    best = read_checkpoint(step_checkpoint(run.checkpoints, newest["callbacks"]["Checkpoints"]["best_step"]))
    moved = {name.removeprefix("model."): value for name, value in best["current_model_state"].items()}
    predictor.model.load_state_dict(moved)
    assert min(abs(each - loss()) for each in logged) > 1e-3, "the weights that the optimizer moves"


def test_a_state_that_could_not_be_read_back_is_refused_before_it_is_written(tmp_path):
    class Counter:
        """An object of a class of one's own."""

    state = {"callbacks": {"Mine": {"seen": [1, Counter()]}}}
    with pytest.raises(UserError, match=r"holds a .*Counter, which cannot be saved in a checkpoint") as caught:
        AtomicCheckpointIO().save_checkpoint(state, tmp_path / "step-1.ckpt")
    assert caught.value.where == "checkpoint['callbacks']['Mine']['seen'][1]"
    assert not (tmp_path / "step-1.ckpt").exists()
    good = {"callbacks": {"Mine": {"seen": [1, 2.0, "three", None, torch.ones(2)]}}}
    AtomicCheckpointIO().save_checkpoint(good, tmp_path / "step-1.ckpt")
    assert read_checkpoint(tmp_path / "step-1.ckpt")["callbacks"]["Mine"]["seen"][2] == "three"


class Rotary(LightningModule):
    """A layer with a buffer of each kind: not saved, a whole number, and a running mean."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)
        self.register_buffer("frequencies", 10000.0 ** -(torch.arange(8) / 8), persistent=False)
        self.register_buffer("position", torch.arange(1, 9) * 1001)
        self.register_buffer("running_mean", torch.zeros(()))

    def training_step(self, batch, batch_idx):
        self.running_mean += 1
        return self.layer(batch).sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_an_average_leaves_the_models_constants_as_they_are(tmp_path):
    model = Rotary()
    frequencies, position = model.frequencies.clone(), model.position.clone()
    [average] = make_callbacks([{"ema_weight_averaging": {"decay": 0.9}}])
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    trainer = Trainer(max_steps=40, callbacks=[average], enable_checkpointing=False, default_root_dir=tmp_path, **quiet)
    trainer.fit(model, torch.utils.data.DataLoader(torch.ones(40, 2), batch_size=1))
    assert torch.equal(model.frequencies, frequencies)  # the average was copied into the model at the end
    assert torch.equal(model.position, position)
    expected = 1.0  # a running mean is averaged, as weights are: the first update copies
    for step in range(2, 41):
        expected = 0.9 * expected + 0.1 * step
    assert model.running_mean.item() == pytest.approx(expected, rel=1e-5)
