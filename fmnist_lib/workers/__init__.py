"""Who trains what is missing, and on which processes.

download            the data set, from whichever source answers
sweep               which runs are missing, how long they take, and training them: one thread a run, one process a core
pool                processes on this machine, that need not import PyTorch each
cluster, worker     the same sweep on a Dask cluster, as its client; and as each of its workers
"""
