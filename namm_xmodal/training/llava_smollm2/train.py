"""Trains projector and low-rank additions: names first, then questions about composed clips; killed runs go on."""

import json
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from namm_xmodal.disk.append_only import append_line
from namm_xmodal.training.llava_small.snapshot import load_snapshot, save_snapshot
from namm_xmodal.training.llava_small.train import schedule
from namm_xmodal.training.llava_smollm2.features import Bank, make_bank
from namm_xmodal.training.llava_smollm2.naming_stage import NameSpace, rescale_projector, start_projector
from namm_xmodal.training.llava_smollm2.packed import answer_losses, pack
from namm_xmodal.training.llava_smollm2.recipe import PartsRecipe
from namm_xmodal.types import OnProgress
from namm_xmodal.video.composed.clip import ComposedClip, compose_from
from namm_xmodal.video.composed.pictures import Picture
from namm_xmodal.video.composed.questions import questions_about
from namm_xmodal.video.parts.assemble import assemble
from namm_xmodal.video.parts.low_rank import add_low_rank
from namm_xmodal.video.parts.parts import Parts

SAVE_EVERY, TELL_EVERY = 20, 10


def train_parts(
    parts: Parts, seed: int, folder: Path, recipe: PartsRecipe, on_progress: OnProgress, pictures: Path | None = None
) -> dict[str, Tensor]:
    """Trains, or goes on with what `folder` holds.

    The language model stands in bfloat16 where the machine computes in it; what is trained stands in float32.

    Args:
        parts: What the model is made of.
        seed: Of weights and data.
        folder: Gets features.safetensors, snapshot.safetensors (replaced) and journal.jsonl (appended).
        recipe: Sizes.
        on_progress: Called as `on_progress(done, total, what)`.
        pictures: As in `find_pictures`.

    Returns:
        The trained tensors, `projector.*` and `LAYER.down`, `LAYER.up`.
    """
    torch.manual_seed(seed)
    bank = make_bank(parts, folder, pictures)
    model, processor, _ = assemble(parts, "auto")
    projector = model.model.multi_modal_projector.float()
    additions = add_low_rank(model.model.language_model, parts.rank, parts.scale)
    model.requires_grad_(False)
    projector.requires_grad_(True)
    additions.requires_grad_(True)
    names = NameSpace(model.get_input_embeddings().weight.detach(), processor.tokenizer, bank)
    start_projector(projector, bank, names)
    modules: dict[str, nn.Module] = {"projector": projector, "additions": additions}
    groups = [{"params": list(module.parameters())} for module in modules.values()]
    optimiser = torch.optim.AdamW(groups, lr=recipe.rate, betas=(0.9, 0.98), weight_decay=0.02)
    snapshot, done, spent = folder / "snapshot.safetensors", 0, 0.0
    run = f"seed {seed}, {recipe}, {parts}"
    if snapshot.exists():
        place = load_snapshot(snapshot, modules, optimiser, run)
        done, spent = int(place["done"]), float(place["seconds"])  # type: ignore[call-overload,arg-type]
    began = process_time()
    while done < recipe.total:
        rng = np.random.default_rng([seed, done])
        step = done - recipe.naming_steps
        if step < 0:
            rates = (recipe.naming_rate * schedule(done, recipe.naming_steps), 0.0)
        else:
            share = schedule(step, recipe.steps)
            rates = (recipe.projector_rate * share, recipe.rate * share)
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate
        naming, naming_loss = _naming_loss(projector, bank, names, recipe, rng)
        note: dict[str, Any] = {"naming": naming_loss}
        loss = naming
        if step >= 0:
            answers, by_kind = _question_loss(model, processor.tokenizer, bank, names, recipe, step, rng)
            loss = answers + recipe.naming_share * naming
            note |= {"answers": round(float(answers.detach()), 4), "by_kind": by_kind}
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        for group in optimiser.param_groups:
            nn.utils.clip_grad_norm_([p for p in group["params"] if p.grad is not None], 1.0)
        optimiser.step()
        done += 1
        if done == recipe.naming_steps:
            with torch.no_grad():
                some, _ = _some_frames(bank, recipe, rng)
                rescale_projector(projector, projector(some), names)
            optimiser.state.clear()  # moments of weights at another scale
        seconds = spent + process_time() - began
        if done % TELL_EVERY == 0 or done == recipe.total:
            append_line(folder / "journal.jsonl", json.dumps({"done": done, "seconds": round(seconds, 1), **note}))
        if done == recipe.naming_steps or (step >= 0 and done % SAVE_EVERY == 0) or done == recipe.total:
            save_snapshot(snapshot, modules, optimiser, {"done": done, "seconds": seconds}, run)
        on_progress(done, recipe.total, f"naming {naming_loss:.2f}" if step < 0 else f"loss {note['answers']:.2f}")
    trained = {f"projector.{name}": value.detach() for name, value in projector.state_dict().items()}
    return trained | {name: value.detach() for name, value in additions.state_dict().items()}


