"""Around the training step: seeds, checkpoints, signals, logs, and the trainer itself."""
