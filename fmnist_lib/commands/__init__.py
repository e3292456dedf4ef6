"""One file for each thing that one can do.

report, plan, lab, runs, reference, publish, verify, predict, card, benchmark, scaling (of a cluster), floors, calm (how
papermill ends)
"""
