"""Generated videos with questions whose answers and evidence are known by construction."""
