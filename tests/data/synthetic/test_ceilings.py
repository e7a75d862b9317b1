"""Ceilings of the drawn faces' labels."""

import pytest

from pretrain.data.synthetic import SyntheticConfig
from pretrain.data.synthetic.ceilings import ceilings


def test_ceilings_order_as_the_dials_say() -> None:
    by_rho = {
        rho: ceilings(SyntheticConfig(score_sufficiency=rho), samples=3000)
        for rho in (0.3, 0.6, 1.0)
    }
    for name in ("ccc_valence", "ccc_arousal"):
        low, middle, high = (by_rho[rho][f"scores/{name}"] for rho in (0.3, 0.6, 1.0))
        assert low < 0.55 < middle < high
        assert high == pytest.approx(by_rho[1.0][f"latents/{name}"], abs=0.01)
        assert by_rho[0.3][f"latents/{name}"] > 0.85
    happy = 0.176  # share of the class that is never confused
    assert by_rho[0.6]["expression_accuracy"] == pytest.approx(0.75 + 0.25 * happy, abs=0.03)
    assert all(0 < value < 1 for value in by_rho[0.6].values())
