"""The paper's questions, in numbers: what it says, what the runs say, and what follows. No figures and no languages.

parameters, plain_yaml, paper           every parameter in one line; how it is read; what the paper says
protocol                                which trainings the study consists of, and who wins
provenance                              how a report reads what the paper leaves open; the command that makes it
answers, networks                       what a trained network says of the test images; what it consists of
results, tables                         all runs as one tidy frame; every table a function of it
stats, claims, rule                     intervals and tests; each claim an effect; what one interval says
conduct                                 train what a study lacks, and ask the test images
certainty, effects                      many seeds: where one run should lie; what k, n and p do
ranks, luck                             who is first; how much of the spread is the training's and the test set's
opinions, gap, mode                     beside the claims: other methods; from validation to test; training mode
readings, weighing                      the text understood otherwise, and which understanding gives its numbers
heads                                   is it k, or the size of the dense layer that k leaves?
variance                                which of split, weights, order, dropout the spread over seeds comes from
sections                                the studies that a report takes in
conclusions, wishes                     what a study concludes, of the paper's wishes too: a sentence and its numbers
patience, tradeoff                      what stopping early would have saved; what accuracy costs
folds                                   cross-validation
search, strategies                      six hyperparameters, what each is worth; ways of searching them, replayed
beyond                                  how far the architecture goes, an ingredient at a time
compare                                 any runs as one frame, any two against each other
"""
