"""A predictor made smaller and faster: fewer channels, a smaller network, 8-bit numbers."""
