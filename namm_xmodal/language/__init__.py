"""Language models, texts and tasks. This package does not depend on policies or caches."""

from namm_xmodal.language.debian_texts import prepare_texts
from namm_xmodal.language.document import Document
from namm_xmodal.language.folders import cache_folder
from namm_xmodal.language.metrics import METRICS, Metric
from namm_xmodal.language.models import LanguageModel, list_models, load_language_model
from namm_xmodal.language.prompt import EncodedSample, encode
from namm_xmodal.language.sample import Sample, Task
from namm_xmodal.language.table import TASKS, find_task
from namm_xmodal.language.texts import find_texts, list_texts

__all__ = [
    "METRICS",
    "TASKS",
    "Document",
    "EncodedSample",
    "LanguageModel",
    "Metric",
    "Sample",
    "Task",
    "cache_folder",
    "encode",
    "find_task",
    "find_texts",
    "list_models",
    "list_texts",
    "load_language_model",
    "prepare_texts",
]
