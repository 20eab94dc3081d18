"""Pruned before the question: what is scored is full attention to what the context left, shared or not."""

import json
import os
import signal
from dataclasses import dataclass, replace

import pytest
import torch
from evaluations import make, numbers, plan_of, run
from killing import in_fork

from namm_xmodal import check_task, pruned
from namm_xmodal.cache.oracle import masked_attention
from namm_xmodal.config import build_policy
from namm_xmodal.errors import ContractError
from namm_xmodal.language.models import load_language_model
from namm_xmodal.language.questions import Questions
from namm_xmodal.modalities.language import groups
from namm_xmodal.modalities.language.continuation import ask, greedy_text, log_likelihoods, read_context
from namm_xmodal.modalities.language.text_loss import text_log_probabilities

BOOKS = ["Anna keeps her key under the old stone. " * 5, "The train to Ulm leaves at nine from platform two. " * 4]
LINES = [
    {"prompt": BOOKS[0], "question": "Where is the key?", "answer": "stone", "choices": ["stone", "shed"]},
    {"prompt": BOOKS[0], "question": "Whose key is it?", "answer": "Anna"},
    {"prompt": BOOKS[0], "question": "Is it old?", "answer": "yes"},
    {"prompt": BOOKS[1], "question": "When does it leave?", "answer": "nine"},
    {"prompt": BOOKS[1], "question": "From where?", "answer": "two"},
    {"prompt": BOOKS[0], "question": "And the key again?", "answer": "stone"},
]
POLICIES = {
    "full": {"policy": "full"},
    "h2o": {"policy": "h2o"},
    "namm": {"policy": "namm", "init": "random", "budget": 0.5},
}


def config(folder, lines=LINES, *, share, schedules=("streaming", "post_context"), **more):
    file = folder / "own.jsonl"
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    tasks = {"mine": {"task": "questions", "file": str(file), "n": len(lines), "share": share}}
    section = {
        "model": "tiny-random",
        "dtype": "float32",
        "tasks": tasks,
        "policies": POLICIES,
        "update_every": 32,
        "budgets": [0.5],
        "generate_tokens": 3,
        "schedules": list(schedules),
    }
    return make(language={**section, **more.pop("section", {})}, output=str(folder / "out"), **more)


@pytest.fixture
def forwards(monkeypatch):
    """Lengths of all contexts that are read."""
    from namm_xmodal.modalities.language import continuation

    read, method = [], continuation.read_context
    monkeypatch.setattr(
        continuation, "read_context", lambda memory, ids, **how: read.append(len(ids)) or method(memory, ids, **how)
    )
    return read


@torch.no_grad()
@pytest.mark.parametrize("policy", ["h2o", "snapkv", {"policy": "namm", "init": "random"}], ids=str)
def test_likelihoods_and_text_are_full_attention_to_what_the_context_left(policy):
    language = load_language_model("tiny-random", dtype="float32")
    language.model.double()
    ids = torch.randint(3, 250, (150,), generator=torch.Generator().manual_seed(1)).tolist()
    context, question, answer = tuple(ids[:120]), tuple(ids[120:140]), ids[140:]
    with pruned(language.model, build_policy(policy), schedule="post_prefill", protect_recent=4) as memory:
        read = read_context(memory, context, frozen=True)
        prompt = ask(memory, read, question)
        assert prompt.report.seen == (140,)
        found = log_likelihoods(memory, prompt, answer)
        assert log_likelihoods(memory, ask(memory, read, question), answer) == found
        text = greedy_text(memory, prompt, language.tokenizer, 5, line=False)
        visible = []
        for layer in read.cache.pruned:
            assert layer.kept.max() < 120
            seen = torch.ones(1, layer.index.shape[1], 150, 150, dtype=torch.bool)
            for head, slots in enumerate(layer.index[0].tolist()):
                seen[0, head, 120:, sorted(set(range(120)) - set(slots))] = False
            visible.append(seen)
    with masked_attention(language.model, visible):
        logits = language.model(torch.tensor([ids]), use_cache=False).logits[0, 139:149].float().log_softmax(-1)
    assert found == pytest.approx([float(row[token]) for row, token in zip(logits, answer, strict=True)], abs=1e-6)
    made = []  # the same, token by token under the mask
    for _ in range(5):
        whole = [*ids[:140], *made]
        with masked_attention(language.model, [seen[..., : len(whole), : len(whole)] for seen in visible]):
            made.append(int(language.model(torch.tensor([whole]), use_cache=False).logits[0, -1].argmax()))
        if made[-1] == language.tokenizer.eos_token_id:
            break
    assert text == language.tokenizer.decode(made, skip_special_tokens=True)


