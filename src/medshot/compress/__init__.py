"""A predictor made smaller and faster: fewer channels, or a smaller network."""
