"""What `scripts/slo` writes from slo/registry.yaml: rules, a dashboard, Sloth's form of the objectives, and a page."""
