"""English prompts: the words that they are made of, what these ask of a network, and of a recipe."""
