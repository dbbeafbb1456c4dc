"""Draw the learning curve of a pre-training run: python -m tunebook_pretraining.curve RUN FILE.svg."""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

from tunebook.training.run_log import read_history


def main() -> None:
    """Training and validation loss by optimizer step."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("file", type=Path, help="picture to write, .svg or .png")
    given = parser.parse_args()
    run, file = given.run, given.file
    history = read_history(run / "logs")
    names = ["train/loss", "validation/loss"]
    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    for name, style in zip(names, ("-", "o-"), strict=True):
        points = [(row["step"], row[name]) for row in history if name in row]
        axes.plot(*zip(*points, strict=True), style, label=name.replace("/", " "), markersize=4, linewidth=1)
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("loss, nats")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(file, metadata={"Date": None})


if __name__ == "__main__":
    main()
