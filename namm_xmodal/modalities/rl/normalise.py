"""Which reference returns make a score of a return."""

from namm_xmodal.envs.normalise import D4RL, Normaliser, d4rl
from namm_xmodal.modalities.rl.section import RlSection


def normaliser_of(section: RlSection, environment: str) -> Normaliser | None:
    """What makes scores of returns; None where returns are shown as they are."""
    if section.score == "measured" and section.references is not None:
        return Normaliser("measured", *section.references)
    if section.score == "dataset" and section.dataset is not None:
        from namm_xmodal.envs.minari_data import minari_reference

        return Normaliser("dataset", *minari_reference(section.dataset))
    known = environment.rsplit("/", 1)[-1].split("-")[0].lower() in D4RL
    return d4rl(environment) if section.score == "d4rl" and known else None
