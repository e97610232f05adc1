"""What the published study adds to the report."""
