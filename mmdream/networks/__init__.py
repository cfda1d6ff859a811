"""Networks to dream with: cards, weights, graphs, preprocessing, and Keras files of the user."""
