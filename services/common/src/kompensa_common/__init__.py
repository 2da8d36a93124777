"""Small things that the operator, the data side and the participant kit share. Imports none of them."""
