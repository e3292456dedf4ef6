"""The networks of the paper (section III), each a list of layers to be read aloud."""

from torch import nn

from fmnist_lib.recipe import Recipe, flattened_side, paddings, parse

ACTIVATIONS = {"relu": nn.ReLU, "leaky_relu": nn.LeakyReLU}


def features(k: int, padding: str = "1,0", activation: str = "relu") -> list[nn.Module]:
    """List the two convolutional layers of Figure 5: [N, 1, 28, 28] → [N, 64 · side · side]."""
    first, second = paddings(k, padding)
    act = ACTIVATIONS[activation]
    return [
        nn.Conv2d(1, 32, k, padding=first), nn.BatchNorm2d(32), act(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, k, padding=second), nn.BatchNorm2d(64), act(), nn.MaxPool2d(2),
        nn.Flatten(),
    ]  # fmt: skip


def outputs(p: float, output: str = "plain", activation: str = "relu") -> list[nn.Module]:
    """List what follows the ten outputs: nothing, or the dropout and activation of the course's notebook."""
    return [] if output == "plain" else [nn.Dropout(p), ACTIVATIONS[activation]()]


def cnn(k: int, n: int, p: float, padding="1,0", activation="relu", output="plain") -> nn.Sequential:
    """Build CNNk-n-p: two convolutional layers, one dense layer of n neurons, ten logits."""
    act = ACTIVATIONS[activation]
    flattened = 64 * flattened_side(k, padding) ** 2
    return nn.Sequential(
        *features(k, padding, activation),
        nn.Dropout(p), act(), nn.Linear(flattened, n),
        nn.Dropout(p), act(), nn.Linear(n, 10),
        *outputs(p, output, activation),
    )  # fmt: skip


def cnn_nahuel(k=3, n=(600, 120), p=0.25, padding="1,0", activation="relu", output="plain") -> nn.Sequential:
    """Build CNN-Nahuel: the features of Figure 5, then two dense layers. The paper gives n and p, not k."""
    act = ACTIVATIONS[activation]
    flattened = 64 * flattened_side(k, padding) ** 2
    return nn.Sequential(
        *features(k, padding, activation),
        nn.Dropout(p), act(), nn.Linear(flattened, n[0]),
        nn.Dropout(p), act(), nn.Linear(n[0], n[1]),
        nn.Dropout(p), act(), nn.Linear(n[1], 10),
        *outputs(p, output, activation),
    )  # fmt: skip


def ann_juan(p: float, n: int = 512, activation="relu", output="plain", input_dropout=False) -> nn.Sequential:
    """Build ANN-Juan: one hidden layer of 512 neurons with dropout rate p."""
    return nn.Sequential(
        nn.Flatten(),
        *([nn.Dropout(p)] if input_dropout else []),
        nn.Linear(28 * 28, n), ACTIVATIONS[activation](), nn.Dropout(p),
        nn.Linear(n, 10),
        *outputs(p, output, activation),
    )  # fmt: skip


def build(
    model: str, padding="1,0", activation="relu", output="plain", input_dropout=False, nahuel_k=3
) -> nn.Sequential:  # fmt: skip
    """Build the model of a name such as CNN3-512-0.1, CNN-Nahuel or ANN-Juan-0.25; UserError if there is none."""
    family, arguments = parse(model)
    if family == "ann_juan":
        return ann_juan(**arguments, activation=activation, output=output, input_dropout=input_dropout)
    if family == "cnn_nahuel":
        return cnn_nahuel(nahuel_k, padding=padding, activation=activation, output=output)
    return cnn(**arguments, padding=padding, activation=activation, output=output)


def of(recipe: Recipe) -> nn.Sequential:
    """Build the model that a recipe states, in its readings."""
    readings = recipe.padding, recipe.activation, recipe.output, recipe.input_dropout, recipe.nahuel_k
    return build(recipe.model, *readings)
