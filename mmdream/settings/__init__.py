"""Every setting, defined once: recipe, schedule, targets, passes, and their files. No NumPy."""
