"""Evidence: scores with intervals, baselines, comparisons, figures and one self-contained report."""