def _some_frames(bank: Bank, recipe: PartsRecipe, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """(B, g * g, C) features and (B,) pictures: a third of them exist, the others are classes without picture."""
    real = recipe.naming_frames if bank.known == len(bank.pictures) else recipe.naming_frames // 3
    chosen = rng.integers(0, bank.known, real).tolist()
    if real < recipe.naming_frames:
        chosen += rng.integers(bank.known, len(bank.pictures), recipe.naming_frames - real).tolist()
    variants = rng.integers(0, bank.cells.shape[1], len(chosen)).tolist()
    frames = [bank.frame(picture, variant, rng) for picture, variant in zip(chosen, variants, strict=True)]
    return torch.stack(frames), torch.tensor(chosen)


def _naming_loss(
    projector: nn.Module, bank: Bank, names: NameSpace, recipe: PartsRecipe, rng: np.random.Generator
) -> tuple[Tensor, float]:
    frames, chosen = _some_frames(bank, recipe, rng)
    noise = torch.from_numpy(rng.standard_normal((len(frames), 1, frames.shape[2]), dtype=np.float32))
    loss = names.loss(projector(frames + 0.3 * bank.deviation * noise), chosen)
    return loss, round(float(loss.detach()), 4)


def _question_loss(
    model: Any, tokenizer: Any, bank: Bank, names: NameSpace, recipe: PartsRecipe, step: int, rng: np.random.Generator
) -> tuple[Tensor, dict[str, float]]:
    """Mean over kinds of the loss of their answers, and the latter by kind."""
    frames, most = recipe.length_at(step, rng)
    place = {picture.key: at for at, picture in enumerate(bank.pictures)}
    spelt = [bool(rng.random() < recipe.spelt) for _ in range(recipe.clips)]
    clips = [_clip(bank, recipe, rng, frames, most, any_name=each) for each in spelt]
    features = [
        _spelt_frames(clip, place, bank, names, recipe, rng) if each else _seen_frames(model, clip, place, bank, rng)
        for clip, each in zip(clips, spelt, strict=True)
    ]
    asked = [[(question, (question.answer,)) for question in questions_about(clip)] for clip in clips]
    packed = pack(tokenizer, asked, [len(each) for each in features])
    losses, of = answer_losses(model, packed, torch.cat(features))
    by_kind: dict[str, list[Tensor]] = {}
    for row, questions in enumerate(asked):
        for number, (question, _) in enumerate(questions):
            tokens = losses[(of[:, 0] == row) & (of[:, 1] == number)]
            by_kind.setdefault(question.kind, []).append(tokens.mean() if question.kind == "describe" else tokens.sum())
    means = {kind: torch.stack(found).mean() for kind, found in by_kind.items()}
    weighed = [mean * (recipe.describe_share if kind == "describe" else 1.0) for kind, mean in means.items()]
    return torch.stack(weighed).mean(), {kind: round(float(mean.detach()), 3) for kind, mean in means.items()}


def _seen_frames(model: Any, clip: ComposedClip, place: dict[str, int], bank: Bank, rng: np.random.Generator) -> Tensor:
    """(F * g * g, D) projected features of a clip's frames."""
    cells = [
        bank.frame(place[clip.pictures[at].key], variant, rng)
        for at, variant in zip(clip.shown, clip.variants, strict=True)
    ]
    projected: Tensor = model.model.multi_modal_projector(torch.stack(cells)).flatten(0, 1)
    return projected


def _spelt_frames(
    clip: ComposedClip,
    place: dict[str, int],
    bank: Bank,
    names: NameSpace,
    recipe: PartsRecipe,
    rng: np.random.Generator,
) -> Tensor:
    """(F * g * g, D) names in place of frames."""
    chosen = torch.tensor([place[clip.pictures[at].key] for at in clip.shown])
    shape = (len(chosen), bank.cells.shape[2], names.points.shape[1])
    noise = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)) * recipe.spelt_noise
    return names.spelt(chosen, noise).flatten(0, 1)


def _clip(
    bank: Bank, recipe: PartsRecipe, rng: np.random.Generator, frames: int, most: int, *, any_name: bool
) -> ComposedClip:
    """A clip of a few pictures, drawn with the share of classes without picture that the recipe wants, or all alike."""
    drawn: list[Picture] = []
    for _ in range(24):
        made_up = bank.known < len(bank.pictures) and rng.random() < recipe.made_up
        low, high = (bank.known, len(bank.pictures)) if made_up else (0, bank.known)
        if any_name:
            low, high = 0, len(bank.pictures)
        drawn.append(bank.pictures[int(rng.integers(low, high))])
    unique = list({picture.key: picture for picture in drawn}.values())
    return compose_from(unique, (int(rng.integers(2**31)), 0), frames, training=True, most=most)
