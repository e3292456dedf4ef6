"""A recipe that has been trained, on disk.

files                   whole or not at all, locks, signals
record, contents        run.json, strict and sealed; curve, answers and tensors, and what of them is believed
run, store, pack        one run in its folder; a folder of runs: find and write; many in one file
checkpoint, job         what a training goes on from; one training, resumable
"""
