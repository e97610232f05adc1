"""What methods that predict from similar users or items share."""
