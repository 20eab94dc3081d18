"""The harness and `namm-xmodal eval` give the same numbers, and with a full cache those of the harness's own model."""

import pytest
from evaluations import make, run
from lm_eval import simple_evaluate
from lm_eval.api.instance import Instance
from lm_eval.tasks import TaskManager
from tokenizers.processors import TemplateProcessing

from namm_xmodal.harness.pruned_lm import PrunedLM
from namm_xmodal.language.metrics import first_line
from namm_xmodal.language.tiny_random import build_tiny_random

POLICIES = {
    "full": {"policy": "full"},
    "h2o": {"policy": "h2o", "budget": 0.5},
    "keydiff": {"policy": "keydiff", "budget": 0.25},
}


def harness(lm, questions, *tasks, **options):
    manager = TaskManager(include_path=str(questions.parent / "tasks"), include_defaults=False)
    return simple_evaluate(lm, tasks=list(tasks), task_manager=manager, bootstrap_iters=0, **options)


def compare(questions, model, policy, schedule, **settings):
    """Both ways over the same questions."""
    spec = POLICIES[policy]
    section = {
        "model": model,
        "dtype": "float32",
        "tasks": {"mine": {"task": "questions", "file": str(questions), "n": 2}},
        "policies": {policy: spec},
        "schedules": [schedule],
        **settings,
    }
    records = run(make(language=section, output=str(questions.parent / "eval")))
    lm = PrunedLM(pretrained=model, dtype="float32", schedule=schedule, **spec, **settings)
    found = harness(lm, questions, "mine_choices", "mine_said")
    kept = found["config"]["cache_kept"]
    assert kept == pytest.approx(sum(each.kept.fraction for each in records) / 2, rel=1e-12)
    assert (kept == 1.0) == (policy == "full")
    samples = found["samples"]
    for record, choices, said in zip(records, samples["mine_choices"], samples["mine_said"], strict=True):
        right = choices["doc"]["choices"].index(choices["doc"]["answer"])
        total = float(choices["resps"][right][0][0])
        tokens = len(lm.tokenizer(f" {choices['doc']['answer']}", add_special_tokens=False)["input_ids"])
        assert -total / tokens == record.scores["negative_log_likelihood"]  # to the last digit
        assert choices["acc"] == record.scores["accuracy_sum"]
        assert first_line(said["resps"][0][0]) == record.text
    return records, found


@pytest.mark.parametrize("schedule", ["streaming", "post_prefill"])
@pytest.mark.parametrize("policy", list(POLICIES))
def test_the_scores_of_namm_xmodal_eval(questions, policy, schedule):
    compare(questions, "tiny-random", policy, schedule, update_every=32, protect_recent=4)


@pytest.mark.model
def test_the_scores_of_a_real_model(questions):
    settings = {"update_every": 16, "protect_first": 1, "protect_recent": 1}
    full, _ = compare(questions, "smollm2-135m", "full", "streaming", **settings)
    pruned, found = compare(questions, "smollm2-135m", "keydiff", "streaming", **settings)
    assert full[0].scores["answer_probability"] != pruned[0].scores["answer_probability"]
    assert full[0].scores["accuracy_sum"] == 1.0
    assert found["config"]["policy"].startswith("KeyDiff")


TEMPLATE = (
    "{% for each in messages %}[{{ each.role }}]{{ each.content }}{% if not loop.last or add_generation_prompt %}\n"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)
ASKED = [
    (False, {}),
    (True, {"num_fewshot": 1}),
    (False, {"apply_chat_template": True, "num_fewshot": 1, "system_instruction": "Be brief."}),
    (True, {"apply_chat_template": True, "num_fewshot": 1, "fewshot_as_multiturn": False}),
]


@pytest.mark.parametrize(("begins", "options"), ASKED, ids=str)
def test_a_full_cache_scores_as_the_harness_s_own_model(questions, tmp_path, begins, options):
    from lm_eval.models.huggingface import HFLM

    model, tokenizer = build_tiny_random()
    tokenizer.chat_template = TEMPLATE
    if begins:  # as of tokenizers that put a token before every text
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", tokenizer.bos_token_id)]
        )
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    own = HFLM(pretrained=model.eval(), tokenizer=tokenizer, device="cpu", batch_size=2)
    ours = PrunedLM(pretrained=str(tmp_path / "model"), policy="full", dtype="float32", batch_size=2)
    tasks = ("mine_choices", "mine_said", "mine_texts")
    expected, found = (harness(lm, questions, *tasks, **options)["samples"] for lm in (own, ours))
    assert [each["arguments"] for each in found["mine_said"]] == [each["arguments"] for each in expected["mine_said"]]
    for one, other in zip(expected["mine_choices"], found["mine_choices"], strict=True):
        for (a,), (b,) in zip(one["resps"], other["resps"], strict=True):
            assert float(b[0]) == pytest.approx(float(a[0]), abs=1e-4)
            assert str(b[1]) == str(a[1])
    for one, other in zip(expected["mine_said"], found["mine_said"], strict=True):
        assert other["resps"] == one["resps"]
    for one, other in zip(expected["mine_texts"], found["mine_texts"], strict=True):
        assert float(other["resps"][0][0]) == pytest.approx(float(one["resps"][0][0]), abs=1e-3)


def test_a_context_of_white_space_is_none():
    lm = PrunedLM(pretrained="tiny-random", policy="full", dtype="float32")
    asked = [
        Instance(request_type="loglikelihood", doc={}, arguments=pair, idx=0) for pair in (("", "  yes"), ("  ", "yes"))
    ]
    one, other = lm.loglikelihood(asked, disable_tqdm=True)
    assert one == other
