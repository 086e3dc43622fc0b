"""Memory that all connections may hold together."""

from __future__ import annotations


class Budget:
    """
    So many bytes for all; who asks when they are used up is to be turned away.

    Args:
        most: how many.

    Attributes:
        held: how many are held now.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0

    @property
    def spent(self) -> bool:
        """Whether nothing is left."""
        return self.held >= self.most


class Holding:
    """What one connection or request holds of a budget."""

    __slots__ = ("_budget", "held")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.held = 0

    def take(self, size: int) -> None:
        """Hold so many bytes more."""
        self.held += size
        self._budget.held += size

    def give_back(self) -> None:
        """Hold nothing any more."""
        self._budget.held -= self.held
        self.held = 0