def test_a_context_that_is_shared_gives_the_same_numbers(tmp_path, forwards):
    for name in ("one", "other", "apart"):
        (tmp_path / name).mkdir()
    shared = run(config(tmp_path / "one", share=True))
    # full, and under both schedules two policies: each of two contexts is read once for each of these arms, although the
    # last question is about the first one again
    assert sorted(forwards) == sorted(len(book) for book in BOOKS for _ in range(5))
    assert [record.group for record in shared[:6]] == [*["mine/0"] * 3, *["mine/3"] * 2, "mine/0"]
    assert [record.number for record in shared[:6]] == list(range(6))
    forwards.clear()
    # The same questions in another order.
    order = [0, 3, 1, 4, 2]
    mixed = run(config(tmp_path / "other", [LINES[at] for at in order], share=True))
    assert sorted(forwards) == sorted(len(book) for book in BOOKS for _ in range(5))
    by_question = {(order[record.number], record.arm): record for record in mixed}
    compared = 0
    for record in shared:
        other = by_question.get((record.number, record.arm))
        if other is not None:
            assert (other.scores, other.text, other.kept) == (record.scores, record.text, record.kept)
            compared += 1
    assert compared == 25
    forwards.clear()
    # Without `share`, streaming reads context and question in one piece, as it always did; post_context cannot.
    apart = run(config(tmp_path / "apart", share=False))
    assert len(forwards) == 2 * len(LINES)
    for one, other in zip(shared, apart, strict=True):
        if one.schedule == "post_context":
            assert (one.scores, one.text, one.kept) == (other.scores, other.text, other.kept)
        assert one.scores == pytest.approx(other.scores, abs=1e-4)


def test_a_run_that_is_cut_short_in_the_middle_of_a_group_goes_on_to_the_same_numbers(tmp_path, forwards):
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    whole = run(config(tmp_path / "whole", share=True))

    def stop(done, total, what):
        if done == 5:  # full has all four of the first group, h2o one of them
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(config(tmp_path / "cut", share=True), on_progress=stop)
    forwards.clear()
    cut = config(tmp_path / "cut", share=True)
    digest = plan_of(cut)[0].digest  # the file of the questions has another name
    assert numbers(run(cut)) == [replace(each, digest=digest) for each in numbers(whole)]
    assert len(forwards) == 9  # of 10, full had finished the first group
    (tmp_path / "two").mkdir()
    two = run(config(tmp_path / "two", share=True, workers=2))
    assert [(each.scores, each.text) for each in two] == [(each.scores, each.text) for each in whole]


