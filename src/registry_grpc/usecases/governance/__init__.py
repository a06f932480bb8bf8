"""Governance: policies, requests for promotion, and the gate that every promotion goes through."""
