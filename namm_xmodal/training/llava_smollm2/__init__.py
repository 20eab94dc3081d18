"""A LLaVA-NeXT-Video of real pretrained parts: a `timm` tower, SmolLM2, and between them what was trained here."""
