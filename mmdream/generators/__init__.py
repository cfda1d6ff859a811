"""Networks that make pictures: how one is trained against another that tells its pictures from real ones."""
