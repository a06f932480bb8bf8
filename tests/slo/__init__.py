"""Objectives, the rules that follow from them, and what a real Prometheus makes of both."""
