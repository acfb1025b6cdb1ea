"""The playground: points in the plane that a reader moves, and what silhouettes, elbow and valley make of them.

It computes in the page, since what it shows follows the points while they move. `tests/figures/test_playground_browser`
compares its arithmetic with that of the helpers.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .frame import fill_in, hex_colors
from .plots import GAIN, LOSS, OTHER

TITLE = "Silhouette playground"
_MOST_CLUSTERS = 8


@dataclass(frozen=True)
class Preset:
    """Points at which a claim of the book can be seen and tried.

    Attributes
    ----------
    title : str
    attempt, seen : str
        What to try, and what is to be seen.
    n_clusters : int
        The k at which it opens.
    draw : callable
        Draws the points, shape (n, 2), from a generator whose numbers no version of NumPy changes.
    random_state : int
    layers : tuple of str
        What is drawn beside the points: of ``cells``, ``lines`` to the own cluster and the rival, ``links`` across a
        border, and ``borders`` of all halves.
    view : tuple of float
        Left, bottom, width and height of what is shown of the plane.
    in_hand : int
        The row of the point that is in hand.
    """

    title: str
    attempt: str
    seen: str
    n_clusters: int
    draw: Callable[[np.random.RandomState], np.ndarray]
    random_state: int
    layers: tuple[str, ...]
    view: tuple[float, float, float, float] = (-5, -4, 10, 8)
    in_hand: int = 0

    @property
    def points(self) -> np.ndarray:
        """The points, float64, shape (n, 2)."""
        return np.round(self.draw(np.random.RandomState(self.random_state)), 2)


# --- points -----------------------------------------------------------------------------------------------------------


def _wide_and_tight(rng: np.random.RandomState) -> np.ndarray:
    return np.vstack([rng.normal([-1.3, 0], 1.4, (40, 2)), rng.normal([2.7, 0.2], 0.25, (20, 2))])


def _short_and_long(rng: np.random.RandomState) -> np.ndarray:
    angle = rng.uniform(0.5, np.pi / 2 - 0.5, 100)
    length = np.where(np.arange(100) % 2, rng.normal(2.6, 0.5, 100), rng.normal(6.6, 0.7, 100))
    return length[:, np.newaxis] * np.column_stack([np.cos(angle), np.sin(angle)])


def _disc(rng: np.random.RandomState) -> np.ndarray:
    radius, angle = 3.3 * np.sqrt(rng.uniform(0, 1, 120)), rng.uniform(0, 2 * np.pi, 120)
    return radius[:, np.newaxis] * np.column_stack([np.cos(angle), np.sin(angle)])


def _long_ring(rng: np.random.RandomState) -> np.ndarray:
    angle, radius = rng.uniform(0, 2 * np.pi, 160), 1 + 0.1 * rng.normal(size=160)
    return radius[:, np.newaxis] * np.column_stack([3.7 * np.cos(angle), 2.3 * np.sin(angle)])


# By the fragment that opens them.
PRESETS = {
    "negative": Preset(
        "negative, yet nearest to its centre",
        "Drag the large dot to and fro between the crosses, or pull far points of its cluster nearer to it.",
        "Its own centre is nearer, so k-means has put it right. Yet a is longer than b, since its cluster is wide and "
        "the rival tight.",
        n_clusters=2,
        draw=_wide_and_tight,
        random_state=7,
        layers=("cells", "lines"),
        in_hand=4,
    ),
    "score-down": Preset(
        "score down, more positive",
        "Move k from 2 to 3 and back.",
        "The wide cluster is cut in two, and each part is the other's rival: b shrinks for all of it, and the score "
        "falls. But the few negative points have crossed zero.",
        n_clusters=2,
        draw=_wide_and_tight,
        random_state=5,
        layers=("cells", "lines"),
        view=(-5.5, -4.9, 12, 9.6),
        in_hand=33,
    ),
    "only-length": Preset(
        "two clusters, only length",
        "Press “Lengths to 1”, which keeps directions from the origin, then “To its end”.",
        "The score names two clusters, the short and the long. At one length they are mixed, and score about zero: "
        "they were length alone.",
        n_clusters=2,
        draw=_short_and_long,
        random_state=0,
        layers=("cells",),
        view=(-0.8, -0.4, 10, 8),
    ),
    "elbow-of-nothing": Preset(
        "an elbow where there is nothing",
        "Move k through its values. Then choose the recipe “nothing” and draw again and again.",
        "An even disc has no groups, and still an elbow, where the orange line is. No valley reaches the dashed line, "
        "from which it counts.",
        n_clusters=4,
        draw=_disc,
        random_state=2,
        layers=("cells",),
    ),
    "stable-ring": Preset(
        "a ring that is stable",
        "The green lines are borders, each drawn by a random half of the points. Move k to 3, and back to 2.",
        "All halves cut this ring across its length: two clusters are stable. But there is no valley at the cut, and "
        "no group.",
        n_clusters=2,
        draw=_long_ring,
        random_state=1,
        layers=("borders",),
    ),
}


# --- the page ---------------------------------------------------------------------------------------------------------


def build_playground(*, deep: float, opens_at: str = "negative") -> str:
    """Write the playground as one page of HTML that asks for nothing else.

    Parameters
    ----------
    deep : float
        The least valley that counts.
    opens_at : str
        The name of a preset, which the page shows where its address names none.

    Returns
    -------
    str
        The page.

    Raises
    ------
    ValueError
        If there is no such preset.
    """
    if opens_at not in PRESETS:
        raise ValueError(f"opens_at = {opens_at!r} is no preset of the playground: {', '.join(PRESETS)} are.")
    data = {
        "presets": [_described(name, preset) for name, preset in PRESETS.items()],
        "opens_at": opens_at,
        "colors": hex_colors(_MOST_CLUSTERS),
        "signs": [LOSS, GAIN, OTHER],
        "deep": deep,
    }
    template, words = Path(__file__).with_suffix(".html"), html.escape(PRESETS[opens_at].seen)
    return fill_in(template, TITLE, data, words=words)


def _described(name: str, preset: Preset) -> dict[str, Any]:
    """Describe a preset as the page reads it."""
    return {
        "id": name,
        "title": preset.title,
        "try": preset.attempt,
        "see": preset.seen,
        "k": preset.n_clusters,
        "show": list(preset.layers),
        "view": list(preset.view),
        "hand": preset.in_hand,
        "points": preset.points.tolist(),
    }
