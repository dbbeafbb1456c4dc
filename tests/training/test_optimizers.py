"""Optimizers by name: each moves its weights as torch's own does, and refuses what would have no effect."""

from __future__ import annotations

import copy
import inspect

import pytest
import torch
from torch import nn

from tests.training.offered import offer
from tests.training.test_parameter_groups import bert
from tunebook.config.optim import OptimConfig
from tunebook.config.optimizers import OPTIMIZERS, check_optim, resolve_optim
from tunebook.errors import UserError
from tunebook.training.optimizers import make_optimizer
from tunebook.training.parameter_groups import layer_of, parameter_groups

REFERENCES = {
    "adamw": lambda groups: torch.optim.AdamW(groups, betas=(0.9, 0.999), eps=1e-8, fused=True),
    "adam": lambda groups: torch.optim.Adam(groups),
    "nadam": lambda groups: torch.optim.NAdam(groups, decoupled_weight_decay=True),
    "radam": lambda groups: torch.optim.RAdam(groups, decoupled_weight_decay=True),
    "adamax": lambda groups: torch.optim.Adamax(groups),
    "rmsprop": lambda groups: torch.optim.RMSprop(groups),
    "adagrad": lambda groups: torch.optim.Adagrad(groups),
    "adadelta": lambda groups: torch.optim.Adadelta(groups),
    "adafactor": lambda groups: torch.optim.Adafactor(groups),
    "sgd": lambda groups: torch.optim.SGD(groups, momentum=0.9),
}


def moved(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 3) -> list[torch.Tensor]:
    """The weights after a few steps on fixed tokens."""
    tokens = torch.arange(24).view(4, 6) % 30
    for _ in range(steps):
        optimizer.zero_grad()
        model(input_ids=tokens, labels=torch.tensor([0, 1, 2, 0])).loss.backward()
        optimizer.step()
    return [p.detach() for p in model.parameters()]


@pytest.mark.parametrize("name", REFERENCES)
def test_an_optimizer_moves_weights_as_torch_does_with_its_defaults(name: str):
    decay = 0.01 if name in ("adamw", "nadam", "radam") else 0.0
    ours, theirs = bert().eval(), bert().eval()
    optimizer = make_optimizer(ours, OptimConfig(name=name, lr=1e-2))
    matrices = [p for p in theirs.parameters() if p.ndim >= 2]
    vectors = [p for p in theirs.parameters() if p.ndim < 2]
    reference = REFERENCES[name](
        [
            {"params": matrices, "lr": 1e-2, "weight_decay": decay},
            {"params": vectors, "lr": 1e-2, "weight_decay": 0.0},
        ]
    )
    start = [p.detach().clone() for p in ours.parameters()]
    after = moved(ours, optimizer)
    for first, one, two in zip(start, after, moved(theirs, reference), strict=True):
        assert torch.allclose(one, two, atol=1e-7)
        assert not torch.equal(first, one) or first.ndim == 1  # a bias of keys has no gradient


