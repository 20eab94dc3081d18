"""Plug-ins for namm-xmodal: a policy, and time series as a fourth modality."""
