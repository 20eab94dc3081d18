"""What is evaluated: one folder for each modality, and one row for it in `table.py`."""
