"""Which arms and items a configuration means, and which mistakes show before a model is loaded."""

import pytest
from evaluations import make, plan_of

from namm_xmodal.errors import ConfigError, NammError, UnknownNameError
from namm_xmodal.evaluation.arm import size_words


def language(**changes):
    values = {
        "model": "tiny-random",
        "tasks": {"keys": {"task": "key_retrieval", "n": 2}, "text": {"task": "next_token", "n": 3}},
        "policies": {"h2o": {"policy": "h2o"}, "full": {"policy": "full"}},
    }
    return make(language={**values, **changes})


def only(config):
    (section,) = plan_of(config)
    return section


def sizes(plan):
    return [(arm.label, arm.budget, arm.schedule) for arm in plan.arms]


def test_budgets_times_schedules_and_the_full_cache_once_and_first():
    plan = only(language(budgets=[0.5, 64], schedules=["streaming", "post_prefill"]))
    assert sizes(plan) == [
        ("full", None, "none"),
        ("h2o", 0.5, "streaming"),
        ("h2o", 0.5, "post_prefill"),
        ("h2o", 64, "streaming"),
        ("h2o", 64, "post_prefill"),
    ]
    assert plan.total == 25
    assert [arm.size for arm in plan.arms] == ["full", "50%", "50%", "64 tokens", "64 tokens"]


def test_names_of_arms_tell_schedules_apart():
    plan = only(language(budgets=[0.5], schedules=["streaming", "post_context", "post_prefill"]))
    assert [arm.name for arm in plan.arms] == [
        "full, full", "h2o, 50%", "h2o, 50%, post_context", "h2o, 50%, post_prefill",
    ]  # fmt: skip
    assert len({arm.key for arm in plan.arms}) == 4


def test_own_budgets_win_over_the_sweep():
    policies = {
        "one": {"policy": "tova", "budget": 0.3},
        "list": {"policy": "tova", "budget": [0.3, 99]},
        "namm": {"policy": "namm", "init": "zeros"},
        "capped": {"policy": "namm", "init": "zeros", "budget": [0.5]},
    }
    plan = only(language(policies=policies))
    assert sizes(plan) == [
        ("one", 0.3, "streaming"), ("list", 0.3, "streaming"), ("list", 99, "streaming"), ("namm", None, "streaming"),
        ("capped", 0.5, "streaming"),
    ]  # fmt: skip
    assert plan.arms[-1].policy.max_tokens == 0.5
    assert [arm.learned for arm in plan.arms] == [False, False, False, True, True]


def test_a_namm_that_only_ranks_runs_at_every_size():
    ranks = {"policy": "namm", "init": "zeros", "threshold": float("-inf")}
    plan = only(language(policies={"ranks": ranks, "own": ranks | {"budget": 0.3}}, budgets=[0.5, 64]))
    assert sizes(plan) == [("ranks", 0.5, "streaming"), ("ranks", 64, "streaming"), ("own", 0.3, "streaming")]
    assert [arm.policy.max_tokens for arm in plan.arms] == [0.5, 64, 0.3]


def test_works_interleave_tasks_and_skip_what_is_done():
    plan = only(language(budgets=[0.5]))
    works = plan.works(frozenset())
    assert [work.items[0].id for work in works] == ["keys/0", "text/0", "keys/1", "text/1", "text/2"]
    items = {item.id: item for item in plan.items}
    full, h2o = plan.arms
    done = frozenset({
        plan.key(items["keys/0"], full), plan.key(items["text/2"], full), plan.key(items["text/2"], h2o),
    })  # fmt: skip
    left = plan.works(done)
    assert left[0].arms == ((h2o,),)
    assert "text/2" not in [work.items[0].id for work in left]


def test_questions_about_one_video_are_one_piece_of_work_for_all_arms():
    config = make(video={"options": {"n": 24, "frames": 8}, "policies": {"full": {}, "h2o": {}}} | {
        "policies": {"full": {"policy": "full"}, "h2o": {"policy": "h2o"}}
    })  # fmt: skip
    plan = only(config)
    works = plan.works(frozenset())
    assert len(works) < 24
    assert {len(arms) for work in works for arms in work.arms} == {3}
    assert sum(len(work.items) for work in works) == 24
    assert len({item.id for work in works for item in work.items}) == 24


def test_agents_play_batch_by_batch_under_one_arm_after_another():
    policies = {"full": {"policy": "full"}, "window": {"policy": "window", "steps": 4}, "h2o": {"policy": "h2o"}}
    rl = {"model": "tmaze", "model_seeds": [0, 2], "episodes": 3, "batch": 2, "budgets": [24], "policies": policies}
    plan = only(make(rl=rl))
    works = plan.works(frozenset())
    assert [len(work.items) for work in works[:4]] == [2, 1, 2, 1]
    assert [arm.label for arm in plan.arms] == ["full", "window", "h2o"]
    assert [arm.size for arm in plan.arms] == ["full", "4 steps", "24 tokens"]
    assert {item.stratum for item in plan.items} == {"tmaze/seed-0", "tmaze/seed-2"}
    assert plan.total == 18


