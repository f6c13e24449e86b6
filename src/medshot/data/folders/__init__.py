"""How a folder becomes a data set: one file a kind of target (labels, masks, ...)."""
