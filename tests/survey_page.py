"""Writes `docs/models.md`: `python tests/survey_page.py` from the top of the repository."""

from pathlib import Path

from survey_classes import EXACT, REFUSED

PAGE = Path(__file__).parents[1] / "docs" / "models.md"
ADAPTERS = {
    "language": (
        "Language models, hybrids among them: what a layer of convolution or linear attention keeps does not grow, and "
        "stays as it is. Latent attention (DeepSeek and kin) is pruned as the keys and values it expands to, head by head, "
        "which gives up its compression. Sinks and soft caps are computed as the models do. Layers that reuse the keys and "
        "values of an earlier one (`num_kv_shared_layers`, as in Gemma 3n and the small ones of Gemma 4) see what it "
        "keeps, which is chosen once, from its own attention."
    ),
    "llava_next_video": "Every token of a video knows its frame, row and column.",
    "vision_language": (
        "Models that read pictures, videos or sound: only the language model inside is switched. Tokens are text, image or "
        "video; where inputs have `video_grid_thw`, frame, row and column."
    ),
}


def page():
    """The page's text."""
    total = sum(map(len, EXACT.values())) + sum(map(len, REFUSED.values()))
    lines = [
        "# Which models can be pruned",
        "",
        "Written by `python tests/survey_page.py`. `tests/survey/test_survey.py` tries each of these "
        f"{total} classes of transformers with a tiny configuration and random weights. *Exact*: with a policy that keeps "
        "other tokens in every head, outputs differ from full attention under a mask of what was kept by at most 2e-5 of "
        "the largest, in float32, for a batch with padding. *Refused*: before the model is touched, in these words.",
        "",
        "For a model of your own, folder or hub id:",
        "",
        "```bash",
        "namm-xmodal check model tiny-random",
        "```",
        "",
        "The same in Python is `namm_xmodal.adapters.verdict.verdict_of(model)`.",
        "",
        "## Exact",
    ]
    for adapter, about in ADAPTERS.items():
        lines += ["", f"**`{adapter}`**: {about}", "", ", ".join(f"`{name}`" for name in EXACT[adapter])]
    lines += ["", "## Refused", "", "| the model ... | classes |", "|---|---|"]
    lines += [f"| {why} | {', '.join(f'`{name}`' for name in names)} |" for why, names in REFUSED.items()]
    lines += [
        "",
        "Classes with the same attention as one above behave like it; an unknown one is refused at its first forward if it "
        "changes keys, values or mask in a way that pruning cannot follow.",
        "",
        "bitsandbytes 0.50.2 was tried by hand on a CPU and is not among the tests. `Linear8bitLt`: tiny Llama, Qwen3 and "
        "Gemma 3 exact. `Linear4bit` (nf4): a small Qwen3 exact, a small Llama 6e-4 apart in float32, which `check model` "
        "calls wrong. Layers of four bits round what goes in there (inputs 1e-7 apart gave the same output), which may be "
        "why; that was not pursued. Layers 32 wide fail in bitsandbytes itself.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
