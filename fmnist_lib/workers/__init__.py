"""Who trains what is missing, and on which processes.

download    the data set, from whichever source answers
sweep       which runs are missing, how long they take, and training them: one thread a run, one process a core
"""
