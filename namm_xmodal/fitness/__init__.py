"""What a population of policies is worth on real tasks: evolution's numbers meet models, tasks and caches here."""

from namm_xmodal.fitness.language import LanguageObjective, LanguageObjectiveFactory, ObjectiveSettings
from namm_xmodal.fitness.template import TemplateSpec, make_template

__all__ = ["LanguageObjective", "LanguageObjectiveFactory", "ObjectiveSettings", "TemplateSpec", "make_template"]
