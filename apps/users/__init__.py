"""Identity: accounts, sign-in, the feed of changes, and deletions. Database: default."""
