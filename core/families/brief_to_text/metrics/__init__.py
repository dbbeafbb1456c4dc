"""Evidence about copy that is checked against its brief, without a judge."""
