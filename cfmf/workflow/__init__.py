"""The one seam between the workflow and the package: jobs, hashes, provenance."""
