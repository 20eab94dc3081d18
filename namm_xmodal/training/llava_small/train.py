"""Trains the small model: dense vision stage, then questions; killed runs go on where they were."""

import json
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import LlavaNextVideoForConditionalGeneration

from namm_xmodal.disk.append_only import LONGEST, append_line
from namm_xmodal.errors import CheckpointError
from namm_xmodal.training.llava_small.build import make_model, make_tokenizer
from namm_xmodal.training.llava_small.dense_stage import DenseHeads, dense_batch, dense_loss, rescale_projector
from namm_xmodal.training.llava_small.pixels import as_pixels
from namm_xmodal.training.llava_small.qa_batch import IGNORED, QABatch, qa_batch
from namm_xmodal.training.llava_small.quick_score import accuracies, overall
from namm_xmodal.training.llava_small.recipe import Recipe
from namm_xmodal.training.llava_small.snapshot import load_snapshot, save_snapshot
from namm_xmodal.trust.files import read_text, refusing
from namm_xmodal.trust.json_text import parse_json
from namm_xmodal.types import OnProgress
from namm_xmodal.video.procedural.words import KINDS

SAVE_EVERY, SCORE_EVERY = 100, 200
Weigh = Callable[[Tensor, Tensor], Tensor]


def train(
    seed: int, folder: Path, recipe: Recipe, on_progress: OnProgress, score_clips: int = 40
) -> LlavaNextVideoForConditionalGeneration:
    """Trains, or goes on with what `folder` holds.

    The data of a step depend on seed and step alone and the snapshot holds weights and moments, so a run that was killed
    ends with the same weights as one that was not.

    Args:
        seed: Of weights and data.
        folder: Gets `snapshot.safetensors` (replaced) and `journal.jsonl` (appended: loss, accuracy, CPU seconds).
        recipe: Sizes.
        on_progress: Called as `on_progress(done, total, what)`.
        score_clips: Unseen videos of 8 frames for the accuracy in the journal.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model, tokenizer = make_model(seed), make_tokenizer()
    heads = DenseHeads(model.config.text_config.hidden_size)
    modules: dict[str, nn.Module] = {"model": model, "heads": heads}
    seeing = [*model.model.vision_tower.parameters(), *model.model.multi_modal_projector.parameters()]
    known = {id(parameter) for parameter in seeing}
    speaking = [parameter for parameter in model.parameters() if id(parameter) not in known]
    optimiser = torch.optim.AdamW(
        [{"params": seeing}, {"params": list(heads.parameters())}, {"params": speaking}],
        lr=recipe.dense_rate,
        betas=(0.9, 0.98),
        weight_decay=0.01,
    )
    snapshot, done, spent = folder / "snapshot.safetensors", 0, 0.0
    run = f"seed {seed}, {recipe}"
    if snapshot.exists():
        place = load_snapshot(snapshot, modules, optimiser, run)
        done, spent = int(place["done"]), float(place["seconds"])  # type: ignore[call-overload,arg-type]
    total, began = recipe.steps, process_time()
    on_progress(done, total, "")
    while done < total:
        for group in optimiser.param_groups:
            group["lr"] = 0.0
        if done < recipe.dense_steps:
            rate = recipe.dense_rate * schedule(done, recipe.dense_steps)
            optimiser.param_groups[0]["lr"] = optimiser.param_groups[1]["lr"] = rate
            note = _dense_step(model, heads, optimiser, seed, done, recipe)
        else:
            step = done - recipe.dense_steps
            again = step - recipe.qa_steps
            closing = again - recipe.restart_steps
            share = schedule(step, recipe.qa_steps)
            if closing >= 0:
                share = recipe.restart_share * schedule(closing, recipe.closing_steps)
            elif again >= 0:
                share = recipe.restart_share * schedule(again, recipe.restart_steps)
            optimiser.param_groups[0]["lr"] = optimiser.param_groups[1]["lr"] = recipe.vision_rate * share
            optimiser.param_groups[2]["lr"] = recipe.rate * share
            drawn = step + (recipe.closing_videos if closing >= 0 else 0)
            rng = np.random.default_rng([seed, 1, drawn])
            frames = recipe.frames_at(drawn, rng)
            clips = max(2, (recipe.frames_per_step if again < 0 else recipe.restart_frames) // frames)
            batch = qa_batch(tokenizer, seed, 10_000_000 + drawn * 64, clips, frames)
            weigh: Weigh | None = None
            if closing >= 0:
                weigh = partial(given_weights, recipe.closing_weights)
            elif step >= recipe.weigh_after:
                weigh = partial(weights_of_kinds, most=4.0 if again < 0 else 2.0)
            note = _qa_step(model, heads, optimiser, batch, recipe, weigh)
        done += 1
        seconds = spent + process_time() - began
        if done > recipe.dense_steps and (done % SCORE_EVERY == 0 or done == total):
            counts = accuracies(model, tokenizer, score_clips, 8)
            note |= {"accuracy": round(overall(counts), 4), "by_kind": counts}
        if done % 20 == 0 or done == total or "accuracy" in note:
            append_line(folder / "journal.jsonl", json.dumps({"done": done, "seconds": round(seconds, 1), **note}))
        if done % SAVE_EVERY == 0 or done == total:
            save_snapshot(snapshot, modules, optimiser, {"done": done, "seconds": seconds}, run)
        on_progress(done, total, f"loss {note['loss']:.2f}")
    return model.eval()


def seconds_so_far(folder: Path) -> float:
    """CPU time that a run's journal tells of."""
    path = folder / "journal.jsonl"
    lines = read_text(path, error=CheckpointError, expected="the journal of a training run", most=LONGEST).splitlines()
    with refusing(path, error=CheckpointError, expected="the journal of a training run"):
        return max((float(parse_json(line)["seconds"]) for line in lines), default=0.0)


