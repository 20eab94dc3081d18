"""One policy, many cache sizes: next-token loss of a text against the share of the cache that is kept.

python examples/size_curve.py --model smollm2-135m --policy keydiff
python examples/size_curve.py --model tiny-random            # random weights, no download
"""

import argparse

import torch

from namm_xmodal import pruned
from namm_xmodal.language.models import load_language_model
from namm_xmodal.language.texts import find_texts
from namm_xmodal.policies.table import POLICIES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny-random")
    parser.add_argument(
        "--policy", default="streaming_llm", choices=[n for n in POLICIES if n not in ("full", "namm", "fastv")]
    )
    parser.add_argument("--tokens", type=int, default=400)
    arguments = parser.parse_args()
    loaded = load_language_model(arguments.model)
    text = find_texts("python-topics")[0].text
    ids = loaded.tokenizer(text, return_tensors="pt", truncation=True, max_length=arguments.tokens).input_ids
    print(f"{'budget':>7} {'kept':>6} {'loss':>6}   ({arguments.policy}, one text of {ids.shape[1]} tokens)")
    for budget in (1.0, 0.75, 0.5, 0.25, 0.1):
        policy = POLICIES[arguments.policy](budget=budget)
        with (
            torch.no_grad(),
            pruned(loaded.model, policy, update_every=64, protect_first=4, protect_recent=4) as memory,
        ):
            loss = loaded.model(ids, labels=ids, past_key_values=memory.cache()).loss
            print(f"{budget:>7.0%} {memory.report().kept_fraction:>6.0%} {loss:>6.3f}")


if __name__ == "__main__":
    main()
