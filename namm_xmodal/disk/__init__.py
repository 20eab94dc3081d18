"""Files that lose nothing: lines that are on disk before work goes on, and files that are replaced whole or not at all."""
