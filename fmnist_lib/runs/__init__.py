"""A recipe that has been trained, on disk: the data set, files, the store of runs, one training, many."""
