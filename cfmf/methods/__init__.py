"""The methods that a study compares, one file each; `base` is the contract."""
