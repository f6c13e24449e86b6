"""Inner-loop adaptation: update rules, unrolling, implicit gradients, closed-form solvers."""
