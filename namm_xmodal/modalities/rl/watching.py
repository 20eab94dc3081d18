"""Wrappers that record the inputs or the cache of another agent while it plays."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from namm_xmodal.adapters.decision_transformer_embedding import StepEmbedding
from namm_xmodal.agents.agent_model import AgentModel
from namm_xmodal.agents.cache_agent import CacheActor
from namm_xmodal.arrays import FloatArray
from namm_xmodal.envs.agent import Actor, Agent, StepInput
from namm_xmodal.evaluation.fit import Inputs


class Noted:
    """Notes the embedded tokens of each batch of episodes.

    Attributes:
        inputs: What the adapter's `forward` takes, (B, T, hidden_size), one entry for each batch.
    """

    def __init__(self, agent: Agent, agent_model: AgentModel) -> None:
        """Wraps an agent that acts with this model."""
        self.inputs: list[Inputs] = []
        self._agent, self._agent_model = agent, agent_model

    @contextmanager
    def begin(self, episodes: int) -> Iterator[Actor]:
        """See `Agent.begin`."""
        embed, tokens = StepEmbedding(self._agent_model.model), list[Tensor]()

        def note(step_input: StepInput, actor: Actor) -> None:
            states = self._agent_model.standardised(step_input.states)
            with torch.no_grad():
                tokens.append(embed(step_input.previous_actions, step_input.returns_to_go, states, step_input.step))

        with self._agent.begin(episodes) as actor:
            yield _Watching(actor, note)
        self.inputs.append({"inputs_embeds": torch.cat(tokens, dim=1)})


class Watched:
    """Notes which tokens of one episode are still remembered, every so many steps.

    Attributes:
        looks: Step, and what `CacheActor.remembered` said after it; the last step is among them.
        shares: Kept fraction of each layer and kv head at the end.
    """

    def __init__(self, agent: Agent, every: int) -> None:
        """Wraps an agent with a cache."""
        self.looks: list[tuple[int, list[NDArray[Any]]]] = []
        self.shares: tuple[tuple[float, ...], ...] = ()
        self._agent, self._every = agent, every

    @contextmanager
    def begin(self, episodes: int) -> Iterator[Actor]:
        """See `Agent.begin`."""

        def look(step_input: StepInput, actor: Actor) -> None:
            assert isinstance(actor, CacheActor)
            if step_input.step % self._every == 0:
                self.looks.append((step_input.step, actor.remembered()))

        with self._agent.begin(episodes) as actor:
            assert isinstance(actor, CacheActor)
            watching = _Watching(actor, look)
            yield watching
            self.looks.append((watching.step, actor.remembered()))
            report = actor.memory.report()
            self.shares = tuple(tuple(count / report.seen[0] for count in layer.kept[0]) for layer in report.layers)


class _Watching:
    """An actor that calls an observer after each of its steps."""

    def __init__(self, actor: Actor, watch: Any) -> None:
        self.step = 0
        self._actor, self._watch = actor, watch

    def act(self, step_input: StepInput) -> FloatArray:
        """See `Actor.act`."""
        actions = self._actor.act(step_input)
        self.step = step_input.step
        self._watch(step_input, self._actor)
        return actions

    def kept(self) -> FloatArray:
        """See `Actor.kept`."""
        return self._actor.kept()

    def survivors(self, row: int) -> dict[str, Any] | None:
        """See `Actor.survivors`."""
        return self._actor.survivors(row)
