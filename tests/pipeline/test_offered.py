"""What a config names of callbacks and packages, looked at before any row is read."""

from __future__ import annotations

from tests.user_error import user_error
from tunebook.config.schema import AdaptConfig, Method, TrainConfig, TrainerConfig
from tunebook.pipeline.offered import check_offered


def test_an_average_of_adapters_is_refused_and_one_of_weights_is_not() -> None:
    trainer = TrainerConfig(callbacks=[{"ema_weight_averaging": {"decay": 0.9}}])
    with user_error("config.conflict", where="trainer.callbacks"):
        check_offered(TrainConfig(trainer=trainer, adapt=AdaptConfig(method=Method.lora)))
    check_offered(TrainConfig(trainer=trainer))
