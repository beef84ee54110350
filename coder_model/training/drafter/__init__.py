"""Training of a drafter: holes and anchors, the larger model's states, distillation, the run by the clock."""
