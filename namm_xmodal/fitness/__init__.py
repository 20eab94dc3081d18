"""The fitness of a population of policies on real tasks and models."""

from namm_xmodal.fitness.agree import AgreeSettings
from namm_xmodal.fitness.language import LanguageObjective, ObjectiveSettings
from namm_xmodal.fitness.mixture import Mixture, MixtureFactory
from namm_xmodal.fitness.template import TemplateSpec, make_template

__all__ = [
    "AgreeSettings",
    "LanguageObjective",
    "Mixture",
    "MixtureFactory",
    "ObjectiveSettings",
    "TemplateSpec",
    "make_template",
]
