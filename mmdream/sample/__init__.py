"""The sample film and its music."""
