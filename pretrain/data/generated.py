"""What sources of generated images share: names made on demand, and refused sizes."""

from collections.abc import Callable, Iterator, Sequence
from typing import overload


class GeneratedNames(Sequence[str]):
    """Names made when asked for: cheap for a million images.

    Args:
        count: number of names.
        name: the name at an index in 0..count - 1.
    """

    def __init__(self, count: int, name: Callable[[int], str]) -> None:
        self._range = range(count)
        self._name = name

    def __len__(self) -> int:
        return len(self._range)

    def __iter__(self) -> Iterator[str]:
        return map(self._name, self._range)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self._name(i) for i in self._range[index]]
        return self._name(self._range[index])


def check_integers(config: object, **ranges: tuple[int, int]) -> None:
    """Refuse fields of a config that are no integers in their range.

    Args:
        config: the object that has the fields.
        ranges: lowest and highest allowed value by field name.

    Raises:
        ValueError: names the first such field, its value and the range.
    """
    for name, (low, high) in ranges.items():
        value = getattr(config, name)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"{name} {value!r}, expected an integer in {low}..{high}")
