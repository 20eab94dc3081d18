import json

import pytest
import yaml

LINES = [
    {
        "prompt": "Anna keeps her key under the stone. Ben keeps his in the shed, behind the ladder, near the paint.",
        "question": " Anna's key is under the",
        "answer": "stone",
        "choices": ["stone", "ladder", "old paint"],
    },
    {
        "prompt": "The train to Ulm leaves at nine from platform two, the train to Bonn at ten from platform five.",
        "question": " The train to Ulm leaves at",
        "answer": "nine",
        "choices": ["nine", "ten"],
    },
]
COMMON = {
    "test_split": "test",
    "fewshot_split": "test",
    "fewshot_config": {"sampler": "first_n"},
    "dataset_path": "json",
    "doc_to_text": "{{prompt}}{{question}}",
}
TASKS = {
    "mine_choices": {
        "output_type": "multiple_choice",
        "doc_to_choice": "choices",
        "doc_to_target": "{{choices.index(answer)}}",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    },
    "mine_said": {
        "output_type": "generate_until",
        "doc_to_target": "{{answer}}",
        "generation_kwargs": {"until": [], "max_gen_toks": 16, "do_sample": False, "temperature": 0.0},
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    },
    "mine_texts": {
        "output_type": "loglikelihood_rolling",
        "doc_to_target": "{{prompt}}",
        "metric_list": [{"metric": "bits_per_byte"}],
    },
}


@pytest.fixture(autouse=True)
def _offline(monkeypatch, tmp_path_factory):
    import datasets

    folder = tmp_path_factory.mktemp("datasets")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)
    for name in ("HF_DATASETS_CACHE", "HF_MODULES_CACHE"):
        monkeypatch.setattr(datasets.config, name, folder)


@pytest.fixture
def questions(tmp_path):
    """A file of questions and, beside it, a folder of the harness's tasks over the same lines."""
    file = tmp_path / "questions.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    (tmp_path / "tasks").mkdir()
    for name, rest in TASKS.items():
        data = {"dataset_kwargs": {"data_files": {"test": str(file)}}}
        (tmp_path / "tasks" / f"{name}.yaml").write_text(yaml.safe_dump({"task": name, **COMMON, **data, **rest}))
    return file
