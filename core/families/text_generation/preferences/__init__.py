"""Learning from what people think of answers: pairs of them (DPO), or a thumb for each (KTO)."""
