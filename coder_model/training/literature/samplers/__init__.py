"""How each of them fills the masked slots of a canvas."""
