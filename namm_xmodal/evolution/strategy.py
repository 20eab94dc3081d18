"""The protocol of evolution strategies: ask for a population, tell its fitness, give the answer."""

from typing import Any, Protocol

from namm_xmodal.evolution.arrays import Array


class Strategy(Protocol):
    """A search distribution over parameter vectors, driven from outside by `ask` and `tell` in turn.

    A strategy depends on its `spec`, its start and its ask / tell history, and on nothing else: it draws from
    generators of its own, seeded once. So a run is continued by telling a new strategy the same again, and no state is
    ever saved.
    """

    @property
    def name(self) -> str:
        """Its name in the table of strategies."""

    @property
    def spec(self) -> dict[str, Any]:
        """Everything but the start that decides what it does, as plain JSON values."""

    @property
    def population(self) -> int:
        """Members per generation, `P`."""

    @property
    def mean(self) -> Array:
        """The answer so far: a fresh copy of the centre of the search, shape (N,)."""

    @property
    def sigma(self) -> float:
        """Step size: the typical standard deviation of one parameter within a population."""

    def ask(self) -> Array:
        """A new population, shape (P, N).

        Raises:
            ContractError: If the population before has not been told yet.
        """

    def tell(self, members: Array, fitness: Array) -> None:
        """Learns from a population. Larger fitness is better; a member whose fitness is not finite ranks last.

        Args:
            members: What `ask` returned, in the same order, shape (P, N).
            fitness: One number per member, shape (P,).

        Raises:
            ContractError: If `members` is not the population asked for, or `fitness` has another shape.
            EvolutionError: If no fitness is finite.
        """
