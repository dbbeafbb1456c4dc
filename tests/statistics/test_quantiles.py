from __future__ import annotations

import pytest

from tunebook.statistics.quantiles import student

# Abramowitz & Stegun (1964), table 26.10, and for 1 and 2 degrees of freedom the closed forms
TABLE = {
    (0.95, 1): 12.706,
    (0.99, 2): 9.925,
    (0.95, 3): 3.182,
    (0.99, 3): 5.841,
    (0.999, 3): 12.924,
    (0.99, 10): 3.169,
    (0.9, 30): 1.697,
}


@pytest.mark.parametrize(("confidence", "freedom"), TABLE)
def test_the_quantile_is_that_of_the_printed_tables(confidence: float, freedom: int) -> None:
    assert student(confidence, freedom) == pytest.approx(TABLE[confidence, freedom], abs=5e-4)
