"""What tests share: builders and real engines. No assertions about behaviour live here."""
