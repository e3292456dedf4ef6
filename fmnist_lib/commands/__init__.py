"""One file for each thing that one can do.

line, parser (the command line), report, plan, lab, runs, pack, reference, publish, verify, predict, card, benchmark,
floors, calm (how papermill ends)
"""
