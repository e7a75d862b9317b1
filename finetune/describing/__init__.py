"""What a labelled collection holds: counts by split, what splits share, what is published of it."""
