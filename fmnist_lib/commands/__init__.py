"""One file for each thing that one can do.

line, parser (the command line), report, plan, lab, runs, pack, reference, publish, verify, predict, card, benchmark,
scaling (of a cluster), floors, calm (how papermill ends)
"""
