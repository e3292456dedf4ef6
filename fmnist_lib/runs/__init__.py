"""A recipe that has been trained, on disk.

download, files         the data set, from whichever source answers; whole or not at all, locks, signals
record, contents        run.json, strict and sealed; curve, answers and tensors, and what of them is believed
run, store, pack        one run in its folder; a folder of runs: find, write, list, verify; many in one file
checkpoint, job         what a training goes on from; one training, resumable
"""
