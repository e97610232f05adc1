"""What the errors say: the battery as published, the corrected tests, and a verdict."""
