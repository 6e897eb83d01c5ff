"""What plugins promise one another, one noun a file. No implementation lives here."""
