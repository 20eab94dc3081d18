"""A LLaVA-NeXT-Video of about a million parameters, trained on generated videos, that runs on any CPU."""
