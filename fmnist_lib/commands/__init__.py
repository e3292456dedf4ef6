"""One file for each thing that one can do."""
