"""The data stage: retrieve raw files, parse and audit them, split, build rating matrices."""
