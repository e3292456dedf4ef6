"""One file for each thing that one can do.

line, parser                    the command line
report, plan, lab, runs         make a report; what that takes; JupyterLab; what is trained and under way
reference, publish, readme, card, pack      what the repository ships, its pages, its model card, its records
verify, predict                 a report made anew and compared; name the garment in a picture
benchmark, scaling, floors      what training costs, and a cluster; the limits set to it
calm                            how papermill ends
"""
