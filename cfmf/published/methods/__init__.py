"""The methods of the published study, as it computed them, faults included."""
