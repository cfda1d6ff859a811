"""What is measured of films and sounds: shots, optical flow, features, modulation curves."""
