"""Who trains what is missing, and on which processes.

sweep       which runs are missing, how long they take, and training them: one thread a run, one process a core
"""
