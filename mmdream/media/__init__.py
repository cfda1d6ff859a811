"""Files to frames and samples, and back: probing, decoding, encoding, muxing, masks, verification."""
