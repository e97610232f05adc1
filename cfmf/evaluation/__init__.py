"""How well each method predicts: its errors overall, in slices of the ratings, and by user."""
