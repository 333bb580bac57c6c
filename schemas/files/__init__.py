"""Files of the operator, as far as they are alike."""
