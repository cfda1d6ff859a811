"""Networks that make pictures and sounds: how each is trained against another that tells made from real."""
