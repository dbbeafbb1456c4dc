"""The bundle: a folder that other tools open as a plain model, and that `predict` opens as a recipe's."""
