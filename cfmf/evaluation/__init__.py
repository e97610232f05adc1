"""How well each method predicts: its errors, its chosen setting, and where it errs."""