def test_sgd_by_hand():
    """Two steps of Nesterov's momentum on one weight whose gradient is 1."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 1.0)
    optim = OptimConfig(name="sgd", lr=0.1, momentum=0.5, nesterov=True, weight_decay=0.0)
    optimizer = make_optimizer(model, optim)
    for _ in range(2):
        model.weight.grad = torch.ones(1, 1)
        optimizer.step()
    # Velocities 1 and 1.5; steps of 0.1 (1 + 0.5 velocity) each.
    assert model.weight.item() == pytest.approx(1 - 0.1 * 1.5 - 0.1 * 1.75)


def test_muon_takes_the_matrices_of_the_layers_and_adamw_the_rest():
    model = bert().eval()
    optim = OptimConfig(name="muon", lr=1e-2, head_lr=1e-1)
    twin = copy.deepcopy(model)
    after = moved(model, make_optimizer(model, optim), steps=1)  # its bfloat16 makes much of what rounds otherwise
    inside = [p for n, p in twin.named_parameters() if p.ndim == 2 and layer_of(n) is not None]
    muon = torch.optim.Muon(inside, lr=1e-2, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
    others = [(n, p) for n, p in twin.named_parameters() if p.ndim != 2 or layer_of(n) is None]
    adamw = torch.optim.AdamW(
        [
            {
                "params": [p],
                "lr": 1e-1 if n.startswith("classifier") else 1e-2,
                "weight_decay": 0.01 if p.ndim == 2 else 0.0,
            }
            for n, p in others
        ]
    )
    tokens = torch.arange(24).view(4, 6) % 30
    twin(input_ids=tokens, labels=torch.tensor([0, 1, 2, 0])).loss.backward()
    muon.step()
    adamw.step()
    assert len(inside) == 18  # six matrices in each of three layers
    for ours, (name, theirs) in zip(after, twin.named_parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-6), name


def test_muon_goes_on_from_its_state_and_follows_the_schedule():
    first, second = bert().eval(), bert().eval()
    optim = OptimConfig(name="muon", lr=1e-2)
    whole, broken = make_optimizer(first, optim), make_optimizer(second, optim)
    moved(first, whole, 2)
    moved(second, broken, 2)
    resumed = make_optimizer(second, optim)
    resumed.load_state_dict(broken.state_dict())
    for optimizer in (whole, resumed):
        for group in optimizer.param_groups:
            group["lr"] = 5e-3
    for one, two in zip(moved(first, whole), moved(second, resumed), strict=True):
        assert torch.equal(one, two)
    for group in whole.param_groups:
        group["lr"] = 0.0
    before = [p.detach().clone() for p in first.parameters()]
    assert all(map(torch.equal, before, moved(first, whole, 1)))


def test_muon_needs_matrices_inside_layers():
    with pytest.raises(UserError, match="trainable matrices in numbered layers"):
        make_optimizer(nn.Linear(3, 3), OptimConfig(name="muon", lr=0.1))


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "muon"])
def test_the_options_told_without_torch_are_those_that_torch_has(name: str):
    entry = OPTIMIZERS[name]
    theirs = inspect.signature(type(make_optimizer(nn.Linear(2, 2), OptimConfig(name=name, lr=0.1)))).parameters
    ours = {"betas" if key.startswith("beta") and key != "beta2_decay" else key for key in (*entry.keys, *entry.args)}
    assert ours <= set(theirs)
    for key, value in entry.args.items():
        assert theirs[key].default == value, key


def test_each_parameter_group_keeps_its_rate_decay_and_thaw():
    optim = OptimConfig(name="sgd", lr=1.0, head_lr=10.0, layer_decay=0.5, weight_decay=0.1)
    model = bert()
    made = make_optimizer(model, optim, unfreeze_steps=6).param_groups
    wanted = parameter_groups(model, optim, 6)
    assert [(g["lr"], g["weight_decay"], g["from_step"]) for g in made] == [
        (g["lr"], g["weight_decay"], g["from_step"]) for g in wanted
    ]


MISTAKES = {
    "unknown": (OptimConfig(name="adanw", lr=1e-3), "There is no optimizer named 'adanw'", "did you mean adamw?"),
    "schedule": (OptimConfig(schedule="cosin"), "There is no schedule named 'cosin'", "did you mean cosine?"),
    "beta of sgd": (OptimConfig(name="sgd", beta1=0.9), "optim.beta1 has no effect for optim.name=sgd", "leave"),
    "momentum of adamw": (OptimConfig(momentum=0.9), "optim.momentum has no effect for optim.name=adamw", "leave"),
    "option": (OptimConfig(name="sgd", args={"dampning": 0.1}), "no option 'dampning'", "did you mean dampening?"),
    "range": (OptimConfig(name="sgd", args={"dampening": 2}), "from 0 to 1, not 2", "dampening: 0"),
    "text": (OptimConfig(name="rmsprop", args={"centered": "yes"}), "must be true or false", "centered: true"),
    "list": (OptimConfig(args=["amsgrad"]), "optim.args must be a mapping", "optim.args={"),
    "nesterov": (OptimConfig(name="sgd", momentum=0.0, nesterov=True), "Nesterov needs momentum", "momentum=0.9"),
    "dampened": (OptimConfig(name="sgd", nesterov=True, args={"dampening": 0.1}), "excludes dampening", "leave"),
    "cycles": (OptimConfig(schedule="cosine_restarts", schedule_args={"cycles": 1.5}), "a whole number", "cycles: 3"),
    "power": (OptimConfig(schedule="linear", schedule_args={"power": 2}), "no option 'power'", "options are: end"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_what_has_no_effect_is_refused_in_one_message(case: str):
    optim, said, fix = MISTAKES[case]
    with pytest.raises(UserError) as caught:
        check_optim(optim)
    assert said in caught.value.what
    assert fix in (caught.value.fix or "")
    assert "optim." in (caught.value.where or "")


def test_open_keys_have_the_optimizers_own_defaults_and_others_stay_open():
    settled = resolve_optim(OptimConfig(name="sgd", momentum=0.5))
    assert (settled.momentum, settled.nesterov, settled.weight_decay, settled.beta1) == (0.5, False, 0.0, None)


LION = '''
import torch


class Signs(torch.optim.Optimizer):
    """Steps of one size, whichever way the gradient points."""

    def __init__(self, params, lr, scale=1.0):
        super().__init__(params, {"lr": lr, "scale": scale})

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p -= group["lr"] * group["scale"] * p.grad.sign()
        return loss


def steps(step, warmup_steps, total_steps, drop=0.5):
    return 1.0 if step < total_steps / 2 else drop


def broken(params, lr):
    return "no optimizer"
'''


def test_a_package_offers_an_optimizer(tmp_path, monkeypatch):
    offer(tmp_path, monkeypatch, "sign_steps", LION, optimizers={"signs": "Signs", "broken": "broken"})
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 1.0)
    optimizer = make_optimizer(model, OptimConfig(name="signs", lr=0.1, args={"scale": 2.0}))
    model.weight.grad = torch.full((1, 1), -7.0)
    optimizer.step()
    assert model.weight.item() == pytest.approx(1.2)
    for optim, said in {
        "There is no option 'scael'": OptimConfig(name="signs", lr=0.1, args={"scael": 2.0}),
        "no default for optim.name=signs": OptimConfig(name="signs"),
        "optim.momentum has no effect": OptimConfig(name="signs", lr=0.1, momentum=0.9),
        "'broken' gave a str": OptimConfig(name="broken", lr=0.1),
        "did you mean signs?": OptimConfig(name="sings", lr=0.1),
    }.items():
        with pytest.raises(UserError) as caught:
            make_optimizer(model, said)
        assert optim in str(caught.value)
