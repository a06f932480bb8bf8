"""The parts of mreg-backup."""
