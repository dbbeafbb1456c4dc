"""What a training says of the devices that it is given."""

from __future__ import annotations

import os

import pytest

from tunebook.config.schema import Accelerator, TrainConfig, TrainerConfig
from tunebook.pipeline.train import check_devices


@pytest.mark.parametrize(("more", "noted"), [(0, False), (1, True)])
def test_more_processes_than_cores_are_noted_and_allowed(more: int, noted: bool) -> None:
    cores = len(os.sched_getaffinity(0))
    devices = cores + more
    config = TrainConfig(trainer=TrainerConfig(accelerator=Accelerator.cpu, devices=devices))
    notes = check_devices(config)
    assert len(notes) == noted
    if noted:
        assert f"trainer.devices={devices}" in notes[0] and "\n" not in notes[0]
