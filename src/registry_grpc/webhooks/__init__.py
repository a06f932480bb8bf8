"""Delivers events to webhooks: puts them in line from the log, signs, sends, and never to where it must not."""
