"""Models of stage two: images in, named answers out. They know no files and no data."""
