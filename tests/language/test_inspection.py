"""What a policy keeps of a text, and the picture of it."""

import json

import numpy as np
import pytest

from namm_xmodal.config import build_policy
from namm_xmodal.errors import DataError
from namm_xmodal.language.models import load_language_model
from namm_xmodal.modalities.language.inspection import KEPT, inspect_text
from namm_xmodal.report import keep_picture
from namm_xmodal.report.keep_picture import draw_inspection

TEXT = "Costs $5 or $6\n\tand the rest is _text_ ^ of any kind. " * 4


@pytest.fixture(scope="module")
def language():
    return load_language_model("tiny-random", dtype="float32")


def look(language, policy, text=TEXT, **settings):
    settings = {"update_every": 32, "protect_first": 2, "protect_recent": 4, **settings}
    return inspect_text(language.model, language.tokenizer, policy, text, **settings)


def test_full_cache_keeps_everything(language):
    inspection = look(language, None)
    assert inspection.kept_fraction == 1.0
    assert inspection.evicted_at.shape == (2, 2, len(TEXT))


def test_streaming_llm_keeps_sinks_and_the_newest(language):
    inspection = look(language, build_policy({"policy": "streaming_llm", "budget": 16, "num_sinks": 4}), TEXT[:100])
    kept = [i for i, share in enumerate(inspection.kept_by_token) if share == 1]
    assert kept == [0, 1, 2, 3, *range(84, 100)]  # the last update was at 96 tokens, the four after it are all there
    assert inspection.updates == (32, 64, 96)
    fate = inspection.evicted_at[0, 0]
    assert (fate[4:20] == 32).all()
    assert (fate[20:52] == 64).all()
    assert (fate[52:84] == 96).all()


def test_post_prefill_updates_once(language):
    inspection = look(language, build_policy({"policy": "h2o", "budget": 0.5}), TEXT[:100], schedule="post_prefill")
    assert inspection.updates == (100,)
    assert inspection.kept_fraction == 0.5


def test_post_context_updates_before_the_question(language):
    policy = build_policy({"policy": "h2o", "budget": 0.5})
    options = {"schedule": "post_context", "limit": 100}
    seen = [look(language, policy, TEXT, question=question, **options) for question in ("Why?", "What else is it?")]
    alone = look(language, policy, TEXT[:100], schedule="post_prefill")
    for each, question in zip(seen, ("Why?", "What else is it?"), strict=True):
        assert each.updates == (100,)
        assert "".join(each.tokens) == TEXT[:100] + question
        assert np.array_equal(each.evicted_at[..., :100], alone.evicted_at)  # the question does not matter
        assert (each.evicted_at[..., 100:] == KEPT).all()
    asked = look(language, policy, TEXT[:100], question="Why?", schedule="post_prefill")
    assert asked.updates == (104,) and asked.kept_fraction == 0.5
    streamed = look(language, policy, TEXT[:90], question="What else is it?")
    assert streamed.updates == (32, 64, 96)


def test_limit(language):
    assert len(look(language, None, limit=40).tokens) == 40


@pytest.mark.parametrize(
    ("text", "schedule"), [("short", "streaming"), ("", "streaming"), ("a", "post_prefill"), ("", "post_prefill")]
)
def test_short_text_is_refused(language, text, schedule):
    with pytest.raises(DataError, match=r"text of \d tokens: "):
        look(language, build_policy("h2o"), text, schedule=schedule)


@pytest.mark.parametrize("suffix", [".png", ".svg"])
@pytest.mark.parametrize("length", [60, 210])
def test_picture_and_json(language, tmp_path, suffix, length):
    inspection = look(language, build_policy({"policy": "namm", "init": "random"}), TEXT[:length])
    path = tmp_path / f"picture{suffix}"
    draw_inspection(inspection, path)
    assert path.stat().st_size > 5000
    content = json.loads(json.dumps(inspection.to_json()))
    assert "".join(token["text"] for token in content["tokens"]) == TEXT[:length]
    assert (np.array(content["evicted_at"]) == KEPT).mean() == pytest.approx(content["kept_fraction"])


@pytest.mark.parametrize(
    ("schedule", "label"), [("streaming", "token; dotted lines: updates"), ("post_prefill", "token")]
)
def test_the_picture_explains_dotted_lines_where_it_has_some(language, tmp_path, monkeypatch, schedule, label):
    labels = []
    monkeypatch.setattr(
        keep_picture, "save_picture", lambda figure, *_: labels.extend(a.get_xlabel() for a in figure.axes)
    )
    draw_inspection(look(language, build_policy("h2o"), schedule=schedule), tmp_path / "picture.png")
    assert [each for each in labels if each] == [label]