def test_sections_of_one_modality_stand_beside_each_other_and_share_what_is_at_the_top():
    config = make(
        policies={"full": {"policy": "full"}, "h2o": {"policy": "h2o"}},
        budgets=[24],
        rl={"model": "tmaze"},
        **{"rl@short": {"model": "tmaze", "policies": {"h2o": None, "tova": {"policy": "tova"}}, "budgets": [12]}},
    )
    first, second = plan_of(config)
    assert (first.name, second.name) == ("rl", "rl@short")
    assert sizes(first) == [("full", None, "none"), ("h2o", 24, "streaming")]
    assert sizes(second) == [("full", None, "none"), ("tova", 12, "streaming")]
    assert first.digest == second.digest  # policies and sizes are named by records


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"policies": {"a": {"policy": "nope_nope"}}}, "unknown policy 'nope_nope': known: "),
        ({"tasks": {"a": {"task": "key_retrival", "n": 1}}}, "unknown task 'key_retrival': did you mean key_retrieval"),
        ({"tasks": {"a": {"task": "key_retrieval"}}}, "tasks.a.n: None: expected a number of samples"),
        ({"tasks": {"a": {"n": 1}}}, "tasks.a.task: missing"),
        ({"tasks": {"a": {"task": "key_retrieval", "n": 1, "lenght": [9]}}}, "did you mean length?"),
        ({"policies": {"a": {"policy": "namm", "init": "zeros"}}, "update_every": 100}, "policies.a: update_every=100"),
        ({"policies": {"a": {"policy": "h2o", "budget": []}}}, "policies.a.budget: []"),
        ({"budgets": []}, "budgets: []: expected at least one cache size, since policies.h2o"),
        ({"policies": {"a": {"policy": "window", "steps": 3}}}, "policies.a: 'window' is a policy of rl only"),
    ],
)
def test_mistakes_are_one_line_that_names_the_section(changes, message):
    with pytest.raises(NammError) as caught:
        plan_of(language(**changes))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"langauge": {}}, "test.yaml: langauge: unknown key or section; did you mean language?"),
        ({"smell": {"model": "x"}, "language": {"model": "x"}}, "smell: unknown key or section"),
        (
            {"tasks": {}, "language": {"model": "x"}},
            "tasks: expected in its section, as language.tasks",
        ),
        ({"budgets": [0.5]}, "no section uses it"),
        ({"output": "x"}, "no section; expected at least one of language, video, rl"),
        ({"language": 3}, "language: 3: expected a section with keys"),
        ({"language@": {"model": "x"}}, "language@: unknown key or section"),
        (
            {"policies": {"full": {"policy": "full"}}, "rl": {"model": "tmaze", "epsiodes": 3}},
            "rl: epsiodes: unknown key",
        ),
    ],
)
def test_files_that_mean_nothing_are_one_line(content, message):
    with pytest.raises(NammError) as caught:
        plan_of(make(**content))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_shared_policy_that_one_section_cannot_use_is_told_with_file_section_and_remedy():
    tasks = {"k": {"task": "key_retrieval", "n": 1}}
    content = {
        "policies": {"full": {"policy": "full"}, "last": {"policy": "window", "steps": 8}},
        "language": {"model": "tiny-random", "tasks": tasks},
        "rl": {"model": "tmaze"},
    }
    said = r"^test\.yaml: language: policies\.last: 'window' is a policy of rl only; leave it out with language: "
    with pytest.raises(ConfigError, match=said + r"\{policies: \{last: null\}\}$"):
        plan_of(make(**content))
    content["language"]["policies"] = {"last": None}
    assert [arm.label for section in plan_of(make(**content)) for arm in section.arms] == ["full", "full", "last"]


@pytest.mark.parametrize(
    ("section", "said"),
    [
        (
            {"policies": {"h2o": {"policy": "h3o"}}},
            r"language: policies\.h2o\.policy: unknown policy 'h3o': did you mean",
        ),
        (
            {"policies": {"a": {"policy": "adakv", "base": {"policy": "h3o"}}}},
            r"language: policies\.a\.base\.policy: unknown policy 'h3o'",
        ),
        ({"tasks": {"k": {"task": "keys", "n": 1}}}, r"language: tasks\.k\.task: unknown task 'keys'"),
    ],
)
def test_an_unknown_name_is_told_with_its_place(section, said):
    given = {"model": "tiny-random", "tasks": {"k": {"task": "key_retrieval", "n": 1}}, **section}
    given.setdefault("policies", {"full": {"policy": "full"}})
    with pytest.raises(UnknownNameError, match=rf"^test\.yaml: {said}"):
        plan_of(make(language=given))


def test_an_unknown_benchmark_is_told_with_its_place():
    with pytest.raises(UnknownNameError, match=r"^test\.yaml: video: benchmark: unknown benchmark 'foo'"):
        plan_of(make(video={"benchmark": "foo", "policies": {"full": {"policy": "full"}}}))


@pytest.mark.parametrize(
    ("budget", "words"), [(0.5, "50%"), (0.125, "12.5%"), (0.07, "7%"), (1 / 3, "33.3%"), (60, "60 tokens")]
)
def test_different_sizes_have_different_words(budget, words):
    assert size_words(budget, "streaming") == words
