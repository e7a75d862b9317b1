"""Counts and errors by place, against values worked out by hand."""

import numpy as np
import pytest

from finetune.reporting.maps import DENSITY_BINS, density, error_map


def test_density_counts_rows_by_label_and_prediction():
    target, prediction = (
        np.array([-1.0, 0.0, 0.0, 1.0, 0.31]),
        np.array([1.0, 0.02, 0.0, -1.0, 0.3]),
    )
    edges, counts = density(target, prediction)
    assert counts.shape == (41, 41)
    assert counts.sum() == 5
    assert counts[0, 40] == counts[40, 0] == 1  # label first
    assert counts[20, 20] == 2
    assert counts[26, 26] == 1
    assert edges[[0, -1]].tolist() == pytest.approx([-1.025, 1.025])


@pytest.mark.parametrize("step", [20, 10])
def test_labels_in_steps_fall_into_the_middle_of_a_bin_of_their_own(step):
    values = np.arange(-step, step + 1) / step
    _, counts = density(values, values)
    width = (DENSITY_BINS - 1) // (2 * step)
    assert np.argwhere(counts).tolist() == [[i * width] * 2 for i in range(len(values))]


def test_errors_are_means_over_the_bin_of_the_label():
    target = np.array([[0.9, -0.9], [0.85, -0.95], [0.0, 0.0], [-1.0, 1.0], [1.0, 1.0]])
    prediction = np.array([[0.6, -0.5], [0.85, -0.95], [0.0, -1.0], [-1.0, 0.8], [0.4, 0.2]])
    found = error_map(target, prediction, 10)
    assert found.counts.sum() == 5
    assert found.counts[9, 0] == 2  # valence first
    assert found.error[9, 0] == pytest.approx((0.5 + 0) / 2)
    assert found.shift[9, 0].tolist() == pytest.approx([-0.15, 0.2])
    assert found.error[5, 5] == pytest.approx(1)
    assert found.shift[5, 5].tolist() == pytest.approx([0, -1])
    assert found.error[0, 9] == pytest.approx(0.2)  # the ends of both axes are inside
    assert found.error[9, 9] == pytest.approx(1)
    empty = found.counts == 0
    assert np.isnan(found.error[empty]).all()
    assert np.isnan(found.shift[empty]).all()
    assert not np.isnan(found.error[~empty]).any()


def test_a_label_on_an_edge_falls_into_the_bin_above_it():
    edges = [-0.8, -0.6, -0.4, -0.2, 0.0, 0.2, 0.4, 0.6, 0.8]
    target = np.column_stack([edges, edges])
    found = error_map(target, target, 10)
    assert np.argwhere(found.counts).tolist() == [[i, i] for i in range(1, 10)]
    assert np.nanmax(found.error) == 0


def test_all_bins_together_are_the_mean_of_the_rows():
    rng = np.random.default_rng(0)
    target, prediction = rng.uniform(-1, 1, (2, 500, 2))
    for bins in (5, 10):
        found = error_map(target, prediction, bins)
        total = np.nansum(found.error * found.counts) / 500
        assert total == pytest.approx(np.linalg.norm(prediction - target, axis=1).mean())
        shift = np.nansum(found.shift * found.counts[..., None], (0, 1)) / 500
        assert shift == pytest.approx((prediction - target).mean(0))
