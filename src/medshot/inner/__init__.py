"""How weights move inside an episode: rules, unrolling, closed-form solutions."""
