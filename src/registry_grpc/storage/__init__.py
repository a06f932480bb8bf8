"""Where state lives: `sql/` keeps metadata, `artifacts/` keeps bytes. Implements the ports; knows no use case and no wire."""
