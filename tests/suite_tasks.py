"""Tasks of suites, and the section that evaluates them on a tiny model."""

from namm_xmodal.language.suites.layout import find_files
from namm_xmodal.language.suites.table import find_suite
from namm_xmodal.language.suites.task import SuiteTask
from namm_xmodal.language.tiny_random import byte_tokenizer

BYTES = byte_tokenizer()
POLICIES = {"full": {"policy": "full"}, "recency": {"policy": "recency"}}
OWN = """
name: Mine
files: ["{task}.jsonl"]
answer: right
tasks:
  locks:
    prompt: "Read.\\n{context}\\nWhose is {thing}?"
    tokens: 4
    metrics: [f1]
    find: {thing: {field: ask, pattern: "the (key)"}}
"""
"""A table of one task."""


def task_of(suite, folder, label, **options):
    """A task of a suite whose files are in a folder."""
    table = find_suite(suite)
    return SuiteTask(label, table, find_files(table, str(folder), None).files[label], **options)


def section(named, folder, **keys):
    """The section `language` of an evaluation of a suite in a folder."""
    base = {"model": "tiny-random", "suite": named, "data": str(folder), "update_every": 128, "budgets": [0.5]}
    return {**base, "policies": POLICIES, **keys}
