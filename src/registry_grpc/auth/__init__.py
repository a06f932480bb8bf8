"""Who calls and what a call needs: tokens to principals, methods to permissions."""