def schedule(step: int, steps: int) -> float:
    """Linear warm-up over 5 %, then half a cosine to 2 %."""
    warm = max(1, steps // 20)
    if step < warm:
        return (step + 1) / warm
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def _dense_step(
    model: LlavaNextVideoForConditionalGeneration,
    heads: DenseHeads,
    optimiser: torch.optim.Optimizer,
    seed: int,
    step: int,
    recipe: Recipe,
) -> dict[str, Any]:
    pictures, labels = dense_batch(seed, step, recipe.dense_clips)
    embeddings = _embed(model, as_pixels(pictures)[None])
    loss, accuracy = dense_loss(heads(embeddings), torch.from_numpy(labels))
    _descend(loss, optimiser)
    if step + 1 == recipe.dense_steps:
        with torch.no_grad():
            rescale_projector(model.model.multi_modal_projector, _embed(model, as_pixels(pictures)[None]))
        optimiser.state.clear()  # moments of other gradients
    return {
        "loss": round(float(loss.detach()), 4),
        "colour": accuracy[0],
        "shape": accuracy[1],
        "sign": accuracy[2],
        "place": accuracy[3],
    }


def _embed(model: LlavaNextVideoForConditionalGeneration, pixels: Tensor) -> Tensor:
    """(B, T, 3, side, side) -> (B * T * 9, width) visual embeddings."""
    return torch.cat(list(model.model.get_video_features(pixels, return_dict=True).pooler_output))


def _qa_step(
    model: LlavaNextVideoForConditionalGeneration,
    heads: DenseHeads,
    optimiser: torch.optim.Optimizer,
    batch: QABatch,
    recipe: Recipe,
    weigh: Weigh | None,
) -> dict[str, Any]:
    model.train()
    seen = model.model.get_video_features(batch.pixels, return_dict=True)
    output = model(input_ids=batch.ids, mm_encoder_outputs={"video": seen}, use_cache=False)
    wanted = batch.labels[:, 1:]
    asked = wanted != IGNORED
    losses = nn.functional.cross_entropy(output.logits[:, :-1][asked], wanted[asked], reduction="none")
    loss = losses.mean()
    if weigh is not None:
        weights = weigh(losses.detach(), batch.kinds[:, 1:][asked])
        loss = (weights * losses).sum() / weights.sum()
    dense, accuracy = dense_loss(heads(torch.cat(list(seen.pooler_output))), batch.cells)
    _descend(loss + recipe.dense_share * dense, optimiser)
    return {"loss": round(float(loss.detach()), 4), "frames": batch.pixels.shape[1], "shape": accuracy[1]}


def given_weights(weights: Mapping[str, float], losses: Tensor, kinds: Tensor) -> Tensor:
    """(N,) the weight of every answer token's kind, 1 where none is given.

    Args:
        weights: By kind.
        losses: (N,), of which nothing depends.
        kinds: (N,) place of each token's kind in `KINDS`.
    """
    return torch.tensor([weights.get(kind, 1.0) for kind in KINDS], device=losses.device)[kinds]


def weights_of_kinds(losses: Tensor, kinds: Tensor, most: float) -> Tensor:
    """A weight forevery answer token: its kind's mean loss over the mean of all kinds, between 0.5 and `most`.

    Args:
        losses: (N,).
        kinds: (N,) kind of each.
        most: Upper bound.
    """
    weights = torch.ones_like(losses)
    present = kinds.unique()
    means = torch.stack([losses[kinds == kind].mean() for kind in present])
    for kind, mean in zip(present, means / means.mean().clamp(min=1e-6), strict=True):
        weights[kinds == kind] = mean.clamp(0.5, most)
    return weights


def _descend(loss: Tensor, optimiser: torch.optim.Optimizer) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    for group in optimiser.param_groups:
        nn.utils.clip_grad_norm_([p for p in group["params"] if p.grad is not None], 1.0)
    optimiser.step()
