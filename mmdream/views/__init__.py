"""What is made to be looked at: previews, contact sheets, comparisons, figures."""
