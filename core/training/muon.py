"""Muon for the matrices inside the layers, AdamW for everything else, as one optimizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer

from tunebook.errors import UserError


class MuonWithAdamW(Optimizer):
    """Muon is for matrices inside the layers alone; embeddings, vectors, convolutions and the head go to AdamW.

    With ``adjust_lr_fn="match_rms_adamw"`` both take the learning rate and decay of AdamW (Liu et al. 2025,
    arXiv:2502.16982).

    Args:
        groups: Parameter groups; those with ``muon`` true go to Muon.
        lr: Of groups without one of their own.
        betas: AdamW's.
        eps: AdamW's.
        weight_decay: Of groups without one of their own.
        momentum: Muon's.
        nesterov: Muon's.
        ns_steps: Newton-Schulz steps.
        adjust_lr_fn: How the rate is scaled to a matrix: "original" or "match_rms_adamw".

    Raises:
        UserError: No group goes to Muon.
    """

    def __init__(
        self,
        groups: list[dict[str, Any]],
        lr: float,
        betas: tuple[float, float],
        eps: float,
        weight_decay: float,
        momentum: float,
        nesterov: bool,
        ns_steps: int,
        adjust_lr_fn: str,
    ) -> None:
        if not any(group.get("muon") for group in groups):
            raise UserError(
                "Muon needs trainable matrices in numbered layers, and this model has none.",
                code="config.no-effect",
                where="optim.name=muon",
                fix="optim.name=adamw",
            )
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay})
        self._of_muon: dict[str, Any] = {
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        self._of_adamw: dict[str, Any] = {"betas": betas, "eps": eps}
        self._share()

    def _share(self) -> None:
        """Two optimizers over this one's groups and state: a rate set here, and a state loaded here, are theirs too."""
        muon = [group for group in self.param_groups if group.get("muon")]
        rest = [group for group in self.param_groups if not group.get("muon")]
        self._parts: list[Optimizer] = [torch.optim.Muon(muon, **self._of_muon)]
        if rest:
            self._parts.append(torch.optim.AdamW(rest, fused=True, **self._of_adamw))
        for part in self._parts:
            part.state = self.state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved state."""
        super().load_state_dict(state_dict)
        self._share()

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of both."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self._parts:
            part.step()
        return loss
