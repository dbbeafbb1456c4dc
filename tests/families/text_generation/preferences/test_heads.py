"""The losses of preferences, their gradients and their metrics, against the plain formulas on plain logits."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.chatted import tiny_llama
from tunebook.config.schema import Objective
from tunebook.families.text_generation.data.answers import Supervised
from tunebook.families.text_generation.options import PreferenceObjective
from tunebook.families.text_generation.preferences.heads import (
    PairHead,
    PreferenceAccuracy,
    RewardAuroc,
    ThumbHead,
    preference_head,
)
from tunebook.families.text_generation.preferences.items import Preference, stack_preferences

GOOD = [True, False, False, True, True]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_llama(tmp_path_factory.mktemp("llama"))


def both(folder: Path, apart: float = 0.05) -> tuple[Any, Any]:
    """A model, and its reference, whose weights differ by so much."""
    reference: Any = AutoModelForCausalLM.from_pretrained(folder, dtype="float32").eval()
    model = copy.deepcopy(reference)
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += apart * torch.randn(parameter.shape, generator=draw)
    return model, reference


def answers(count: int, seed: int) -> list[Supervised]:
    """Token rows of different lengths, the second half of each an answer."""
    draw = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        before, tokens = int(draw.integers(3, 9)), int(draw.integers(2, 12))
        ids = draw.integers(5, 900, before + tokens).astype(np.int32)
        made.append(Supervised(ids, np.arange(len(ids)) >= before))
    return made


def plain_log_prob(model: Any, row: Supervised) -> torch.Tensor:
    """By the definition: of each token of the answer given all before it, from the whole logits of one row."""
    ids = torch.from_numpy(row.ids.astype(np.int64))
    log_shares = model(input_ids=ids[None]).logits[0].log_softmax(-1)
    wanted = [i for i in range(1, len(ids)) if row.supervised[i]]
    return torch.stack([log_shares[i - 1, ids[i]] for i in wanted]).sum()


def rows_of(reference: Any, first: list[Supervised], second: list[Supervised]) -> list[Preference]:
    with torch.no_grad():
        known = [[float(plain_log_prob(reference, row)) for row in two] for two in zip(first, second, strict=True)]
    return [
        Preference((one, other), GOOD[number], number, np.array(known[number]))
        for number, (one, other) in enumerate(zip(first, second, strict=True))
    ]


def gradients(model: Any, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad(set_to_none=True)
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_alike(model: Any, ours: torch.Tensor, theirs: torch.Tensor, theirs_of: Any = None) -> None:
    assert float(ours.detach()) == pytest.approx(float(theirs.detach()), abs=1e-5)
    mine = gradients(model, ours)
    expected = gradients(theirs_of if theirs_of is not None else model, theirs)
    assert mine.keys() == expected.keys()
    assert max(float(g.abs().max()) for g in expected.values()) > 1e-3
    for name, gradient in expected.items():
        torch.testing.assert_close(mine[name], gradient, atol=1e-5, rtol=1e-4, msg=name)


@pytest.mark.parametrize("packed", [False, True])
def test_dpo_is_its_formula(folder: Path, packed: bool) -> None:
    model, reference = both(folder)
    first, second = answers(5, 0), answers(5, 1)
    batch = stack_preferences(rows_of(reference, first, second), 0, packed, Objective.dpo)
    head = PairHead(beta=0.3)
    ours = head.loss(head.forward(model, batch), batch["target"]).mean()
    ratios = [
        [plain_log_prob(model, row) - plain_log_prob(reference, row).detach() for row in rows]
        for rows in (first, second)
    ]
    apart = torch.stack(ratios[0]) - torch.stack(ratios[1])
    assert_alike(model, ours, torch.log1p(torch.exp(-0.3 * apart)).mean())


@pytest.mark.parametrize("packed", [False, True])
def test_kto_is_its_formula(folder: Path, packed: bool) -> None:
    model, reference = both(folder) if packed else reversed(both(folder))
    first, second = answers(5, 2), answers(5, 3)
    batch = stack_preferences(rows_of(reference, first, second), 0, packed, Objective.kto)
    head = preference_head(PreferenceObjective(Objective.kto, 0.2, 1.5, 0.5))
    made = head.forward(model, batch)
    ours = head.loss(made, batch["target"]).mean()
    with torch.no_grad():
        apart = [plain_log_prob(model, row) - plain_log_prob(reference, row) for row in second]
    z = max(0.0, sum(map(float, apart)) / 5)
    losses = []
    for row, good in zip(first, GOOD, strict=True):
        ratio = plain_log_prob(model, row) - plain_log_prob(reference, row).detach()
        value = 1 / (1 + torch.exp(-0.2 * (ratio - z))) if good else 1 / (1 + torch.exp(-0.2 * (z - ratio)))
        losses.append((1.5 if good else 0.5) * (1 - value))
    assert made[:, 1].tolist() == pytest.approx([z] * 5, abs=1e-4)
    assert_alike(model, ours, torch.stack(losses).mean())


def test_a_good_answer_gains_by_a_higher_ratio_and_a_bad_one_by_a_lower() -> None:
    head = ThumbHead(PreferenceObjective(Objective.kto))
    logits = torch.tensor([[1.0, 0.0], [-2.0, 0.0]], requires_grad=True)
    losses = head.loss(logits, torch.tensor([1, 0]))
    assert losses.tolist() == pytest.approx([1 - 1 / (1 + math.exp(-0.1)), 1 - 1 / (1 + math.exp(-0.2))])


def test_before_the_first_step_every_pair_is_a_draw(folder: Path) -> None:
    _, model = both(folder)
    batch = stack_preferences(rows_of(model, answers(5, 0), answers(5, 1)), 0, True, Objective.dpo)
    head = PairHead(beta=0.1)
    made = head.forward(model, batch)
    assert made.abs().max() < 1e-3
    assert head.loss(made, batch["target"]).tolist() == pytest.approx([math.log(2)] * 5, abs=1e-4)


def test_accuracy_counts_ties_as_wrong() -> None:
    metric = PreferenceAccuracy()
    metric.update(torch.tensor([1.0, 0.0, 2.0]), torch.tensor([0.0, 0.0, 3.0]))
    metric.update(torch.tensor([5.0]), torch.tensor([4.0]))
    assert float(metric.compute()) == 0.5


def test_the_area_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import roc_auc_score

    draw = torch.Generator().manual_seed(0)
    rewards = torch.randint(0, 12, (60,), generator=draw).float() / 3  # with ties
    good = torch.randint(0, 2, (60,), generator=draw)
    metric = RewardAuroc()
    for part in range(0, 60, 25):
        metric.update(rewards[part : part + 25], good[part : part + 25])
    assert float(metric.compute()) == pytest.approx(roc_auc_score(good.numpy(), rewards.numpy()), abs=1e-6)
    metric.reset()
    metric.update(torch.tensor([1.0, 2.0]), torch.tensor([1, 1]))
    assert math.isnan(metric.compute())


# TRL, where it is installed ------------------------------------------------------------------------------------------


def trl_trainer(kind: str, folder: Path, place: Path, beta: float, **options: Any) -> Any:
    trl = pytest.importorskip("trl")
    datasets = pytest.importorskip("datasets")
    turns = {
        "prompt": [{"role": "user", "content": "Where is it?"}],
        **(
            {
                "chosen": [{"role": "assistant", "content": "Here."}],
                "rejected": [{"role": "assistant", "content": "There."}],
            }
            if kind == "DPO"
            else {"completion": [{"role": "assistant", "content": "Here."}]}
        ),
    }
    rows = [{**turns, **({} if kind == "DPO" else {"label": number % 2 == 0})} for number in range(4)]
    arguments = getattr(trl, f"{kind}Config")(
        output_dir=str(place), beta=beta, report_to=[], use_cpu=True, bf16=False, max_length=None, **options
    )
    return getattr(trl, f"{kind}Trainer")(
        model=str(folder),
        args=arguments,
        train_dataset=datasets.Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(folder),
    )


def split_ids(row: Supervised) -> tuple[list[int], list[int]]:
    return row.ids[~row.supervised].tolist(), row.ids[row.supervised].tolist()


def alike_prompts(first: list[Supervised], second: list[Supervised]) -> list[Supervised]:
    """The second answers behind the prompts of the first ones."""
    made = []
    for one, other in zip(first, second, strict=True):
        ids = np.concatenate([one.ids[~one.supervised], other.ids[other.supervised]])
        made.append(Supervised(ids, np.arange(len(ids)) >= (~one.supervised).sum()))
    return made


@pytest.mark.filterwarnings("ignore")
def test_dpo_is_that_of_trl(folder: Path, tmp_path: Path) -> None:
    trainer = trl_trainer("DPO", folder, tmp_path, beta=0.3)
    model, reference = both(folder)
    first = answers(5, 0)
    second = alike_prompts(first, answers(5, 1))
    batch = stack_preferences(rows_of(reference, first, second), 0, True, Objective.dpo)
    head = PairHead(beta=0.3)
    ours = head.loss(head.forward(model, batch), batch["target"]).mean()
    trainer.model.load_state_dict(model.state_dict())
    trainer.ref_model.load_state_dict(reference.state_dict())
    trainer.model.eval()
    examples = [
        {"prompt_ids": split_ids(one)[0], "chosen_ids": split_ids(one)[1], "rejected_ids": split_ids(other)[1]}
        for one, other in zip(first, second, strict=True)
    ]
    theirs = trainer.compute_loss(trainer.model, trainer.data_collator(examples))
    assert_alike(model, ours, theirs, trainer.model)


@pytest.mark.filterwarnings("ignore")
def test_kto_is_that_of_trl(folder: Path, tmp_path: Path) -> None:
    options = {"desirable_weight": 1.5, "undesirable_weight": 0.5, "train_sampling_strategy": "sequential"}
    trainer = trl_trainer("KTO", folder, tmp_path, beta=0.2, per_device_train_batch_size=2, **options)
    model, reference = both(folder)
    first = answers(5, 2)
    second = alike_prompts(first, answers(5, 3))
    batch = stack_preferences(rows_of(reference, first, second), 0, True, Objective.kto)
    head = ThumbHead(PreferenceObjective(Objective.kto, 0.2, 1.5, 0.5))
    ours = head.loss(head.forward(model, batch), batch["target"]).mean()
    trainer.model.load_state_dict(model.state_dict())
    trainer.ref_model.load_state_dict(reference.state_dict())
    trainer.model.eval()
    examples = [
        {
            "prompt_ids": split_ids(one)[0],
            "completion_ids": split_ids(one)[1],
            "KL_completion_ids": split_ids(other)[1],
            "label": good,
        }
        for one, other, good in zip(first, second, GOOD, strict=True)
    ]
    theirs = trainer.compute_loss(trainer.model, trainer.data_collator(examples))
    assert_alike(model, ours, theirs, trainer.model)