def test_a_run_that_is_killed_in_the_middle_of_a_group_goes_on_to_the_same_numbers(tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir(), cut.mkdir()
    expected = run(config(whole, share=True))

    def die(done, total, what):
        if done == 5:
            os.kill(os.getpid(), signal.SIGKILL)

    assert not in_fork(lambda: run(config(cut, share=True), on_progress=die))
    lines = (cut / "out" / "results.jsonl").read_text().splitlines()
    assert len(lines) == 2 + 5  # header, settings, records
    found = run(config(cut, share=True))
    assert [(each.key, each.scores, each.text, each.kept) for each in found] == [
        (each.key, each.scores, each.text, each.kept) for each in expected
    ]


def test_only_one_context_is_in_memory(tmp_path, monkeypatch):
    from namm_xmodal.modalities.language import continuation

    held, method, most = set(), continuation.read_context, []

    def read(memory, ids, **how):
        import gc
        import weakref

        gc.collect()
        found = method(memory, ids, **how)
        key = id(found)
        held.add(key)
        weakref.finalize(found, held.discard, key)
        most.append(len(held))
        return found

    monkeypatch.setattr(continuation, "read_context", read)
    run(config(tmp_path, share=True))
    assert len(most) == 10 and max(most) == 1


def test_intervals_count_a_context_once(tmp_path):
    for share in (True, False):
        (plan,) = plan_of(config(tmp_path, share=share))
        (metric,) = plan.modality.metrics(plan.section, "mine", ["answer_probability"])
        assert metric.clustered == share
        assert len({item.group for item in plan.items}) == (2 if share else 6)


def test_questions_that_share_nothing_are_told_of(tmp_path):
    lines = [{**line, "prompt": line["prompt"] + " " * at} for at, line in enumerate(LINES)]
    told = []
    (plan,) = plan_of(config(tmp_path, lines, share=True))
    plan.check(told.append)
    assert any("tasks.mine: no two of its 6 samples have the same context, so none is shared" in line for line in told)
    told.clear()
    (plan,) = plan_of(config(tmp_path, share=True))
    plan.check(told.append)
    assert not told


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            {"prompt": BOOKS[0], "answer": "a"},
            "has no question separate from its context, so post_context would prune",
        ),
        ({"prompt": "x", "question": BOOKS[0], "answer": "a"}, "expected a context of 2 tokens or more .* found 1"),
        (
            {"prompt": "A short one.", "question": BOOKS[0], "answer": "a"},
            "its context has 12 tokens, .* protect fewer",
        ),
    ],
)
def test_what_has_no_context_or_no_question_is_refused(tmp_path, line, said):
    (plan,) = plan_of(config(tmp_path, [line], share=False))
    with pytest.raises(Exception, match=said) as caught:
        plan.check()
    assert "\n" not in str(caught.value)
    (plan,) = plan_of(config(tmp_path, [line], share=False, schedules=["post_prefill"]))
    plan.check()


def test_texts_without_a_question_are_pruned_in_their_middle():
    language = load_language_model("tiny-random", dtype="float32")
    language.model.double()
    ids = tuple(torch.randint(3, 250, (150,), generator=torch.Generator().manual_seed(0)).tolist())
    found = []
    for frozen, chunk in ((False, 512), (True, 512), (True, 7)):
        with (
            pytest.MonkeyPatch.context() as patch,
            pruned(language.model, build_policy("h2o"), schedule="post_prefill") as memory,
        ):
            patch.setattr("namm_xmodal.modalities.language.text_loss.CHUNK", chunk)
            scored, report = text_log_probabilities(memory, ids, 0, frozen=frozen)
            assert report.seen == (75,)
            found.append(scored)
    assert found[1] == pytest.approx(found[0], abs=1e-6) and found[2] == pytest.approx(found[0], abs=1e-6)
    assert len(found[0]) == 75


@dataclass(frozen=True)
class Wrong(Questions):
    """Says what is not true of its contexts."""

    said: tuple = ()

    def groups(self, n):
        return self.said or [0] * n


@pytest.mark.parametrize("said", [(0, 0), (0, 2, 2, 3, 3, 5), (0, 0, 1, 3, 3, 5), (0, "0", 0, 3, 3, 5)])
def test_impossible_groups_are_refused(tmp_path, said):
    with pytest.raises(ContractError, match=r"Wrong\.groups: "):
        groups.first_of_each("mine", Wrong("file", said=said), 6)


def test_the_contract_of_tasks_includes_groups(tmp_path):
    config(tmp_path, share=True)
    check_task(Questions(str(tmp_path / "own.jsonl"), share=True), n=6)
    with pytest.raises(ContractError, match="breaks the clause 'groups': sample 3"):
        check_task(Wrong(str(tmp_path / "own.jsonl")), n=6)
