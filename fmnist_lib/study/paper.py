"""What the paper says: its grid, its winner, its two tables."""

GRID = {"k": [3, 5], "n": [128, 256, 512], "p": [0.1, 0.25]}  # section III
WINNER = "CNN3-512-0.1"
PATIENCE = 15  # what this project adds to the searches that are judged, but to the winner's
RIVALS = ("CNN-Nahuel", "ANN-Juan")
ANN_MODELS = ("ANN-Juan-0.1", "ANN-Juan-0.25")  # the rates between which it chooses
COMPARED = (WINNER, "CNN-Nahuel", "ANN-Juan-0.25")  # Table II, the second rate being its choice

# model: best epoch, loss [nats], accuracy [%]
TABLE_1 = {  # on validation
    "CNN3-512-0.1": (13, 0.217, 92.44),
    "CNN3-128-0.25": (17, 0.214, 92.38),
    "CNN3-128-0.1": (16, 0.228, 92.15),
    "CNN3-256-0.25": (15, 0.213, 92.10),
    "CNN3-512-0.25": (11, 0.214, 91.95),
    "CNN3-256-0.1": (14, 0.238, 91.72),
    "CNN5-512-0.25": (11, 0.231, 91.62),
    "CNN5-128-0.25": (23, 0.237, 91.55),
    "CNN5-512-0.1": (11, 0.251, 91.46),
    "CNN5-256-0.25": (10, 0.236, 91.40),
    "CNN5-256-0.1": (14, 0.258, 91.27),
    "CNN5-128-0.1": (9, 0.248, 90.81),
}
TABLE_2 = {  # on test
    "CNN3-512-0.1": (13, 0.2667, 90.89),
    "CNN-Nahuel": (19, 0.2845, 90.11),
    "ANN-Juan": (28, 0.3131, 89.26),
}
NEXT_FOUR = tuple(TABLE_1)[1:5]  # with the winner, "the first models of Table I"


def paper_name(model: str) -> str:
    """Return the name that Table II gives a model: ANN-Juan at whatever dropout rate was chosen."""
    return "ANN-Juan" if model.startswith("ANN-Juan") else model
