"""Pictures, one after another or any one alone."""

from __future__ import annotations

from collections.abc import Iterator

from tunebook import UserError

from .patients import patient
from .picture import Order, Picture
from .smear import draw_smear
from .xray import draw_xray


def pictures(
    kind: str,
    patients: int,
    *,
    size: int = 64,
    difficulty: float = 0.5,
    prevalence: float = 0.4,
    bits: int = 8,
    seed: int = 0,
) -> Iterator[Picture]:
    """All pictures of patients 0 to ``patients - 1``: one to four of each.

    Args:
        kind: xray or smear.
        patients: How many; more patients add pictures and change none.
        size: Height and width in pixels; the same scene at every size.
        difficulty: 0 (findings are obvious) to 1 (hardly anyone sees them).
        prevalence: Share of patients with a finding.
        bits: 8, or 16 for an X-ray.
        seed: Another seed, other patients.

    Raises:
        UserError: A value that no picture can be drawn with.
    """
    order = Order(kind, size, difficulty, prevalence, bits, seed)
    if patients < 1:
        raise UserError(
            f"patients cannot be {patients}", code="synthetic.out-of-range", where="patients", fix="use 1 or more"
        )
    return (picture(order, who, number) for who in range(patients) for number in range(patient(order, who).pictures))


def picture(order: Order, number_of_patient: int, number: int) -> Picture:
    """One picture, the same whether or not others are drawn.

    It depends on the order, the patient and the picture's number alone. Bit for bit on one version of numpy and one
    kind of processor; elsewhere a pixel may round to its neighbouring grey.

    Raises:
        UserError: The patient has no picture of this number.
    """
    who = patient(order, number_of_patient)
    if not 0 <= number < who.pictures:
        raise UserError(
            f"Patient {number_of_patient} has no picture {number}",
            code="synthetic.out-of-range",
            where="number",
            fix=f"use 0 to {who.pictures - 1}",
        )
    pixels, findings = (draw_xray if order.kind == "xray" else draw_smear)(order, who, number)
    return Picture(pixels, who.number, number, who.site, who.sex, findings)
