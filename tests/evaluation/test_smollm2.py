"""One sample on the real model: the full cache knows the answer, a cache without the fact does not."""

import pytest
from evaluations import make, run


@pytest.mark.model
def test_forgetting_the_fact_costs_the_answer(tmp_path):
    language = {
        "model": "smollm2-135m",
        "dtype": "float32",
        "tasks": {"keys": {"task": "key_retrieval", "n": 1, "length": [256], "depth": [0.2]}},
        "policies": {"full": {"policy": "full"}, "recency": {"policy": "recency", "budget": 0.25}},
        "update_every": 64,
    }
    full, recency = run(make(language=language, output=str(tmp_path)))
    assert full.scores["answer_probability"] > 0.7
    assert full.scores["exact_match"] == 1.0
    assert recency.scores["answer_probability"] < 0.5
    assert recency.scores["exact_match"] == 0.0
    assert recency.kept.fraction < 0.35
