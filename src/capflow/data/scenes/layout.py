"""Where the objects of a picture lie: apart from each other, and the groups clearly to one side.

By rejection: draw places, and draw again where a condition fails. Lengths are shares of the side.
"""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from capflow.sections import Section

Share = Annotated[float, Field(gt=0, lt=1)]
Extents = NDArray[np.float64]

_BORDER = 0.02
_GAP = 0.03
_MARGIN = 0.06
_TRIES = 20


class Item(Section):
    """One object: its centre and its larger extent."""

    x: Share
    y: Share
    extent: Share


Items = tuple[Item, ...]


def lay_out(rng: np.random.Generator, groups: Sequence[Extents], relation: str | None) -> list[Items]:
    """Places for the objects of one group, or of two with the first ``relation`` the second.

    Args:
        rng: draws the places.
        groups: the extents of each group's objects.
        relation: left of, right of, above or below; None for one group.

    Returns:
        The objects of each group. Boxes around them are at least 0.03 apart; boxes around groups are
        at least 0.06 apart on the axis of the relation, and overlap on the other.
    """
    while True:
        placed = [_scatter(rng, zone, extents) for zone, extents in _zones(rng, groups, relation)]
        found = [items for items in placed if items is not None]
        if len(found) == len(groups) and (relation is None or _level(found, 1 - _axis(relation))):
            return found


def _zones(
    rng: np.random.Generator, groups: Sequence[Extents], relation: str | None
) -> list[tuple[NDArray[np.float64], Extents]]:
    """The part of the picture that each group may lie in, [[x, y] of low corner, [x, y] of high corner]."""
    zones = [np.array([[_BORDER] * 2, [1 - _BORDER] * 2]) for _ in groups]
    if relation is not None:
        axis, order = _axis(relation), (0, 1) if relation in {"left of", "above"} else (1, 0)
        low, high = (groups[index].max() for index in order)
        cut = rng.uniform(_BORDER + low, 1 - _BORDER - high - _MARGIN)
        zones[order[0]][1, axis], zones[order[1]][0, axis] = cut, cut + _MARGIN
    return list(zip(zones, groups, strict=True))


def _axis(relation: str) -> int:
    return 0 if relation in {"left of", "right of"} else 1


def _scatter(rng: np.random.Generator, zone: NDArray[np.float64], extents: Extents) -> Items | None:
    """Objects at random places of a zone that do not touch; None when the last finds no room."""
    items: list[Item] = []
    for extent in extents:
        for _ in range(_TRIES):
            x, y = rng.uniform(zone[0] + extent / 2, zone[1] - extent / 2).tolist()
            if all(_apart(item, x, y, extent) for item in items):
                break
        else:
            return None
        items.append(Item(x=round(x, 4), y=round(y, 4), extent=round(float(extent), 4)))
    return tuple(items)


def _apart(item: Item, x: float, y: float, extent: float) -> bool:
    return max(abs(item.x - x), abs(item.y - y)) >= (item.extent + extent) / 2 + _GAP


def _level(groups: Sequence[Items], axis: int) -> bool:
    """Whether the boxes around two groups share half of the smaller one's length on an axis."""
    (low, high), (other_low, other_high) = (_span(items, axis) for items in groups)
    shared = min(high, other_high) - max(low, other_low)
    return shared >= min(high - low, other_high - other_low) / 2


def _span(items: Items, axis: int) -> tuple[float, float]:
    centres = [((item.x, item.y)[axis], item.extent / 2) for item in items]
    return min(centre - half for centre, half in centres), max(centre + half for centre, half in centres)
