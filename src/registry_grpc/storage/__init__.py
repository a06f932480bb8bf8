"""Where state lives: `sql/` keeps metadata, `artifacts/` keeps bytes. Implements the ports."""
