"""How near drawn images are to real ones, and how many kinds of them there are.

Everything is of features, [n, F]: those of an encoder of stage one know faces better than those of
a network for objects.

Source: Heusel et al. 2017 (the Fréchet distance); Kynkäänniemi et al. 2019 (precision and recall).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Fewer images say nothing of distributions.
FEWEST = 20

#: Neighbours that make out how far a sample's surroundings reach.
_NEIGHBOURS = 3


@dataclass(frozen=True)
class Quality:
    """Drawn images beside real ones.

    Attributes:
        frechet: squared Fréchet distance of normal distributions fitted to both; 0: the same.
        precision: share of the drawn images that are among the real ones.
        recall: share of the real images that are among the drawn ones.
    """

    frechet: float
    precision: float
    recall: float


def quality(real: Floats, drawn: Floats) -> Quality:
    """Compares features of real and of drawn images, [n, F] and [m, F], n and m above 3."""
    return Quality(frechet(real, drawn), _share_inside(drawn, real), _share_inside(real, drawn))


def frechet(one: Floats, other: Floats) -> float:
    """|mean - mean'|^2 + trace(C + C' - 2 (C C')^(1/2)) of two sets of features."""
    means = [values.mean(0) for values in (one, other)]
    spreads = [np.atleast_2d(np.cov(values, rowvar=False)) for values in (one, other)]
    # The trace of the root is the sum of the roots of the eigenvalues, which are real and >= 0.
    eigenvalues = np.linalg.eigvals(spreads[0] @ spreads[1]).real
    root = np.sqrt(np.maximum(eigenvalues, 0)).sum()
    gap = ((means[0] - means[1]) ** 2).sum()
    return float(max(0.0, gap + np.trace(spreads[0]) + np.trace(spreads[1]) - 2 * root))


def nearest(images: Floats, others: Floats) -> NDArray[np.int64]:
    """For each image [n] the one of the others that looks most like it, by features."""
    return np.asarray(_distances(images, others).argmin(1))


def memorised(drawn: Floats, real: Floats) -> float:
    """Share of drawn images that are nearer to a real one than any other real one is to that."""
    among = _distances(real, real)
    np.fill_diagonal(among, np.inf)
    apart, distances = among.min(1), _distances(drawn, real)
    like = distances.argmin(1)
    return float((distances[np.arange(len(drawn)), like] < apart[like]).mean())


def mutual(real: Floats) -> float:
    """What :func:`memorised` can be expected to say of new real images.

    The share of the real ones that are the nearest to the one that is nearest to them: any two of
    them may be alike by chance.
    """
    among = _distances(real, real)
    np.fill_diagonal(among, np.inf)
    like = among.argmin(1)
    return float((like[like] == np.arange(len(real))).mean())


def _share_inside(images: Floats, others: Floats) -> float:
    """Share of the images that lie in the surroundings of some other one."""
    among = _distances(others, others)
    reach = np.partition(among, _NEIGHBOURS, axis=1)[:, _NEIGHBOURS]  # itself is the first
    return float((_distances(images, others) <= reach).any(1).mean())


def _distances(one: Floats, other: Floats) -> Floats:
    """Squared distances [n, m]."""
    squares = (one**2).sum(1)[:, None] + (other**2).sum(1)[None]
    return np.asarray(np.maximum(squares - 2 * one @ other.T, 0))
