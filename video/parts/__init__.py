"""A LLaVA-type model assembled from pretrained parts and what was trained to join them."""
