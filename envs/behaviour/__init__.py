"""Who makes the data: policies without memory, evolved here (ARS) or read from files, and what they do."""
