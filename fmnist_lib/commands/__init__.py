"""One file for each thing that one can do.

report, plan, lab, runs, reference, publish, verify, predict, card, benchmark, floors, calm (how papermill ends)
"""
