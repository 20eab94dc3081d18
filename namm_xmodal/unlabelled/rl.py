"""Episodes that Decision Transformers play with everything in memory, read again as one sequence of tokens."""

from namm_xmodal.config.sources import RlSource
from namm_xmodal.modalities.rl.fit import full_memory_inputs
from namm_xmodal.modalities.rl.loaded_agents import load_agents
from namm_xmodal.modalities.rl.section import RlSection
from namm_xmodal.modalities.rl.setups import find_setups
from namm_xmodal.unlabelled.source import Inputs, UnlabelledInput

FIRST_SEED = 99_000
"""Of the first episode; evaluation, statistics and calibration use others."""


def rl_inputs(source: RlSource) -> Inputs:
    """The first tokens of each episode.

    Raises:
        NammError: If a model or its environment cannot be loaded, or every episode failed.
    """
    section = _section(source)
    first = FIRST_SEED + source.seed * source.count
    for loaded in load_agents(section, find_setups(section)):
        for number, inputs in enumerate(full_memory_inputs(loaded, section, first=first)):
            tokens = inputs["inputs_embeds"][:, : source.tokens]
            name = f"{loaded.label.replace('/', '-')}-{number:04}"
            yield UnlabelledInput(name, loaded.agent_model.model, {"inputs_embeds": tokens}, tokens.shape[1])


def rl_models(source: RlSource) -> list[str]:
    """Labels of the models that play, found without loading any.

    Raises:
        NammError: If there is none, or its environment cannot be made.
    """
    return [setup.label for setup in find_setups(_section(source))]


def _section(source: RlSource) -> RlSection:
    return RlSection(
        policies={"full": {"policy": "full"}},
        model=source.model,
        model_seeds=source.model_seeds,
        environment_options=source.environment_options,
        update_every=source.update_every,
        estimation_episodes=source.count,
        max_steps=source.tokens // 3,
        dtype=source.dtype,
        device=source.device,
    )
