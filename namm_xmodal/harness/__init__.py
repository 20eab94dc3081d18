"""EleutherAI's lm-evaluation-harness on a pruned cache: the model `namm_xmodal`."""
